"""Sources that hang or never end: rows read so far are sent, recorded and reported, and the run can be ended."""

import itertools
import math
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from databox import AsyncDatabox, AuthenticationError, Databox, IngestError, IngestProgress, IngestReport
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.programs import unmeasured
from tests.test_ingest import adds_up, ingestions, rows

HANGS = """
import json, sys, time
import anyio
from databox import AsyncDatabox, Databox

dataset, journal, kind = sys.argv[1:]
given = [{"id": n, "value": n / 8} for n in range(40)]
options = {"batch_size": 10, "journal": journal, "concurrency": 3}

def source():
    yield from given
    print("hangs", flush=True)
    time.sleep(60)

async def async_source():
    for row in given:
        yield row
    print("hangs", flush=True)
    await anyio.sleep(60)

async def main():
    async with AsyncDatabox(rate_limit=None) as client:
        await client.datasets.ingest(dataset, async_source(), **options)

try:
    if kind == "async":
        anyio.run(main)
    else:
        with Databox(rate_limit=None) as client:
            client.datasets.ingest(dataset, source(), **options)
except KeyboardInterrupt as error:
    error = error if hasattr(error, "report") else error.__context__  # asyncio turns Ctrl-C into a cancellation first
    report = error.report
    print(json.dumps({"rows": report.rows, "accepted": report.accepted, "unverified": report.unverified}))
"""


@pytest.fixture
def slow(box: Sandbox) -> Any:
    """A dataset without keys whose answers are so slow that they arrive while the source hangs."""
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
    box.inject(Fault("create_ingestion", delay=0.15))
    return dataset


def accepted_in(journal: Path) -> int:
    """Count the accepted batches in a journal that another process has locked, and may be writing to."""
    with closing(sqlite3.connect(":memory:")) as db, suppress(sqlite3.DatabaseError, FileNotFoundError):
        db.deserialize(journal.read_bytes())
        count = int(db.execute("select count(*) from batches where state = 'accepted'").fetchone()[0])
        # What is not committed yet is undone if the process dies: until then, this file begins with other than zeros.
        return count if not any(journal.with_name(f"{journal.name}-journal").read_bytes()[:8]) else 0
    return 0


@contextmanager
def hanging(box: Sandbox, dataset: Any, journal: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """A process whose source hangs after 40 rows, all of which have been answered."""
    environ = unmeasured(DATABOX_API_KEY=box.api_key, DATABOX_API_URL=box.url)
    command = [sys.executable, "-W", "error", "-c", HANGS, dataset.id, str(journal), kind]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        while accepted_in(journal) < 4:  # the last answer arrives, and is recorded
            time.sleep(0.01)
        yield process


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_killed_while_the_source_hangs_nothing_answered_is_sent_again(
    box: Sandbox, slow: Any, tmp_path: Path, kind: str
) -> None:
    journal = tmp_path / "journal"
    with hanging(box, slow, journal, kind) as process:
        process.kill()
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        report = client.datasets.ingest(slow, rows(40), batch_size=10, journal=journal)
    assert (report.accepted, report.appended, report.ambiguous) == (40, 40, 0)
    assert len(ingestions(box)) == 4


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ctrl_c_while_the_source_hangs(box: Sandbox, slow: Any, tmp_path: Path, kind: str) -> None:
    with hanging(box, slow, tmp_path / "journal", kind) as process:
        time.sleep(0.2)  # until it waits: a moment earlier, asyncio does not notice it
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    assert output == '{"rows": 40, "accepted": 40, "unverified": 40}\n'


def endless() -> Iterator[dict[str, Any]]:
    """Yield rows endlessly."""
    return ({"id": n} for n in itertools.count())


async def endless_async() -> AsyncIterator[dict[str, Any]]:
    """Yield rows endlessly, with an await before each."""
    for row in endless():
        await anyio.sleep(0)
        yield row


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_fatal_answer_ends_a_source_without_end(
    driver: Driver, client: Any, box: Sandbox, dataset: Any, concurrency: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databox.ingest.patience.DENIED_WAITS", (0.01, 0.03, 0.06))

    def source() -> Iterator[dict[str, Any]]:
        for row in endless():
            if row["id"] == 500:
                box.inject(Fault("create_ingestion", status=401))
            yield row

    with pytest.raises(IngestError) as caught:
        client.datasets.ingest(dataset, driver.source(source()), batch_size=10, concurrency=concurrency)
    report = caught.value.report
    assert adds_up(report)
    assert len(box.rows(dataset)) == report.accepted >= 450
    assert report.rows <= 500 + 10 * (concurrency + 2)
    told = [batch for batch in report.batches if batch.error]
    assert isinstance(told[-1].error, AuthenticationError)
    assert all(batch.outcome == "unsent" for batch in report.batches[told[-1].index + 1 :])


@pytest.mark.parametrize("source", [endless, endless_async])
def test_a_source_without_end_can_be_cancelled(box: Sandbox, source: Any) -> None:
    def ends(scope: anyio.CancelScope, now: IngestProgress) -> None:
        if now.accepted:
            scope.deadline = -math.inf

    async def main() -> tuple[IngestReport, str]:
        async with AsyncDatabox(box.api_key, box.url, rate_limit=None) as client:
            dataset = await client.datasets.create("D", data_source=await client.data_sources.create("S"))
            try:
                with anyio.fail_after(60) as scope:
                    await client.datasets.ingest(dataset, source(), batch_size=10, progress=partial(ends, scope))
            except TimeoutError as error:
                assert error.__context__ is not None
                return error.__context__.report, dataset.id  # type: ignore[attr-defined]
            raise AssertionError("it ended")

    report, dataset_id = anyio.run(main)
    assert adds_up(report)
    assert report.accepted > 0
    assert report.accepted <= len(box.rows(dataset_id)) <= report.accepted + report.ambiguous
