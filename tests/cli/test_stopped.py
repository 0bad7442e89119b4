"""After a failed run: where it stopped, why rows are not stored, and the command that resumes it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from databox.cli.inputs import Inputs
from databox.files.places import MOST, Lines
from databox.sandbox import Fault, Sandbox
from tests.cli.conftest import Command
from tests.sandbox.http import dataset_in


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals that are left are in the test's own directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def table(name: str, rows: int, last: str = "") -> Path:
    path = Path(name)
    path.write_text("id,name\n" + "".join(f"{n},x\n" for n in range(rows)) + last)
    return path


def shell(printed: str, box: Sandbox) -> "subprocess.CompletedProcess[str]":
    """Run a command as printed, in a shell."""
    scripts = Path(sys.executable).parent
    environ = os.environ | {
        "DATABOX_API_KEY": box.api_key,
        "DATABOX_API_URL": box.url,
        "PATH": f"{scripts}:{os.environ['PATH']}",
    }
    return subprocess.run(printed, shell=True, env=environ, capture_output=True, text=True, check=False)


def printed(said: str) -> str:
    """Return the command that is printed at the end."""
    found = re.search(r"^  (databox dataset ingest .*)$", said, re.MULTILINE)
    assert found, said
    return found[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.csv", "two words.csv", "Bob's $HOME.csv", "größe;x.csv"])
def test_the_printed_command_goes_on_as_it_is(databox: Command, box: Sandbox, dataset_id: str, name: str) -> None:
    table(name, 350)
    box.inject(Fault("create_ingestion", status=503, after=2, headers={"retry-after": "0"}))
    arguments = ("dataset", "ingest", dataset_id, name, "--primary-keys", "id", "--patience", "0.2")
    done = databox(*arguments, "--concurrency", "1")
    assert done.code == 1
    assert len(box.rows(dataset_id)) == 200
    box.clear_faults()
    again = shell(printed(done.out), box)
    assert again.returncode == 0, again.stderr
    assert re.search(r"read +350\n +accepted +350 *\n", again.stdout)
    assert sorted(row["id"] for row in box.rows(dataset_id)) == list(range(350))
    assert len([each for each in box.requests if each.operation == "datasets.create_ingestion"]) < 20


@pytest.mark.slow
def test_without_keys_it_goes_on_without_doubling(databox: Command, box: Sandbox) -> None:
    table("a.csv", 350)
    dataset_id = dataset_in(box)
    box.inject(Fault("create_ingestion", status=503, after=2, headers={"retry-after": "0"}))
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--patience", "0.2", "--concurrency", "1", "--json")
    box.clear_faults()
    again = shell(done.json["resume"], box)
    assert (again.returncode, json.loads(again.stdout)["accepted"]) == (0, 350)
    assert sorted(row["id"] for row in box.rows(dataset_id)) == list(range(350))


@pytest.mark.slow
@pytest.mark.parametrize("keys", [(), ("--primary-keys", "id")])
def test_no_command_is_printed_that_would_change_nothing(
    databox: Command, box: Sandbox, dataset_id: str, keys: tuple[str, ...]
) -> None:
    table("a.csv", 350)
    box.inject(Fault("create_ingestion", drop="after", after=1, times=None if keys else 1))
    done = databox("dataset", "ingest", dataset_id, "a.csv", *keys, "--patience", "0.2", "--concurrency", "1")
    assert done.code == 1
    assert re.search("^  ambiguous +[123]00", done.out, re.MULTILINE)
    assert ("  databox dataset ingest" in done.out) is bool(keys)
    assert ("are not sent again, because they could be stored twice" in done.out) is not bool(keys)


@pytest.mark.slow
def test_it_goes_on_with_a_file_whose_name_begins_like_an_option(
    databox: Command, box: Sandbox, dataset_id: str
) -> None:
    table("-a.csv", 350)
    box.inject(Fault("create_ingestion", status=503, after=2, headers={"retry-after": "0"}))
    before = ("dataset", "ingest", "--primary-keys", "id", "--patience", "0.2", "--concurrency", "1", "--null", "--")
    done = databox(*before, "--", dataset_id, "-a.csv")
    assert done.code == 1
    box.clear_faults()
    assert shell(printed(done.out), box).returncode == 0
    assert sorted(row["id"] for row in box.rows(dataset_id)) == list(range(350))


def test_what_was_skipped_or_changed_is_told_also_after_a_stop_and_by_a_dry_run(
    databox: Command, box: Sandbox, dataset_id: str
) -> None:
    rows = "id,n\n1,7\n,\n2,many\nid,n\n3,8\n"
    Path("a.csv").write_text(rows)
    options = ("--column", "n=number", "--misfits", "null")
    told = [
        "Skipped: 1 line without any value.",
        "Skipped: 1 line with the header repeated, as in concatenated files.",
        "as null, because they did not fit: 1 value of column 'n'.",
    ]
    counts = {"blankLines": 1, "repeatedHeaders": 1, "misfits": {"n": 1}}
    done = databox("dataset", "ingest", dataset_id, "a.csv", *options, "--dry-run")
    assert all(line in done.out for line in told)
    document = databox("dataset", "ingest", dataset_id, "a.csv", *options, "--dry-run", "--json").json
    assert document == document | counts
    late = "".join(f"{n},{n},{'x' * 3000}\n" for n in range(400))
    Path("b.csv").write_text(f"id,n,note\n1,7,\n,,\n2,many,\nid,n,note\n3,8,\n{late}4,8\n5,8,x\n")
    done = databox("dataset", "ingest", dataset_id, "b.csv", *options)
    assert done.code == 1
    assert "Reading stopped after line 406" in done.out
    assert all(line in done.out for line in told)
    document = databox("dataset", "ingest", dataset_id, "b.csv", *options, "--json").json
    assert document == document | counts


def test_rows_that_were_piped_in_have_to_be_piped_in_again(databox: Command, box: Sandbox, dataset_id: str) -> None:
    box.inject(Fault("create_ingestion", status=503, after=1, headers={"retry-after": "0"}))
    rows = b"id\n" + b"".join(b"%d\n" % n for n in range(200))
    done = databox("dataset", "ingest", dataset_id, "-", "--patience", "0", "--concurrency", "1", stdin=rows)
    assert done.code == 1
    assert "Pipe the same rows into it again." in done.out
    assert "from line 102 of standard input: " in done.out


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="needs /dev/fd")
def test_a_file_that_the_shell_made_for_the_run_has_to_be_replaced(
    databox: Command, box: Sandbox, dataset_id: str
) -> None:
    table("a.csv", 200)
    box.inject(Fault("create_ingestion", status=503, after=1, headers={"retry-after": "0"}))
    with Path("a.csv").open("rb") as file:
        name = f"/dev/fd/{file.fileno()}"
        done = databox("dataset", "ingest", dataset_id, name, "--patience", "0", "--concurrency", "1")
    assert done.code == 1
    assert f"Replace {name}, which the shell made for this run only" in done.out


def test_where_reading_stopped(databox: Command, box: Sandbox, dataset_id: str) -> None:
    Path("a.csv").write_text('id,zip,note\n1,10000,"two\nlines"\n\n2,10001,x\n')
    late = "".join(f"{n},{10_000 + n},{'x' * 3000}\n" for n in range(400))
    Path("b.csv").write_text(f"id,zip,note\n{late}400,01067,x\n401,2,x\n")
    done = databox("dataset", "ingest", dataset_id, "a.csv", "b.csv")
    assert done.code == 1
    assert "b.csv, line 402, column 'zip': '01067'" in done.out
    assert "Reading stopped after line 401 of b.csv; the rest was not read." in done.out
    assert "Not every row is stored." in done.out
    assert not re.search("^ +failed", done.out, re.MULTILINE)
    document = databox("dataset", "ingest", dataset_id, "a.csv", "b.csv", "--json").json
    assert document["stoppedAfter"] == {"file": "b.csv", "line": 401}
    document = databox("dataset", "ingest", dataset_id, "b.csv", "a.csv", "--json").json
    assert (document["rows"], document["stoppedAfter"]) == (400, {"file": "b.csv", "line": 401})


def test_each_reason_is_told_once_with_its_rows_and_where_they_begin(databox: Command, box: Sandbox) -> None:
    table("a.csv", 350)
    table("b.csv", 250)
    dataset_id = dataset_in(box)
    box.inject(Fault("create_ingestion", drop="after", times=2))
    box.inject(Fault("create_ingestion", status=504, times=1))
    box.inject(Fault("create_ingestion", status=400, times=1))
    arguments = ("--concurrency", "1", "--patience", "0", "--on-refusal", "report")
    done = databox("dataset", "ingest", dataset_id, "a.csv", "b.csv", *arguments)
    assert done.code == 1
    assert re.search(
        "^200 rows ambiguous, from line 2 of a.csv: .*the server closed the connection", done.out, re.MULTILINE
    )
    assert re.search("^100 rows ambiguous, from line 202 of a.csv: .*status 504", done.out, re.MULTILINE)
    assert re.search("^100 rows failed, from line 302 of a.csv: .*status 400", done.out, re.MULTILINE)
    assert done.out.startswith("Not every row is stored.")


def test_the_reason_is_that_of_the_attempt_that_was_lost(
    databox: Command, box: Sandbox, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal of a later attempt is not the reason why it is unknown whether the rows are stored."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    table("a.csv", 50)
    box.inject(Fault("create_ingestion", drop="after", times=1))
    box.inject(Fault("create_ingestion", status=503, headers={"retry-after": "0"}))
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--primary-keys", "id", "--patience", "0", "--json")
    (error,) = done.json["errors"]
    assert (error["outcome"], error["rows"], done.json["rowsCountedFrom"], error["firstRow"]) == ("ambiguous", 50, 1, 1)
    assert re.search("503.*An earlier attempt may have taken effect: .*closed the connection", error["message"])


@pytest.mark.slow
def test_of_many_reasons_the_first_and_the_last_are_told(databox: Command, box: Sandbox, dataset_id: str) -> None:
    """The last is what ended the run."""
    rows = [{"id": n, f"c{n}": []} for n in range(1, 9)]
    Path("a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = databox("dataset", "ingest", dataset_id, "a.jsonl")
    told = re.findall(r"^1 row invalid: line (\d) of a\.jsonl", done.out, re.MULTILINE)
    assert told == ["1", "2", "3", "4", "5"]
    assert "3 more reasons for 3 rows; --json lists all." in done.out
    assert len(databox("dataset", "ingest", dataset_id, "a.jsonl", "--json").json["errors"]) == 8
    with Path("a.jsonl").open("a") as file:
        file.writelines(f'{{"id": {n}}}\n' for n in range(9, 500))
    box.inject(Fault("create_ingestion", status=401, after=1))
    done = databox("dataset", "ingest", dataset_id, "a.jsonl", "--concurrency", "1")
    assert re.findall(r"^1 row invalid: line (\d) of a\.jsonl", done.out, re.MULTILINE) == ["1", "2", "3", "4"]
    assert re.search(r"^100 rows failed, from line 109 of a\.jsonl: .*status 401", done.out, re.MULTILINE)
    assert "4 more reasons for 4 rows; --json lists all." in done.out


def test_a_row_is_told_by_its_line(databox: Command, box: Sandbox, dataset_id: str) -> None:
    Path("a.jsonl").write_text('{"id": 1}\n\n{"id": [2]}\n')
    done = databox("dataset", "ingest", dataset_id, "a.jsonl")
    assert "1 row invalid: line 3 of a.jsonl, column 'id' is an array, but" in done.out
    document = databox("dataset", "ingest", dataset_id, "a.jsonl", "--json").json
    assert [(each["firstRow"], each["file"], each["line"]) for each in document["errors"]] == [(2, "a.jsonl", 3)]
    done = databox("dataset", "ingest", dataset_id, "--records", '[{"id": 1}, {"id": {}}]')
    assert "1 row invalid: row 2 of --records, column 'id' is an object, but" in done.out


def test_lines_are_those_of_the_file() -> None:
    text = 'id,n\n1,"a\nb"\n,\n2,x\n\n3,"y\n\nz"\n4,w\n'
    Path("a.csv").write_text(text)
    table("b.csv", 250)
    inputs = Inputs(["a.csv", "b.csv"], {"columns": {}, "encoding": None, "pad": True})
    assert inputs.place(0) is None
    rows = list(inputs)
    places = [str(inputs.place(n)) for n in range(len(rows))]
    assert places[:4] == [f"line {line} of a.csv" for line in (2, 5, 7, 10)]
    assert places[4:] == [f"line {n + 2} of b.csv" for n in range(250)]
    assert inputs.place(len(rows)) is None


def test_few_lines_are_kept_however_many_rows_there_are() -> None:
    lines = Lines()
    for line in range(2, 1_000_002, 100):
        lines.follow(line, 100)
    assert len(lines._rows) == 1
    assert [lines.of(row) for row in (0, 999_999, 1_000_000)] == [2, 1_000_001, None]
    for n in range(MOST + 10):
        lines.follow(2_000_000 + 2 * n)
    assert len(lines._rows) == MOST
    assert lines.of(1_000_000 + 5) == 2_000_010
    assert lines.of(1_000_000 + MOST + 5) is None
