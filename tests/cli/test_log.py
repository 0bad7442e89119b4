"""`--log-json`: a log for machines, whose last line is the summary, however the run ends."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from databox.sandbox import Fault, Sandbox
from tests.cli.conftest import Command, Done


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals that are left are in the test's own directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Path("a.csv").write_text("id,name\n" + "".join(f"{n},x\n" for n in range(350)))


def lines_of(done: Done) -> list[dict[str, Any]]:
    """Return the log; every line is an object with a time, a level and an event, and the last is the summary."""
    lines = [json.loads(line) for line in done.out.splitlines()]
    for line in lines:
        assert list(line)[:3] == ["time", "level", "event"]
        assert datetime.fromisoformat(line["time"]).tzinfo
        assert line["level"] in {"info", "warning", "error"}
    assert [line["event"] for line in lines].index("summary") == len(lines) - 1
    return lines


def test_a_run_that_goes_well(databox: Command, dataset_id: str) -> None:
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--log-json")
    assert (done.code, done.err) == (0, "")
    start, summary = lines_of(done)
    assert (start["event"], start["datasetId"], start["files"][0]["name"]) == ("start", dataset_id, "a.csv")
    assert (summary["level"], summary["status"], summary["appended"]) == ("info", "success", 350)


def test_progress_and_an_outage(
    databox: Command, box: Sandbox, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databox.cli.log.EVERY", 0.0)
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    monkeypatch.setattr("databox.ingest.patience.FIRST_WAIT", 0.01)
    monkeypatch.setattr("databox._sync.ingest.EVERY", 0.01)
    box.inject(Fault("create_ingestion", status=503, after=1))
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--log-json", "--patience", "0.5", "--concurrency", "1")
    assert done.code == 1
    lines = lines_of(done)
    progress = [line for line in lines if line["event"] == "progress"]
    assert {line["level"] for line in progress} == {"info", "warning"}
    waiting = next(line for line in progress if line["level"] == "warning")
    assert (waiting["waitingFor"], "503" in waiting["error"]) == ("service", True)
    summary = lines[-1]
    assert (summary["level"], summary["status"], summary["accepted"]) == ("error", "error", 100)
    assert summary["resume"].startswith("databox dataset ingest")
    assert summary["rowsCountedFrom"] == 1
    assert summary["errors"][-1]["file"] == "a.csv"
    assert "Not every row is stored." in done.err  # for whoever gets cron's mail
    assert box.api_key not in done.out + done.err


def test_progress_of_a_pipe_has_no_share(databox: Command, dataset_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much is still to come cannot be known."""
    monkeypatch.setattr("databox.cli.log.EVERY", 0.0)
    rows = b"id,name\n" + b"".join(b"%d,%s\n" % (n, b"x" * 2000) for n in range(600))
    done = databox("dataset", "ingest", dataset_id, "--log-json", "--concurrency", "1", stdin=rows)
    assert done.code == 0
    reading = [line for line in lines_of(done) if line["event"] == "progress" and line["waitingFor"] != "outcomes"]
    assert {(line["share"], line["secondsLeft"]) for line in reading} == {(None, None)}


def test_progress_is_not_told_all_the_time(databox: Command, dataset_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databox.cli.log.EVERY", 600.0)  # a busy machine needs longer than ten seconds
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--log-json", "--concurrency", "1")
    assert [line["event"] for line in lines_of(done)] == ["start", "summary"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["no-such-dataset", "a.csv"], 1),
        (["x", "missing.csv"], 2),
        (["x", "a.csv", "--column", "b=text"], 2),
        (["x", "a.csv", "--concurrency", "0"], 2),
        (["x", "a.csv", "--json"], 2),
    ],
)
def test_the_last_line_says_so_whatever_goes_wrong(databox: Command, arguments: list[str], code: int) -> None:
    done = databox("dataset", "ingest", *arguments, "--log-json")
    assert done.code == code
    assert done.err
    summary = lines_of(done)[-1]
    assert (summary["level"], summary["status"]) == ("error", "error")
    assert summary["message"] or summary["errors"]


def test_warnings_are_lines_of_it(databox: Command, dataset_id: str) -> None:
    Path("umlaut.csv").write_bytes("id,name\n1,Größe\n".encode("latin-1"))
    done = databox("dataset", "ingest", dataset_id, "umlaut.csv", "--log-json", "--dry-run")
    assert (done.code, done.err) == (0, "")
    lines = lines_of(done)
    assert lines[0]["event"] == "log"
    assert re.search("is a guess.* set --encoding", lines[0]["message"])
    assert (lines[-1]["dryRun"], lines[-1]["rows"]) == (True, 1)


def test_quiet_leaves_the_summary(databox: Command, dataset_id: str) -> None:
    done = databox("dataset", "ingest", dataset_id, "a.csv", "--log-json", "--quiet")
    assert [line["event"] for line in lines_of(done)] == ["summary"]


def test_what_comes_from_outside_stays_in_its_line(databox: Command, dataset_id: str) -> None:
    Path("wild.jsonl").write_text(json.dumps({"a\n\x1b[31m": 1, "id": 1}) + "\n")
    done = databox("dataset", "ingest", dataset_id, "wild.jsonl", "--log-json")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert lines_of(done)[0]["columns"][0]["name"] == "a\n\x1b[31m"
