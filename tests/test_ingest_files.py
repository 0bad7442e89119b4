"""Journals and dead letters: what survives a crash, a full disk and a changed input."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from databox import ConfigurationError, Databox, IngestError, read_records
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.marks import slow
from tests.test_ingest import adds_up, ingestions, rows, stored

BATCHES_FAIL_WHOLE = True  # this module tests the outcomes of failed batches


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are tested as decisions elsewhere; here they only cost time."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def reasons(path: Path) -> list[dict[str, Any]]:
    return lines(path.with_name(path.name + ".reasons.jsonl"))


# Journal


def test_a_second_run_sends_nothing_again(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    first = client.datasets.ingest(plain, rows(95), batch_size=10, journal=journal)
    sent = len(ingestions(box))
    again = client.datasets.ingest(plain, rows(95), batch_size=10, journal=journal)
    assert len(ingestions(box)) == sent == 10
    assert (again.rows, again.accepted, again.appended) == (first.rows, first.accepted, first.appended) == (95, 95, 95)
    assert [batch.ingestion_id for batch in again.batches] == [batch.ingestion_id for batch in first.batches]
    assert stored(box, plain) == rows(95)


def test_a_second_run_goes_on_where_the_first_failed(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    box.inject(Fault("create_ingestion", status=503, times=3))
    first = client.datasets.ingest(plain, rows(95), batch_size=10, journal=journal, raise_on_failure=False)
    assert (first.accepted, first.failed) == (65, 30)
    # Another batch size does not change earlier batches.
    again = client.datasets.ingest(plain, rows(95), batch_size=25, journal=journal)
    assert (again.rows, again.appended) == (95, 95)
    assert stored(box, plain) == rows(95)


def test_what_may_have_been_sent_is_not_sent_again_without_keys(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    box.inject(Fault("create_ingestion", drop="after", times=1))
    box.inject(Fault("create_ingestion", drop="before", times=1))
    for _ in range(2):
        report = client.datasets.ingest(plain, rows(50), batch_size=10, journal=journal, raise_on_failure=False)
        assert (report.accepted, report.ambiguous) == (30, 20)
        assert adds_up(report)
    assert len(ingestions(box)) == 5
    resent = client.datasets.ingest(plain, rows(50), batch_size=10, journal=journal, on_ambiguous="resend")
    assert resent.accepted == 50
    assert len(box.rows(plain)) == 60  # one batch twice, as requested


def test_a_source_that_broke_off_can_be_resumed(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(37)
        raise ConnectionError

    with pytest.raises(IngestError):
        client.datasets.ingest(plain, broken(), batch_size=10, journal=journal)
    report = client.datasets.ingest(plain, rows(95), batch_size=10, journal=journal)
    assert (report.rows, report.appended) == (95, 95)
    assert stored(box, plain) == rows(95)


KILLED = """
import sys
from databox import Databox
with Databox(rate_limit=None, max_retries=0) as client:
    rows = ({"id": n, "value": n / 8} for n in range(400))
    options = {"batch_size": 10, "journal": sys.argv[2], "concurrency": int(sys.argv[3])}
    client.datasets.ingest(sys.argv[1], rows, verify=None, **options)
"""


@pytest.mark.parametrize("seed", [0, 1, *slow(range(2, 5))])
def test_killed_at_any_moment_and_run_again(box: Sandbox, tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    journal = tmp_path / "journal"
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        plain = client.datasets.create("D", data_source=client.data_sources.create("S"))
        box.inject(Fault("create_ingestion", delay=0.02))
        environ = {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
        command = [sys.executable, "-c", KILLED, plain.id, str(journal), str(chance.choice([1, 4]))]
        with subprocess.Popen(command, env=environ) as running:
            while len(ingestions(box)) < chance.randrange(1, 25):
                time.sleep(0.002)
            running.send_signal(signal.SIGKILL)
        time.sleep(0.1)  # what is in flight arrives
        killed_at = len(ingestions(box))
        report = client.datasets.ingest(plain, rows(400), batch_size=10, journal=journal, raise_on_failure=False)
    assert report.rows == 400
    assert adds_up(report)
    assert report.ambiguous <= 40
    values = [row["id"] for row in box.rows(plain)]
    assert len(values) == len(set(values))  # no duplicates
    accepted = {
        row
        for batch in report.batches
        if batch.outcome == "accepted"
        for row in range(batch.first_row, batch.first_row + 10)
    }
    assert accepted <= set(values)
    assert len(accepted) + report.ambiguous == 400
    assert len(ingestions(box)) - killed_at <= 40 - report.accepted // 10 + 40


# Dead letters


def test_every_row_that_did_not_make_it_is_kept(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    box.inject(Fault("create_ingestion", status=400, times=1))
    given = [*rows(12), {"id": 12, "value": [1]}, *rows(12, 13), "no row"]
    report = client.datasets.ingest(plain, given, batch_size=5, concurrency=1, dead_letter=dead, raise_on_failure=False)
    assert (report.failed, report.invalid) == (5, 2)
    assert lines(dead) == rows(5)
    told = reasons(dead)
    assert [(reason["index"], reason["outcome"]) for reason in told] == [
        *((n, "failed") for n in range(5)),
        (12, "invalid"),
        (25, "invalid"),
    ]
    assert [reason["again"] for reason in told] == [True] * 5 + [False] * 2
    assert told[0]["reason"].startswith("POST /v1/datasets/")
    assert told[5]["reason"].startswith("Row 12, column 'value'")
    assert [reason["row"] for reason in told] == [*rows(5), "{'id': 12, 'value': [1]}", "'no row'"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dead.jsonl", "dead.jsonl.reasons.jsonl"]

    # It can be ingested again as it is.
    with read_records(dead) as again:
        assert client.datasets.ingest(plain, again, dead_letter=tmp_path / "more.jsonl").ok
    assert stored(box, plain) == [*rows(12), *rows(12, 13)]


def test_values_come_back_as_they_were_sent(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    from datetime import date
    from decimal import Decimal

    dead = tmp_path / "dead.jsonl"
    box.inject(Fault("create_ingestion", status=400))
    given = [{"d": date(2025, 1, 2), "n": Decimal("1.10"), "u": "ü\n", "nan": float("nan")}]
    client.datasets.ingest(plain, given, dead_letter=dead, raise_on_failure=False)
    sent = '{"d":"2025-01-02","n":1.10,"u":"ü\\n","nan":null}'
    assert dead.read_text("utf-8") == f"{sent}\n"
    assert f'"row":{sent}}}\n' in dead.with_name("dead.jsonl.reasons.jsonl").read_text("utf-8")
    assert ingestions(box)[0].body == f'{{"records":[{sent}]}}'.encode()


def test_nothing_is_left_behind_when_all_is_well(client: Any, plain: Any, tmp_path: Path) -> None:
    client.datasets.ingest(plain, rows(50), dead_letter=tmp_path / "dead.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_letters_of_earlier_runs_stay(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    box.inject(Fault("create_ingestion", status=400))
    for start in (0, 5):
        client.datasets.ingest(plain, rows(5, start), dead_letter=dead, raise_on_failure=False)
    assert lines(dead) == rows(10)


def test_with_a_journal_the_letters_are_those_of_all_its_runs(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    dead, journal = tmp_path / "dead.jsonl", tmp_path / "journal"
    dead.write_text('{"id": -1}\n', "utf-8")  # someone else's
    box.inject(Fault("create_ingestion", status=400, times=4))
    options = {"batch_size": 5, "concurrency": 1, "dead_letter": dead, "journal": journal, "raise_on_failure": False}
    client.datasets.ingest(plain, rows(20), **options)
    assert lines(dead) == [{"id": -1}, *rows(20)]
    box.inject(Fault("create_ingestion", status=400, times=1))
    client.datasets.ingest(plain, rows(20), **options)
    assert lines(dead) == [{"id": -1}, *rows(5)]


def test_unsent_rows_are_kept(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    box.inject(Fault("create_ingestion", status=403))
    report = client.datasets.ingest(plain, rows(100), batch_size=10, dead_letter=dead, raise_on_failure=False)
    assert len(lines(dead)) == report.rows == report.failed + report.unsent
    assert lines(dead) == rows(report.rows)


def test_an_old_value_is_never_put_over_a_newer_one(driver: Driver, box: Sandbox, dataset: Any, tmp_path: Path) -> None:
    client = driver.client(box.api_key, box.url)
    dead = tmp_path / "dead.jsonl"
    given = [{"id": n % 4, "value": n} for n in range(12)]
    box.inject(Fault("create_ingestion", status=400, times=1))
    report = client.datasets.ingest(dataset, given, batch_size=3, dead_letter=dead, raise_on_failure=False)
    assert report.failed == 3
    assert not dead.exists()  # all three keys occurred again later
    for reason in reasons(dead):
        assert not reason["again"]
        assert f"row {reason['index'] + 8}, which is newer and has the same key, was accepted" in reason["reason"]
    assert [row["value"] for row in stored(box, dataset)] == [8, 9, 10, 11]


def test_rejected_rows_without_keys_are_told_but_not_sent_again(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    dead = tmp_path / "dead.jsonl"
    receipt = {"status": "success", "ingestionId": "i"}
    counts = {"receivedRecordsCount": 3, "appendedRecordsCount": 2, "rejectedRecordsCount": 1}
    box.inject(Fault("create_ingestion", body=receipt))
    box.inject(Fault("get_ingestion", body=receipt | {"metrics": {"ingestionMetrics": counts}}))
    client.datasets.ingest(plain, rows(3), dead_letter=dead, raise_on_failure=False)
    assert not dead.exists()
    assert [(reason["outcome"], reason["again"]) for reason in reasons(dead)] == [("rejected", False)] * 3
    assert "Of this batch's 3 rows 1 were rejected, but the API does not say which." in reasons(dead)[0]["reason"]


def test_dead_letters_that_cannot_be_written_are_told_at_once(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    before = len(box.requests)
    with pytest.raises(ConfigurationError, match="dead letters"):
        client.datasets.ingest(plain, rows(5), dead_letter=tmp_path / "no" / "such")
    assert len(box.requests) == before


FULL = """
import json, resource, signal, sys
from databox import ConfigurationError, Databox, IngestError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Databox(rate_limit=None, max_retries=0) as client:
    rows = ({"id": n, "value": "x" * 50} for n in range(5000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), before[1]))
    try:
        client.datasets.ingest(sys.argv[1], rows, **json.loads(sys.argv[3]))
    except IngestError as error:
        report = error.report
        assert report.rows == report.accepted + report.failed + report.invalid + report.ambiguous + report.unsent
        print(report.rows, report.accepted, report.ambiguous, type(error.__cause__).__name__, error.__cause__)
    except ConfigurationError as error:
        print(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)  # for what measures coverage
"""


def on_a_full_disk(box: Sandbox, dataset: Any, size: int, **options: Any) -> str:
    """What a program says that ingests where no file may be larger."""
    environ = os.environ | {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
    given = json.dumps({"batch_size": 10, **options}, default=str)
    command = [sys.executable, "-W", "error", "-c", FULL, dataset.id, str(size), given]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("file", ["journal", "dead_letter"])
def test_a_disk_that_is_full_from_the_beginning(box: Sandbox, plain: Any, tmp_path: Path, file: str) -> None:
    said = on_a_full_disk(box, plain, 0, **{file: tmp_path / "file"})
    assert f"{tmp_path / 'file'}" in said
    assert "disk" in said
    assert list(tmp_path.iterdir()) == []
    assert ingestions(box) == []


def test_rows_that_a_full_journal_cannot_claim_are_listed_and_not_offered(
    box: Sandbox, client: Any, dataset: Any, tmp_path: Path
) -> None:
    """A later run with the journal sends them, and would not find them in the file of rows."""
    files = {"journal": tmp_path / "journal", "dead_letter": tmp_path / "dead.jsonl"}
    box.inject(Fault("create_ingestion", status=400))
    said = on_a_full_disk(box, dataset, 100_000, batch_size=1, primary_keys=["id"], **files)
    assert f"ConfigurationError The journal {files['journal']} cannot be written: " in said
    told = lines(tmp_path / "dead.jsonl.reasons.jsonl")
    assert {(letter["outcome"], letter["again"]) for letter in told} >= {("failed", False)}
    assert not any(letter["again"] for letter in told)
    assert not files["dead_letter"].exists()
    given = ({"id": n, "value": "x" * 50} for n in range(5000))
    box.clear_faults()
    assert client.datasets.ingest(dataset, given, **files).appended == 5000
    assert list(tmp_path.iterdir()) == [files["journal"]]  # the letters of the earlier run are taken back


@pytest.mark.slow
@pytest.mark.parametrize("file", ["journal", "dead_letter"])
def test_a_full_disk(box: Sandbox, client: Any, plain: Any, tmp_path: Path, file: str) -> None:
    said = on_a_full_disk(box, plain, 100_000, **{file: tmp_path / "file"})
    read, accepted, ambiguous, kind, words = said.split(" ", 4)
    assert kind == "ConfigurationError"
    assert file.replace("_", " ") in words
    assert int(read) < 5000
    assert int(accepted) <= len(box.rows(plain)) <= int(accepted) + int(ambiguous)
    if file == "journal":
        with sqlite3.connect(tmp_path / "file") as database:
            noted = database.execute("select count(*) from batches").fetchone()[0]
        database.close()
        assert noted * 10 >= len(box.rows(plain))  # everything that was sent is recorded
