"""`databox dataset ingest`."""

import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from databox import IngestProgress, InvalidRecordError, RateLimit
from databox.cli.inputs import Inputs
from databox.cli.progress_line import duration, seconds_left
from databox.cli.signals import as_interrupts
from databox.sandbox import Fault, Sandbox
from tests.cli.conftest import Command, Terminal
from tests.marks import first
from tests.ports import Port
from tests.programs import PEAK, unmeasured
from tests.sandbox.http import dataset_in

GERMAN = "id;Datum;Betrag;PLZ;Größe\n1;31.12.2025;1.234,56;01067;1,5\n2;01.02.2026;-3,00;80331;2\n"
GERMAN_ROWS = [
    {"id": 1, "Datum": "2025-12-31", "Betrag": 1234.56, "PLZ": "01067", "Größe": 1.5},
    {"id": 2, "Datum": "2026-02-01", "Betrag": -3.0, "PLZ": "80331", "Größe": 2},
]


def csv(path: Path, rows: int, first: int = 0) -> Path:
    path.write_text("id,name\n" + "".join(f"{n},name {n}\n" for n in range(first, first + rows)))
    return path


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals that are left are in the test's own directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_german_file_goes_in_right_at_the_first_try(databox: Command, box: Sandbox, dataset_id: str) -> None:
    Path("umsatz.csv").write_bytes(GERMAN.encode("latin-1"))
    done = databox("dataset", "ingest", dataset_id, "--file", "umsatz.csv", "--primary-keys", "id")
    assert done.code == 0
    assert box.rows(dataset_id) == GERMAN_ROWS
    for words in ("umsatz.csv: CSV, semicolon, Windows-1252", "decimal comma", "leading zeros", "--encoding"):
        assert words in done.err
    assert re.search(r"read +2\n +accepted +2 *\n +appended +2\n +overwritten +0\n +rejected +0\n +failed +0", done.out)
    assert not list(Path().glob("*.journal"))


def test_several_files_of_all_kinds(databox: Command, box: Sandbox, dataset_id: str) -> None:
    csv(Path("a.csv"), 150)
    Path("b.tsv").write_text("id\tname\n1000\tx\n")
    Path("c.json").write_text('[{"id": 1001, "name": "y"}]')
    Path("d.jsonl.gz").write_bytes(gzip.compress(b'{"id": 1002, "name": "z"}\n'))
    arguments = ["--file", "a.csv", "b.tsv", "--file", "c.json", "d.jsonl.gz", "-"]
    done = databox("dataset", "ingest", dataset_id, *arguments, "--json", stdin=b"id,name\n1003,w\n")
    assert done.code == 0
    assert done.json["rows"] == done.json["appended"] == 154
    assert [file["name"] for file in done.json["files"]][-1] == "standard input"
    assert {row["id"] for row in box.rows(dataset_id)} >= {0, 149, 1000, 1001, 1002, 1003}


def test_pipes_are_read_once_and_whole(databox: Command, box: Sandbox, dataset_id: str) -> None:
    """As with `<(sort a.csv)`: what was inspected cannot be read a second time."""
    sizes = {"a": 30_000, "b": 40_000}
    writers: list[threading.Thread] = []
    for name, size in sizes.items():
        os.mkfifo(name)
        text = "id,name\n" + "".join(f"{name}{n},{'x' * 40}\n" for n in range(size))
        writers.append(threading.Thread(target=Path(name).write_text, args=(text,)))
        writers[-1].start()
    done = databox("dataset", "ingest", dataset_id, "a", "b", "--dry-run", "--json")
    for writer in writers:
        writer.join()
    assert (done.code, done.json["rows"]) == (0, sum(sizes.values()))


@pytest.mark.parametrize("again", first(["link.csv", "a.csv", "./a.csv", "-"]))
def test_a_file_that_is_named_twice_is_refused(box: Sandbox, dataset_id: str, again: str) -> None:
    Path("a.csv").write_text("id,name\n1,x\n")
    Path("b.csv").write_text("id,name\n2,x\n")
    Path("link.csv").symlink_to("a.csv")
    with Path("a.csv").open("rb") as stdin:
        first = "/dev/stdin" if again == "-" else "a.csv"
        running = process(box, "dataset", "ingest", dataset_id, first, "b.csv", again, stdin=stdin)
        _, said = running.communicate(timeout=120)
    assert running.returncode == 2
    assert "are one file, whose rows would be sent twice" in " ".join(said.replace("│", " ").split())
    assert box.rows(dataset_id) == []


def test_a_file_that_changes_while_another_is_sent_is_an_error() -> None:
    Path("a.csv").write_text("id,name\n1,x\n")
    Path("b.csv").write_text("id,name\n2,x\n")
    inputs = Inputs(["a.csv", "b.csv"], {"columns": {}, "encoding": None, "pad": False})
    assert next(inputs)["id"] == 1
    Path("b.csv").write_text("name,id\nx,3\n")
    with pytest.raises(InvalidRecordError, match=r"b\.csv has other columns than when it was looked at"):
        next(inputs)
    inputs.close()


def test_a_column_that_is_empty_in_one_file_and_of_several_types_in_another(command: Command) -> None:
    Path("a.json").write_text('[{"id": 1, "x": null}]')
    Path("b.json").write_text('[{"id": 2, "x": 1}, {"id": 3, "x": "a"}]')
    done = command("dataset", "ingest", "x", "a.json", "b.json", "--dry-run", "--json")
    assert (done.code, done.json["rows"]) == (0, 3)


def test_a_column_has_one_type_in_all_files(databox: Command, box: Sandbox, dataset_id: str) -> None:
    Path("a.csv").write_text("id,zip\n1,\n")
    Path("b.csv").write_text("id,zip\n2,12345\n")
    Path("c.csv").write_text("id,zip\n3,01067\n")
    done = databox("dataset", "ingest", dataset_id, "a.csv", "b.csv", "c.csv")
    assert done.code == 2
    assert "'zip' is number in b.csv and text in c.csv" in done.err
    assert box.rows(dataset_id) == []
    done = databox("dataset", "ingest", dataset_id, "a.csv", "b.csv", "c.csv", "--column", "zip=text")
    assert [row["zip"] for row in box.rows(dataset_id)] == [None, "12345", "01067"]
    assert databox("dataset", "ingest", dataset_id, "a.csv", "b.csv").code == 0


@pytest.mark.parametrize("code", ["007", "12%", "+49"])
def test_a_code_in_a_column_that_was_empty_is_no_number_because_of_another_file(
    databox: Command, box: Sandbox, dataset_id: str, code: str
) -> None:
    late = "".join(f"{n},,{'x' * 3000}\n" for n in range(400))
    Path("a.csv").write_text(f"id,code,note\n{late}400,{code},x\n")
    Path("b.csv").write_text("id,code,note\n1000,5,x\n")
    done = databox("dataset", "ingest", dataset_id, "a.csv", "b.csv")
    assert done.code == 1
    assert f"a.csv, line 402, column 'code': '{code}' is the first value of a column that was empty" in done.out
    assert not any(row["code"] for row in box.rows(dataset_id))


def test_rejected_rows_of_a_batch_are_not_said_to_be_its_first(databox: Command, box: Sandbox, dataset_id: str) -> None:
    Path("a.jsonl").write_text("".join(f'{{"id": {n}}}\n' for n in range(150)) + '{"id": "x"}\n')
    done = databox("dataset", "ingest", dataset_id, "a.jsonl")
    assert done.code == 1
    assert "1 row rejected, among the rows from line 101 of a.jsonl: " in done.out
    Path("b.jsonl").write_text('{"id": "x"}\n')
    done = databox("dataset", "ingest", dataset_id, "b.jsonl")
    assert "1 row rejected, line 1 of b.jsonl: " in done.out


@pytest.mark.parametrize("records", ['[{"id": 1}, {"id": 2}]', '{"id": 1}'])
def test_records_on_the_command_line(databox: Command, box: Sandbox, dataset_id: str, records: str) -> None:
    assert databox("dataset", "ingest", dataset_id, "--records", records).code == 0
    assert box.rows(dataset_id)[0] == {"id": 1}


def test_rows_are_piped_in_as_with_the_official_client(databox: Command, box: Sandbox, dataset_id: str) -> None:
    assert databox("dataset", "ingest", dataset_id, stdin=b'[{"id": 1, "x": 0.5}]').code == 0
    assert box.rows(dataset_id) == [{"id": 1, "x": 0.5}]


def test_quiet_is_quiet(databox: Command, dataset_id: str) -> None:
    done = databox("dataset", "ingest", dataset_id, "--quiet", "--records", '[{"id": 1}]')
    assert (done.code, done.out, done.err) == (0, "", "")
    done = databox("dataset", "ingest", dataset_id, "--quiet", "--records", '[{"no": 1}]')
    assert (done.code, done.out) == (1, "")
    assert "rejected" in done.err


def test_options_reach_the_reader(databox: Command, box: Sandbox, dataset_id: str) -> None:
    data = "1~03/04/2025~1.234~-~12%\n".encode("utf-16-le")
    done = databox(
        *("dataset", "ingest", dataset_id, "-", "--format", "csv", "--encoding", "utf-16-le", "--delimiter", "~"),
        *("--header", "id,day,n,gap,rate", "--dayfirst", "--decimal", ",", "--null", "-", "--column", "rate=number"),
        stdin=data,
    )
    assert done.code == 0
    assert box.rows(dataset_id) == [{"id": 1, "day": "2025-04-03", "n": 1234, "gap": None, "rate": 12}]
    databox("dataset", "ingest", dataset_id, "--date-format", "%m/%d/%Y", stdin=b"id,day\n9,03/04/2025\n")
    assert box.rows(dataset_id)[-1] == {"id": 9, "day": "2025-03-04"}


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        ([], b"id,d\n1,03/04/2025\n", "--dayfirst"),
        ([], b"", "standard input has no rows"),
        (["--file", "none.csv"], b"", "none.csv: No such file"),
        (["--records", "[1]"], b"", "not a JSON array of objects"),
        (["--records", "nonsense"], b"", "not JSON"),
        (["--records", "[]", "--file", "x"], b"", "either --records or files"),
        (["-", "-"], b"", "- and - are one file"),
        (["--column", "a"], b"a\n1\n", "not like amount=number"),
        (["--column", "a=int"], b"a\n1\n", "is not a column type"),
        (["--column", "a=text", "--column", "a=number"], b"a\n1\n", "'a' is declared twice"),
        (["--column", "b=text"], b"a\n1\n", "no column 'b'"),
        (["--primary-keys", "key"], b"a\n1\n", "no column 'key'"),
        (["--primary-keys", "a,a"], b"a\n1\n", "names a column twice"),
        (["--limit-share", "2"], b"a\n1\n", "not a share"),
        (["--limit-share", "half"], b"a\n1\n", "not a share"),
        (["--concurrency", "0"], b"a\n1\n", "0 is not in the range"),
        (["--verify", "twice"], b"a\n1\n", "'twice' is not one of"),
        (["--encoding", "klingon"], b"a\n1\n", "no text encoding 'klingon'"),
        (["--delimiter", "::"], b"a\n1\n", "one character"),
        (["--journal", "no/such/directory"], b"a\n1\n", "journal"),
        (["--dead-letter", "no/such/directory"], b"a\n1\n", "dead letters"),
    ],
)
def test_wrong_usage_sends_nothing(
    databox: Command, box: Sandbox, dataset_id: str, arguments: list[str], stdin: bytes, words: str
) -> None:
    before = len(box.requests)
    done = databox("dataset", "ingest", dataset_id, *arguments, "--json", stdin=stdin)
    assert done.code == 2
    assert words in done.err
    assert done.json["status"] == "error"
    assert len(box.requests) == before
    assert not list(Path().glob("*.journal"))


def test_at_a_keyboard_nothing_is_read_unasked(databox: Command, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databox.cli.sources.sys", Terminal("id\n1\n"))
    done = databox("dataset", "ingest", "x")
    assert (done.code, "name a file, give --records, or pipe rows in" in done.err) == (2, True)
    assert not box.requests


def test_headers_that_are_repeated_are_skipped_and_told(databox: Command, box: Sandbox, dataset_id: str) -> None:
    Path("a.csv").write_text("id,name\n1,x\nid,name\n2,y\nid,name\n3,z\n")
    done = databox("dataset", "ingest", dataset_id, "a.csv")
    assert "Skipped: 2 lines with the header repeated, as in concatenated files." in done.out
    assert [row["id"] for row in box.rows(dataset_id)] == [1, 2, 3]


def test_a_missing_key_is_told_before_the_file_is_read(command: Command) -> None:
    done = command("dataset", "ingest", "some-id", "none.csv")
    assert done.code == 2
    assert "databox auth login" in done.err


# Nothing is sent


def test_a_dry_run_needs_no_key_and_sends_nothing(command: Command, box: Sandbox) -> None:
    csv(Path("a.csv"), 2501)
    done = command("dataset", "ingest", "some-id", "a.csv", "--dry-run")
    assert done.code == 0
    assert "Nothing was sent." in done.out
    assert "2,501 rows, 76 kB, at least 52 requests." in done.out
    found = command("dataset", "ingest", "some-id", "a.csv", "--dry-run", "--json", "--verify", "none").json
    assert (found["rows"], found["requests"], found["columns"][0]["type"]) == (2501, 26, "number")
    slower = command("dataset", "ingest", "some-id", "a.csv", "--dry-run", "--json", "--limit-share", "10%").json
    assert slower["seconds"] == 52.0
    assert box.requests == ()


def test_an_estimate_has_no_size_of_nothing_and_no_time_for_nothing(command: Command) -> None:
    done = command("dataset", "ingest", "some-id", "--dry-run", "--records", '[{"id": 1}]')
    assert re.search(r"^1 row, \d\d bytes, at least 2 requests\.$", done.out, re.MULTILINE)
    done = command("dataset", "ingest", "some-id", "--dry-run", "--records", "[]", "--allow-empty")
    assert "0 rows, 0 bytes, 0 requests.\n" in done.out
    assert "At the rate limit" not in done.out
    csv(Path("a.csv"), 400)
    assert re.search(r"400 rows, \d+ kB, ", command("dataset", "ingest", "some-id", "a.csv", "--dry-run").out)


@pytest.mark.parametrize("width", [60, 100])
def test_the_help_has_examples_each_in_a_line(command: Command, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = [line.strip() for line in command("dataset", "ingest", "--help").out.splitlines()]
    assert "databox dataset ingest ID orders.csv --primary-keys order" in lines
    assert not [line for line in lines if "<bool>" in line]


def test_a_dry_run_finds_rows_that_cannot_be_sent(command: Command) -> None:
    done = command("dataset", "ingest", "some-id", "--dry-run", "--records", '[{"id": 1}, {"id": [2]}, {}]')
    assert done.code == 1
    assert "2 rows cannot be sent" in done.out
    assert "Row 2, column 'id'" in done.out
    late = b"id,zip\n" + b"1,10000\n" * 10_001 + b"1,01067\n"
    done = command("dataset", "ingest", "some-id", "--dry-run", stdin=late)
    assert done.code == 2
    assert "line 10,003, column 'zip': '01067'" in done.err


# Rows that are not stored


def test_rejected_rows_are_a_failure_and_are_kept(databox: Command, box: Sandbox, dataset_id: str) -> None:
    rows = json.dumps([{"id": 1, "n": 1}, {"id": 2, "n": "two"}])
    done = databox("dataset", "ingest", dataset_id, "--records", rows, "--primary-keys", "id", "--dead-letter", "dead")
    assert done.code == 1
    assert "Not every row is stored." in done.out
    assert re.search(r"rejected +1 ", done.out)
    assert "The rows that did not make it are in dead.reasons.jsonl, and those that may go again in dead." in done.out
    assert "--journal" not in done.out  # the same again would fail again
    assert databox("dataset", "ingest", dataset_id, "dead", "--format", "jsonl", "--dry-run").code == 0


def test_what_failed_is_sent_again_by_the_command_that_is_shown(
    databox: Command, box: Sandbox, dataset_id: str
) -> None:
    csv(Path("a.csv"), 350)
    databox("dataset", "ingest", dataset_id, "-q", "--records", '[{"id": 9999, "name": "x"}]')
    box.inject(Fault("create_ingestion", status=400, times=1))
    given = ["--json", "--concurrency", "1", "--on-refusal", "report"]
    done = databox("dataset", "ingest", dataset_id, "a.csv", *given)
    assert done.code == 1
    assert (done.json["accepted"], done.json["failed"]) == (250, 100)
    assert done.json["errors"][0]["rows"] == 100
    resume = shlex.split(done.json["resume"])
    assert resume[0] == "databox"
    assert done.json["resume"] in done.err
    again = databox(*resume[1:])
    assert (again.code, again.json["rows"], again.json["accepted"]) == (0, 350, 350)
    assert len(box.rows(dataset_id)) == 351


def test_what_no_further_run_can_help_is_not_advised(databox: Command, box: Sandbox, dataset_id: str) -> None:
    Path("a.csv").write_text("id,v\n" + "".join(f"{n % 100},{n}\n" for n in range(250)))
    box.inject(Fault("create_ingestion", status=400, times=1))
    first = databox(
        "dataset", "ingest", dataset_id, "a.csv", "--primary-keys", "id", "--json", "--concurrency", "1",
        "--dead-letter", "dead", "--on-refusal", "report",
    )  # fmt: skip
    assert (first.code, first.json["failed"], first.json["accepted"]) == (1, 100, 150)
    assert not Path("dead").exists()  # each of these rows has a newer one
    assert "None of them may go again as it is." in first.err
    again = databox(*shlex.split(first.json["resume"])[1:])
    assert (again.code, again.json["failed"], again.json["resume"]) == (1, 100, None)
    assert "newer rows with the same keys were accepted" in again.json["errors"][0]["message"]
    assert len(box.rows(dataset_id)) == 100
    assert all(row["v"] >= 100 for row in box.rows(dataset_id))


def test_dead_letters_that_are_the_input_are_refused(databox: Command, box: Sandbox, dataset_id: str) -> None:
    Path("dead.jsonl").write_text('{"id": 1}\n')
    before = len(box.requests)
    for name in ("dead.jsonl", "./dead.jsonl"):
        done = databox("dataset", "ingest", dataset_id, "dead.jsonl", "--dead-letter", name)
        assert done.code == 2
        assert "which the rows come from" in done.err
    done = databox("dataset", "ingest", dataset_id, "dead.jsonl", "--dead-letter", "x", "--journal", "x")
    assert done.code == 2
    assert len(box.requests) == before
    assert Path("dead.jsonl").read_text() == '{"id": 1}\n'


def test_rows_parted_by_invalid_ones_have_one_ingestion(databox: Command, box: Sandbox, dataset_id: str) -> None:
    done = databox("dataset", "ingest", dataset_id, "--json", "--records", '[{"id": 1}, {"id": [2]}, {"id": 3}]')
    assert (done.code, len(done.json["ingestionIds"])) == (1, 1)
    assert [error["firstRow"] for error in done.json["errors"]] == [2]
    assert done.json["rowsCountedFrom"] == 1


def test_a_wrong_dataset_stops_at_once(databox: Command, box: Sandbox) -> None:
    csv(Path("a.csv"), 5000)
    done = databox("dataset", "ingest", "no-such-dataset", "a.csv", "--json")
    assert (done.code, done.json["accepted"]) == (1, 0)
    assert "404" in done.err
    assert len([each for each in box.requests if each.method == "POST"]) <= 2
    assert done.json["resume"] is None
    assert not list(Path().glob("*.journal"))


def test_a_value_that_does_not_fit_stops_and_can_be_mended(databox: Command, box: Sandbox, dataset_id: str) -> None:
    wide = "x" * 3000
    text = "id,zip,text\n" + "".join(f"{n},{10_000 + n},{wide}\n" for n in range(400))
    Path("a.csv").write_text(text + "400,01067,x\n401,2,x\n")
    done = databox("dataset", "ingest", dataset_id, "a.csv")
    assert done.code == 1
    assert "a.csv, line 402, column 'zip': '01067'" in done.out
    assert "To go on where it stopped:" in done.out
    assert len(box.rows(dataset_id)) == 400
    resume = shlex.split(done.out.splitlines()[-1])
    before = len(box.requests)
    again = databox(*resume[1:], "--misfits", "null")
    assert again.code == 0
    assert "Sent as null, because they did not fit: 1 value of column 'zip'." in again.out
    assert [row["zip"] for row in box.rows(dataset_id)][-2:] == [None, 2]
    sent = [each for each in box.requests[before:] if each.method == "POST"]
    assert sum(len(each.json["records"]) for each in sent) == 2


def test_verification_can_be_cheaper_or_left_out(databox: Command, box: Sandbox, dataset_id: str) -> None:
    csv(Path("a.csv"), 250)
    ingest = ("dataset", "ingest", dataset_id, "a.csv", "--json", "--verify")
    assert databox(*ingest, "none").json["requests"] == 3
    assert databox(*ingest, "status").json["requests"] == 4
    assert databox(*ingest, "counts").json["requests"] == 6
    assert "not verified" in databox(*ingest[:-2], "--verify", "none").out


def test_what_only_a_list_says_is_not_shown_as_counted(databox: Command, box: Sandbox, dataset_id: str) -> None:
    Path("a.jsonl").write_text('{"id": 1, "name": "a"}\n{"id": 2, "name": "b"}\n')
    done = databox("dataset", "ingest", dataset_id, "a.jsonl", "--verify", "status")
    assert done.code == 0
    assert re.search(r"accepted +2 *\n +uncounted +2  listed as done, but not counted: rejected ones", done.out)
    assert not re.search("appended|overwritten|rejected +0", done.out)
    document = databox("dataset", "ingest", dataset_id, "a.jsonl", "--verify", "status", "--json").json
    assert (document["uncounted"], document["appended"]) == (2, 0)


@pytest.mark.parametrize("verify", ["counts", "status"])
def test_what_is_not_known_in_time_is_said_with_its_reason(verify: str) -> None:
    with Sandbox(processing_delay=60) as slow:
        arguments = ["dataset", "ingest", dataset_in(slow), "a.csv", "--verify", verify, "--verify-timeout", "0.1"]
        csv(Path("a.csv"), 5)
        with process(slow, *arguments) as running:
            out, _ = running.communicate(timeout=120)
    assert running.returncode == 1
    assert re.search(r"accepted +5 *\n +unverified +5  their outcome is not known", out)
    assert "was not known after 0.1 seconds; its status was 'processing'" in out
    assert "To send again" in out


@pytest.mark.parametrize("seconds", ["-1", "inf", "nan", "soon"])
def test_a_time_out_is_seconds(databox: Command, box: Sandbox, dataset_id: str, seconds: str) -> None:
    csv(Path("a.csv"), 5)
    before = len(box.requests)
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--verify-timeout", seconds)
    assert done.code == 2
    assert re.search("verify.timeout", done.err)
    assert len(box.requests) == before


def test_a_journal_of_ones_own_is_kept(databox: Command, box: Sandbox, dataset_id: str) -> None:
    csv(Path("a.csv"), 250)
    for _ in range(2):
        done = databox(
            "dataset", "ingest", dataset_id, "a.csv", "--journal", "a.journal", "--json", "--limit-share", "0.5"
        )
        assert (done.code, done.json["accepted"]) == (0, 250)
    assert len([each for each in box.requests if each.operation == "datasets.create_ingestion"]) == 3
    csv(Path("a.csv"), 250, first=1)
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--journal", "a.journal")
    assert done.code in (1, 2)
    assert "journal" in done.out + done.err


# As a process

PROGRAM = [sys.executable, "-W", "error", "-c", "from databox.cli import main; main()"]


def process(box: Sandbox, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    environ = unmeasured(DATABOX_API_KEY=box.api_key, DATABOX_API_URL=box.url, TMPDIR=str(Path().absolute()))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen([*PROGRAM, *arguments], env=environ, text=True, **(pipes | options))


@contextmanager
def when_it_hangs_up(action: signal.Handlers) -> Generator[None]:
    """What processes that are started do when their terminal closes: they inherit it."""
    before = signal.signal(signal.SIGHUP, action)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_a_summary_and_goes_on_later(
    databox: Command, box: Sandbox, dataset_id: str, number: int
) -> None:
    csv(Path("a.csv"), 1200)
    box.inject(Fault("create_ingestion", delay=0.05, times=4))
    box.inject(Fault("create_ingestion", delay=4.0, times=8))  # so that it is interrupted in the middle
    with process(box, "dataset", "ingest", dataset_id, "a.csv", "--primary-keys", "id", "--json") as running:
        while len(box.rows(dataset_id)) < 300:
            time.sleep(0.01)
        os.kill(running.pid, number)
        out, err = running.communicate(timeout=120)
    assert running.returncode == 1
    assert "Traceback" not in err
    document = json.loads(out)
    assert document["status"] == "interrupted"
    assert 0 < document["accepted"] < 1200
    assert document["rows"] == sum(document[name] for name in ("accepted", "failed", "invalid", "ambiguous", "unsent"))
    assert "To go on where it stopped:" in err
    before = len(box.requests)
    again = databox(*shlex.split(document["resume"])[1:])
    assert (again.code, again.json["rows"], again.json["accepted"]) == (0, 1200, 1200)
    assert sorted(row["id"] for row in box.rows(dataset_id)) == list(range(1200))
    sent = [each for each in box.requests[before:] if each.method == "POST"]
    assert len(sent) <= 12 - document["accepted"] // 100


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no terminal that hangs up")
def test_a_terminal_that_closes_ends_the_run_with_its_account(box: Sandbox, dataset_id: str) -> None:
    """As when an SSH session drops: the kernel and the shell both send SIGHUP, and nothing can be shown any more."""
    csv(Path("a.csv"), 1200)
    box.inject(Fault("create_ingestion", delay=0.05, times=4))
    box.inject(Fault("create_ingestion", delay=4.0, times=8))  # so that it is interrupted in the middle
    terminal, other = os.openpty()
    log = Path("log.jsonl")
    arguments = ("dataset", "ingest", dataset_id, "a.csv", "--dead-letter", "dead.jsonl", "--log-json")
    with log.open("w") as out:
        with when_it_hangs_up(signal.SIG_DFL):  # the suite itself may run under nohup
            running = process(box, *arguments, stdout=out, stderr=other)
        os.close(other)
        with running:
            while len(box.rows(dataset_id)) < 300:
                time.sleep(0.01)
            os.close(terminal)
            os.kill(running.pid, signal.SIGHUP)
            time.sleep(0.05)
            os.kill(running.pid, signal.SIGHUP)
            running.communicate(timeout=120)
    assert running.returncode == 1
    summary = json.loads(log.read_text().splitlines()[-1])
    assert (summary["event"], summary["status"]) == ("summary", "interrupted")
    assert summary["rows"] < 1200
    assert 0 < summary["accepted"] <= len(box.rows(dataset_id))
    letters = len(Path("dead.jsonl").read_text().splitlines()) if Path("dead.jsonl").exists() else 0
    assert summary["unsent"] <= letters <= summary["unsent"] + summary["ambiguous"]
    box.clear_faults()
    with process(box, *shlex.split(summary["resume"])[1:], stdout=subprocess.DEVNULL, stderr=None) as again:
        again.communicate(timeout=120)
    assert again.returncode == 0
    assert sorted(row["id"] for row in box.rows(dataset_id)) == list(range(1200))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no terminal that hangs up")
def test_a_second_hangup_is_no_interrupt() -> None:
    with when_it_hangs_up(signal.SIG_DFL):
        with pytest.raises(KeyboardInterrupt), as_interrupts():
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)  # even after the run


@pytest.mark.skipif(sys.platform == "win32", reason="there is no terminal that hangs up")
def test_a_run_that_is_to_outlive_its_terminal_does(box: Sandbox, dataset_id: str) -> None:
    csv(Path("a.csv"), 300)
    box.inject(Fault("create_ingestion", delay=0.2))
    with when_it_hangs_up(signal.SIG_IGN):  # as nohup does
        running = process(box, "dataset", "ingest", dataset_id, "a.csv")
    with running:
        while not box.rows(dataset_id):
            time.sleep(0.01)
        os.kill(running.pid, signal.SIGHUP)
        running.communicate(timeout=120)
    assert running.returncode == 0
    assert len(box.rows(dataset_id)) == 300


MEMORY = (
    PEAK
    + """
from databox.cli import main
try:
    main()
finally:
    print(peak())
"""
)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file() -> None:
    Path("big.csv").write_text("id,text\n" + f"1,{'some text that takes room ' * 40}\n" * 40_000)  # 40 MB
    csv(Path("small.csv"), 10)
    peaks: list[int] = []
    for name in ("small.csv", "big.csv"):
        program = [sys.executable, "-c", MEMORY, "dataset", "ingest", "some-id", name, "-q", "--dry-run"]
        done = subprocess.run(program, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.splitlines()[-1]))
    assert peaks[1] - peaks[0] < 20_000  # kilobytes


def test_plain_lines_and_no_bar_where_there_is_no_terminal(box: Sandbox, dataset_id: str) -> None:
    csv(Path("a.csv"), 300)
    with process(box, "dataset", "ingest", dataset_id, "a.csv") as running:
        out, err = running.communicate(timeout=120)
    assert running.returncode == 0
    assert "\x1b" not in out + err
    assert "━" not in out + err
    assert max(map(len, err.splitlines())) > 20


def test_a_reader_that_goes_away_does_no_harm(box: Sandbox) -> None:
    with process(box, "account", "timezones", "--json") as running:
        assert running.stdout
        running.stdout.close()
        assert running.stderr
        err = running.stderr.read()
    assert "Traceback" not in err


# What is left to go


def test_the_time_that_is_left_is_the_longer_of_limit_and_pace() -> None:
    def now(**changed: Any) -> IngestProgress:
        values: dict[str, Any] = dict.fromkeys(("rows", "accepted", "failed", "verified", "batches", "requests"), 0)
        values |= {
            "total_rows": None,
            "rows_per_second": 0.0,
            "seconds_left": None,
            "waiting_for": "answers",
            "seconds": 1.0,
        }
        return IngestProgress(**(values | changed))

    limit = RateLimit()
    assert seconds_left(now(), None, limit, asks_each=True) is None
    assert seconds_left(now(rows=1000, accepted=1000, verified=1000), 0.5, limit, asks_each=False) == 1.0
    assert seconds_left(now(rows=1000, accepted=1000, verified=1000), 0.1, limit, asks_each=True) == 18.0
    assert seconds_left(now(rows=100, accepted=100, seconds=60.0), 0.5, limit, asks_each=False) == 60.0
    assert seconds_left(now(accepted=5000, waiting_for="outcomes"), 1.0, limit, asks_each=True) == 5.0
    assert [duration(seconds) for seconds in (0.2, 75, 600, 7260)] == ["1 s", "75 s", "10 min", "2 h 1 min"]


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a second last some milliseconds."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    monkeypatch.setattr("databox.ingest.patience.FIRST_WAIT", 0.01)
    monkeypatch.setattr("databox.ingest.patience.LOOK", 0.005)
    monkeypatch.setattr("databox._sync.ingest.EVERY", 0.01)
    monkeypatch.setattr("databox._sync.ingest.MOMENT", 0.005)
    monkeypatch.setattr("databox.cli.ingest.AT_FIRST", 0.2)
    monkeypatch.setattr("databox.cli.progress_line.EVERY", 0.0)


@pytest.mark.usefixtures("short_waits")
def test_an_address_where_nobody_answers_is_told_soon(
    databox: Command, monkeypatch: pytest.MonkeyPatch, closed_port: Port
) -> None:
    csv(Path("a.csv"), 350)
    monkeypatch.setenv("DATABOX_API_URL", closed_port.url)
    for more in ([], ["--quiet"]):
        started = time.monotonic()
        done = databox("dataset", "ingest", "some-id", "a.csv", "--json", "--dead-letter", "dead", *more)
        assert time.monotonic() - started < 100  # the default patience is five minutes
        assert (done.code, done.json["accepted"], done.json["ambiguous"], done.json["resume"]) == (1, 0, 0, None)
        assert "Nothing was sent" in done.json["message"]
        assert "--patience waits longer" in done.json["message"]
    # The option that the message names:
    done = databox("dataset", "ingest", "some-id", "a.csv", "--patience", "0.5")
    assert done.code == 1
    assert "The service took nothing for" in done.out
    assert "--patience waits longer" not in done.out


@pytest.mark.usefixtures("short_waits")
@pytest.mark.slow
def test_the_progress_line_says_what_is_waited_for(databox: Command, box: Sandbox, dataset_id: str) -> None:
    csv(Path("a.csv"), 350)
    box.inject(
        Fault("create_ingestion", status=503, after=1, seconds=2.5)
    )  # which takes more than the limit of a second
    done = databox("dataset", "ingest", dataset_id, "a.csv")
    assert done.code == 0
    assert re.search(
        r"waiting for the service \(status 503, service_unavailable\) for \d s, at most 5 min more", done.err
    )
    assert len(box.rows(dataset_id)) == 350


@pytest.mark.usefixtures("short_waits")
def test_a_run_that_waited_in_vain_is_gone_on_with(databox: Command, box: Sandbox, dataset_id: str) -> None:
    csv(Path("a.csv"), 350)
    box.inject(Fault("create_ingestion", status=503, after=1))
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--patience", "0.2", "--json")
    assert (done.code, done.json["accepted"]) == (1, 100)
    assert "The service took nothing for" in done.json["errors"][-1]["message"]
    box.clear_faults()
    again = databox(*shlex.split(done.json["resume"])[1:])
    assert (again.code, again.json["accepted"]) == (0, 350)
    assert len(box.rows(dataset_id)) == 350


def test_a_refused_row_fails_alone(databox: Command, box: Sandbox, dataset_id: str) -> None:
    csv(Path("a.csv"), 250)
    box.inject(Fault("create_ingestion", when={"column": "id", "value": 142}))
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--limit-share", "100%", "--dead-letter", "dead")
    assert (done.code, len(box.rows(dataset_id))) == (1, 249)
    assert "1 row failed, line 144 of a.csv: POST" in done.out
    assert len(Path("dead").read_text().splitlines()) == 1
    assert "takes up to 15 more requests" in databox("dataset", "ingest", dataset_id, "a.csv", "--dry-run").out
    plainly = databox("dataset", "ingest", dataset_id, "a.csv", "--dry-run", "--on-refusal", "report").out
    assert "more requests" not in plainly
