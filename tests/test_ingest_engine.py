"""The ingest engine under stress: order, concurrency, interrupts, sources that misbehave, verification, progress."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from databox import AsyncDatabox, Databox, IngestError, IngestProgress, RateLimit
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.marks import slow
from tests.test_ingest import adds_up, ingestions, rows, stored


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are tested as decisions elsewhere; here they only cost time."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    monkeypatch.setattr("databox.ingest.settle.FIRST_POLL", 0.01)
    monkeypatch.setattr("databox.ingest.patience.FIRST_WAIT", 0.002)
    monkeypatch.setattr("databox.ingest.patience.LOOK", 0.002)


SCHEDULES = [
    Fault("create_ingestion", status=503, probability=0.15),
    Fault("create_ingestion", status=500, probability=0.1),
    Fault("create_ingestion", drop="before", probability=0.1),
    Fault("create_ingestion", drop="after", probability=0.1),
    Fault("create_ingestion", status=200, body="<html>", probability=0.05),
    Fault("create_ingestion", status=400, probability=0.05),
    Fault("create_ingestion", delay=0.01, probability=0.3),
    Fault("create_ingestion", status=429, probability=0.05),
    Fault("get_ingestion", status=500, probability=0.1),
    Fault("get_ingestion", drop="after", probability=0.05),
]


@pytest.mark.parametrize("seeds", [range(10), *slow(range(first, first + 10) for first in range(10, 150, 10))], ids=str)
def test_whatever_happens_no_row_is_lost_doubled_or_misreported(
    driver: Driver, box: Sandbox, tmp_path: Path, seeds: range
) -> None:
    for seed in seeds:
        one_schedule(driver, box, tmp_path / f"{seed}.jsonl", seed)


def one_schedule(driver: Driver, box: Sandbox, dead: Path, seed: int) -> None:
    """Ingest under faults drawn from the seed, and compare the report with what the server has."""
    chance = Random(seed)
    box.reset()
    keyed = chance.random() < 0.5
    client = driver.client(box.api_key, box.url, max_retries=chance.choice([0, 1, 3]))
    source = client.data_sources.create("S")
    dataset = client.datasets.create("D", data_source=source, primary_keys=["id"] if keyed else None)
    for fault in chance.sample(SCHEDULES, 4):
        box.inject(fault)
    count = chance.randrange(40, 160)
    given = [{"id": n % 50 if keyed else n, "value": n} for n in range(count)]

    report = client.datasets.ingest(
        dataset,
        driver.source(given),
        batch_size=chance.choice([3, 7, 20]),
        concurrency=chance.choice([1, 2, 8]),
        verify=chance.choice(["counts", "counts", "status", None]),
        dead_letter=dead,
        raise_on_failure=False,
    )

    assert report.rows == count, seed
    assert adds_up(report), seed
    found = box.rows(dataset)
    made = {batch.first_row: batch for batch in report.batches}
    accepted = [n for n in range(count) if outcome_of(n, made) == "accepted"]
    lost = [n for n in range(count) if outcome_of(n, made) in ("failed", "unsent")]
    missing = [n for n in range(count) if outcome_of(n, made) != "accepted"]
    letters = [json.loads(line)["value"] for line in dead.read_text().splitlines()] if dead.exists() else []
    values = [row["value"] for row in found]
    if keyed:
        # The last accepted row of each key is stored, unless a later one with the same key may have been.
        for key in range(50):
            of_key = [n for n in range(count) if n % 50 == key]
            last = max((n for n in of_key if n in accepted), default=None)
            maybe = [n for n in of_key if outcome_of(n, made) == "ambiguous" and (last is None or n > last)]
            now = [row["value"] for row in found if row["id"] == key]
            assert len(now) <= 1, seed
            assert not now or now[0] in [last, *maybe], seed
            assert now or last is None, seed
        overtaken = [n for n in missing if any(later % 50 == n % 50 and later > n for later in accepted)]
        assert letters == [n for n in missing if n not in overtaken], seed
    else:
        assert len(values) == len(set(values)), seed
        assert set(accepted) <= set(values), seed
        assert not set(lost) & set(values), seed
        assert letters == lost, seed


def outcome_of(row: int, batches: dict[int, Any]) -> str:
    """Return what the report says about a row."""
    return batches[max(first for first in batches if first <= row)].outcome  # type: ignore[no-any-return]


def test_rows_of_one_key_reach_the_server_in_their_order(driver: Driver, box: Sandbox) -> None:
    client = driver.client(box.api_key, box.url, max_retries=5)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["id"])
    for delay in (0.03, 0.01):
        box.inject(Fault("create_ingestion", delay=delay, probability=0.4))
    box.inject(Fault("create_ingestion", drop="after", probability=0.2))
    given = [{"id": n % 7, "value": n} for n in range(120)]
    report = client.datasets.ingest(dataset, given, batch_size=3, concurrency=8)
    assert report.ok
    assert stored(box, dataset) == [
        {"id": key, "value": max(n for n in range(120) if n % 7 == key)} for key in range(7)
    ]


def in_flight_at_once(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record at each request how many are in flight."""
    import databox.sandbox.world as world

    now = [0]
    most = [0]
    lock = threading.Lock()
    real = world.World.create_ingestion

    def counting(self: Any, dataset_id: str, records: Any) -> str:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            return real(self, dataset_id, records)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(world.World, "create_ingestion", counting)
    return most


@pytest.mark.parametrize("concurrency", [2, 6])
def test_a_slow_link_is_used_by_several_requests_at_once(driver: Driver, box: Sandbox, concurrency: int) -> None:
    client = driver.client(box.api_key, box.url)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
    box.inject(Fault("create_ingestion", delay=0.1))
    started = time.monotonic()
    client.datasets.ingest(dataset, rows(24), batch_size=1, concurrency=concurrency, verify=None)
    took = time.monotonic() - started
    assert took >= 24 / concurrency * 0.1
    times = [request.received_at for request in ingestions(box)]
    # If sent one by one, each would arrive after the answer to the previous one, and so later than its delay.
    assert min(later - earlier for earlier, later in pairwise(times)) < 0.1


def test_the_source_is_read_no_further_than_requests_in_flight_need(driver: Driver, box: Sandbox) -> None:
    client = driver.client(box.api_key, box.url)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
    box.inject(Fault("create_ingestion", delay=0.02))
    box.requests  # noqa: B018
    ahead: list[int] = []

    def source() -> Iterator[dict[str, Any]]:
        for n in range(100):
            done = sum(request.status == 200 for request in ingestions(box))
            ahead.append(n // 5 - done)
            yield {"n": n}

    client.datasets.ingest(dataset, source(), batch_size=5, concurrency=3, verify=None)
    assert max(ahead) <= 3


def test_a_generator_is_read_in_the_callers_thread(box: Sandbox) -> None:
    threads: set[int] = set()

    def source() -> Iterator[dict[str, Any]]:
        for n in range(50):
            threads.add(threading.get_ident())
            yield {"n": n}

    with Databox(box.api_key, box.url, rate_limit=None) as client:
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
        box.inject(Fault("create_ingestion", delay=0.02))
        client.datasets.ingest(dataset, source(), batch_size=5)
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_source_that_raises_in_the_middle(driver: Driver, box: Sandbox, dataset: Any, concurrency: int) -> None:
    client = driver.client(box.api_key, box.url)
    box.inject(Fault("create_ingestion", delay=0.02))

    def source() -> Iterator[dict[str, Any]]:
        yield from rows(17)
        raise LookupError("the cursor is gone")

    with pytest.raises(IngestError, match="the cursor is gone") as caught:
        client.datasets.ingest(dataset, source(), batch_size=5, concurrency=concurrency)
    assert caught.value.report.appended == 17
    assert isinstance(caught.value.__cause__, LookupError)


@pytest.mark.parametrize("wrong", ["text", b"bytes", {"id": 1}])
def test_a_single_row_is_not_a_source(client: Any, dataset: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match="records must be rows"):
        client.datasets.ingest(dataset, wrong)


def test_what_is_no_source_at_all(client: Any, dataset: Any) -> None:
    with pytest.raises((TypeError, IngestError)):
        client.datasets.ingest(dataset, 5)


# Interrupts


def test_cancelling_leaves_a_report(box: Sandbox) -> None:
    async def main() -> BaseException:
        async with AsyncDatabox(box.api_key, box.url, rate_limit=None) as client:
            source = await client.data_sources.create("S")
            dataset = await client.datasets.create("D", data_source=source)
            box.inject(Fault("create_ingestion", delay=30, after=8))
            caught: list[BaseException] = []
            told: list[IngestProgress] = []

            async def run() -> None:
                try:
                    await client.datasets.ingest(dataset, rows(1000), batch_size=5, progress=told.append)
                except BaseException as error:
                    caught.append(error)
                    raise

            async with anyio.create_task_group() as group:
                group.start_soon(run)
                while not told or told[-1].accepted < 40 or len(ingestions(box)) <= 8:
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()
            return caught[0]

    report = anyio.run(main).report  # type: ignore[attr-defined]
    assert adds_up(report)
    assert report.accepted == 40
    assert 0 < report.ambiguous <= 20  # up to four batches were in flight
    assert report.rows < 100


INTERRUPTED = """
import sys, threading, time
from databox import Databox
with Databox(rate_limit=None) as client:
    dataset = sys.argv[1]
    try:
        client.datasets.ingest(dataset, ({"id": n} for n in range(100_000)), batch_size=5, concurrency=int(sys.argv[2]))
    except KeyboardInterrupt as error:
        report = error.report
        assert report.rows == report.accepted + report.ambiguous + report.unsent + report.failed
        print(report.rows, report.accepted, report.ambiguous, report.unsent, report.failed)
"""


@pytest.mark.parametrize("concurrency", [1, 4])
def test_ctrl_c_ends_cleanly_with_a_report(box: Sandbox, concurrency: int) -> None:
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
    box.inject(Fault("create_ingestion", delay=0.1))
    environ = {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
    command = [sys.executable, "-W", "error", "-c", INTERRUPTED, dataset.id, str(concurrency)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while len(ingestions(box)) < 12:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=120)
    assert errors == ""
    _, accepted, ambiguous, _, failed = (int(word) for word in output.split())
    assert failed == 0
    assert accepted <= len(box.rows(dataset)) <= accepted + ambiguous


# Verification


def polls(box: Sandbox) -> int:
    return sum(request.operation == "datasets.get_ingestion" for request in box.requests)


def test_each_outcome_is_fetched_once_when_the_server_is_quick(
    driver: Driver, client: Any, dataset: Any, box: Sandbox
) -> None:
    client.datasets.ingest(dataset, rows(200), batch_size=10)
    assert polls(box) == 20


def test_a_slow_server_is_asked_seldom(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databox.ingest.settle.FIRST_POLL", 0.1)  # each outcome begins the waits anew
    with Sandbox(processing_delay=1.0) as box:
        client = driver.client(box.api_key, box.url)
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
        report = client.datasets.ingest(dataset, rows(200), batch_size=10)
        assert report.appended == 200
        assert polls(box) < 20 + 16


def test_status_mode_reads_the_list(driver: Driver) -> None:
    with Sandbox(processing_delay=0.2) as box:
        client = driver.client(box.api_key, box.url)
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
        report = client.datasets.ingest(dataset, rows(1050), batch_size=5, verify="status")
        assert report.ok
        assert (report.appended, report.uncounted, report.unverified) == (0, 1050, 0)
        assert "rejected ones among them would not show" in str(report)
        assert polls(box) == 0
        listings = sum(request.operation == "datasets.list_ingestions" for request in box.requests)
        assert 3 <= listings < 210  # fewer than one for each ingestion, however slow the machine is


# Progress


def test_progress_tells_how_far_it_is(driver: Driver, box: Sandbox, dataset: Any) -> None:
    client = driver.client(box.api_key, box.url, rate_limit=RateLimit())
    told: list[IngestProgress] = []
    client.datasets.ingest(dataset, rows(50), batch_size=10, progress=told.append)
    assert [each.rows for each in told] == sorted(each.rows for each in told)
    assert (told[-1].rows, told[-1].accepted, told[-1].verified, told[-1].batches) == (50, 50, 50, 5)
    assert told[0].total_rows == 50
    assert {each.waiting_for for each in told} <= {"source", "answers", "outcomes"}
    left = [each.seconds_left for each in told]
    assert left[0] is not None
    assert 0.0 < left[0] <= 1.0
    assert left[-1] == 0.0


def test_a_broken_callback_costs_no_row(client: Any, dataset: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(progress: IngestProgress) -> None:
        raise RuntimeError("no terminal")

    assert client.datasets.ingest(dataset, rows(30), batch_size=10, progress=broken).ok
    assert caplog.text.count("RuntimeError: no terminal") == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"concurrency": 0}, ValueError),
        ({"concurrency": "4"}, TypeError),
        ({"progress": 5}, TypeError),
        ({"journal": 5}, TypeError),
        ({"dead_letter": ""}, TypeError),
    ],
)
def test_bad_options_of_the_engine(client: Any, box: Sandbox, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        client.datasets.ingest("d", rows(5), **options)
    assert not box.requests
