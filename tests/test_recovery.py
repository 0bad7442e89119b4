"""Outages are waited out, refused rows are isolated, denied keys are retried: whole runs over real HTTP."""

import asyncio
import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from databox import AsyncDatabox, Databox, IngestError, IngestProgress
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.scripted import Received, ScriptedServer, Step, answer, drop
from tests.test_ingest import adds_up, ingestions, rows, stored
from tests.test_ingest_files import reasons

QUICK: dict[str, Any] = {"verify": None, "raise_on_failure": False}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a second last a few milliseconds."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.002)
    monkeypatch.setattr("databox.ingest.settle.FIRST_POLL", 0.01)
    monkeypatch.setattr("databox.ingest.patience.FIRST_WAIT", 0.004)
    monkeypatch.setattr("databox.ingest.patience.LONGEST_WAIT", 0.12)
    monkeypatch.setattr("databox.ingest.patience.LOOK", 0.002)
    monkeypatch.setattr("databox.ingest.patience.DENIED_WAITS", (0.01, 0.03, 0.06))
    for half in ("_async", "_sync"):
        monkeypatch.setattr(f"databox.{half}.ingest.EVERY", 0.01)
        monkeypatch.setattr(f"databox.{half}.ingest.MOMENT", 0.002)


def values(request: Received) -> list[int]:
    """Return the ids of the rows in a request."""
    return [row["id"] for row in request.json["records"]]


def accepted(number: int) -> Step:
    return answer(200, {"requestId": "r", "status": "success", "ingestionId": f"i-{number}"})


def refused(words: str = "no", status: int = 400, **entry: Any) -> Step:
    return answer(status, {"status": "error", "errors": [{"code": "invalid_input", "message": words, **entry}]})


UNAVAILABLE = answer(503, {"status": "error", "errors": [{"code": "service_unavailable", "message": "later"}]})


# Patience


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 4])
def test_20_000_rows_over_a_service_that_goes_away_for_a_minute(
    driver: Driver, box: Sandbox, plain: Any, concurrency: int
) -> None:
    """Its minute lasts a quarter of a second, because a second of the waits lasts four milliseconds."""
    client = driver.client(box.api_key, box.url, max_retries=4)
    box.inject(Fault("create_ingestion", status=503, after=60, seconds=0.25))
    report = client.datasets.ingest(plain, rows(20_000), concurrency=concurrency)
    assert (report.appended, report.rows) == (20_000, 20_000)
    assert stored(box, plain) == rows(20_000)
    failed = sum(request.status == 503 for request in ingestions(box))
    assert 0 < failed < 60  # it was tried rarely


@pytest.mark.parametrize("how", [{"drop": "before"}, {"drop": "after"}, {"status": 500}, {"status": 429}], ids=str)
def test_with_keys_every_kind_of_outage_is_waited_out(
    driver: Driver, box: Sandbox, dataset: Any, how: dict[str, Any]
) -> None:
    client = driver.client(box.api_key, box.url, max_retries=1)
    box.inject(Fault("create_ingestion", after=3, seconds=0.1, **how))
    report = client.datasets.ingest(dataset, rows(200), batch_size=10)
    assert report.accepted == 200
    assert stored(box, dataset) == rows(200)


def test_a_lost_answer_without_keys_is_no_matter_of_patience(client: Any, plain: Any, box: Sandbox) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=2))
    report = client.datasets.ingest(plain, rows(50), batch_size=10, **QUICK)
    assert (report.ambiguous, report.accepted) == (20, 30)
    assert len(box.rows(plain)) == 50


@pytest.mark.parametrize("concurrency", [1, 2, 4])
@pytest.mark.parametrize("retries", [0, 2])
def test_one_batch_that_always_fails_is_no_outage(
    driver: Driver, server: ScriptedServer, concurrency: int, retries: int
) -> None:
    tries: Counter[int] = Counter()

    def decide(request: Received) -> Step:
        first = values(request)[0]
        tries[first] += 1
        return UNAVAILABLE if first == 20 else accepted(first)

    server.decides(decide)
    client = driver.client(base_url=server.url, max_retries=retries)
    report = client.datasets.ingest("d", rows(200), batch_size=10, concurrency=concurrency, **QUICK)
    assert [batch.first_row for batch in report.batches if batch.outcome == "failed"] == [20]
    assert (report.failed, report.accepted) == (10, 190)
    assert tries[20] < 20  # two or three times all its attempts, and a few tries
    assert all(count == 1 for first, count in tries.items() if first != 20)


def test_batches_that_always_fail_among_others(driver: Driver, server: ScriptedServer) -> None:
    server.decides(lambda request: UNAVAILABLE if values(request)[0] % 100 == 50 else accepted(values(request)[0]))
    client = driver.client(base_url=server.url, max_retries=1)
    report = client.datasets.ingest("d", rows(1000), batch_size=10, patience=20, **QUICK)
    assert (report.failed, report.accepted) == (100, 900)


def test_when_the_patience_is_over_the_run_stops_and_says_how_to_go_on(
    driver: Driver, box: Sandbox, plain: Any, tmp_path: Path
) -> None:
    client = driver.client(box.api_key, box.url, max_retries=1)
    taken: list[int] = []

    def given() -> Any:
        for n, row in enumerate(rows(1000)):
            taken.append(n)
            yield row

    box.inject(Fault("create_ingestion", status=503, after=5))
    options = {"batch_size": 10, "journal": tmp_path / "journal", "verify": None}
    started = time.monotonic()
    with pytest.raises(IngestError) as caught:
        client.datasets.ingest(plain, driver.source(given()), patience=0.2, **options)
    assert 0.2 <= time.monotonic() - started < 30
    report = caught.value.report
    assert adds_up(report)
    assert report.accepted == 50
    assert report.failed + report.unsent == report.rows - 50 == len(taken) - 50 < 150
    assert not report.complete
    assert "took nothing for" in str(report)
    assert "to go on where it stopped" in str(report)
    assert "503" in str(report)
    box.clear_faults()
    again = client.datasets.ingest(plain, rows(1000), **options)
    assert again.accepted == 1000
    assert stored(box, plain) == rows(1000)


@pytest.mark.parametrize("keyed", [True, False])
def test_without_a_journal_the_advice_doubles_nothing(
    driver: Driver, box: Sandbox, dataset: Any, plain: Any, keyed: bool
) -> None:
    client = driver.client(box.api_key, box.url)
    into = dataset if keyed else plain
    box.inject(Fault("create_ingestion", status=503, after=2))
    report = client.datasets.ingest(into, rows(100), batch_size=10, patience=0.05, **QUICK)
    assert ("rows that are stored already stay stored once" in str(report)) is keyed
    assert ("Send the rows that were not accepted again" in str(report)) is not keyed
    box.clear_faults()
    rest = rows(100)
    if not keyed:
        known = {
            n
            for each in report.batches
            if each.outcome == "accepted"
            for n in range(each.first_row, each.first_row + each.rows)
        }
        rest = [row for n, row in enumerate(rest) if n not in known]
    assert client.datasets.ingest(into, rest).ok
    assert stored(box, into) == rows(100)


def test_no_patience_is_as_before(driver: Driver, box: Sandbox, plain: Any) -> None:
    client = driver.client(box.api_key, box.url, max_retries=1)
    box.inject(Fault("create_ingestion", status=503, times=4))
    report = client.datasets.ingest(plain, rows(50), batch_size=10, concurrency=1, patience=0, **QUICK)
    assert (report.failed, report.accepted, report.complete) == (20, 30, True)


def test_retry_after_goes_before_the_growing_waits(driver: Driver, server: ScriptedServer) -> None:
    asked: list[float] = []

    def decide(request: Received) -> Step:
        asked.append(time.monotonic())
        return answer(429, b"", {"retry-after": "0.3"}) if len(asked) < 4 else accepted(values(request)[0])

    server.decides(decide)
    client = driver.client(base_url=server.url)
    assert client.datasets.ingest("d", rows(10), **QUICK).accepted == 10
    assert all(later - earlier >= 0.3 for earlier, later in zip(asked, asked[1:], strict=False))


def test_rows_of_one_key_keep_their_order_while_others_wait(driver: Driver, server: ScriptedServer) -> None:
    came: list[int] = []
    left = [12]

    def decide(request: Received) -> Step:
        if left[0]:
            left[0] -= 1
            return UNAVAILABLE
        came.extend(row["n"] for row in request.json["records"])
        return accepted(came[-1])

    server.decides(decide)
    client = driver.client(base_url=server.url)
    given = [{"id": n % 3, "n": n} for n in range(60)]
    report = client.datasets.ingest("d", given, primary_keys=["id"], batch_size=1, concurrency=3, **QUICK)
    assert report.accepted == 60
    for key in range(3):
        assert [n for n in came if n % 3 == key] == list(range(key, 60, 3))


def test_progress_says_what_is_waited_for(driver: Driver, box: Sandbox, plain: Any) -> None:
    client = driver.client(box.api_key, box.url)
    seen: list[IngestProgress] = []
    box.inject(Fault("create_ingestion", status=503, after=2, seconds=0.3))
    assert client.datasets.ingest(plain, rows(100), batch_size=10, patience=60, progress=seen.append).ok
    waiting = [now for now in seen if now.waiting_for == "service"]
    assert waiting
    assert all("503" in str(now.error) for now in waiting)
    assert [now.waited for now in waiting] == sorted(now.waited for now in waiting)
    assert all(59 < (now.patience_left or 0) + now.waited < 61 for now in waiting)
    assert (seen[-1].error, seen[-1].waited, seen[-1].patience_left) == (None, 0.0, None)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_interrupt_ends_the_waiting_at_once(box: Sandbox, tmp_path: Path, kind: str) -> None:
    """The next try would come after two minutes."""
    with Databox(box.api_key, box.url, rate_limit=None, max_retries=0) as client:
        plain = client.datasets.create("D", data_source=client.data_sources.create("S"))
        box.inject(Fault("create_ingestion", status=503, headers={"retry-after": "120"}, after=2))
        options: dict[str, Any] = {"batch_size": 10, "concurrency": 1, "verify": None, "journal": tmp_path / "journal"}
        started = time.monotonic()
        error = (interrupted if kind == "sync" else cancelled)(box, plain.id, options)
        assert time.monotonic() - started < 60
        assert adds_up(error.report)
        assert error.report.ambiguous == 0
        box.clear_faults()
        assert client.datasets.ingest(plain, rows(100), **options).accepted == 100
        assert stored(box, plain) == rows(100)


def interrupted(box: Sandbox, dataset: str, options: dict[str, Any]) -> Any:
    """An ingest that Ctrl-C ended while it waited."""

    def interrupt(now: IngestProgress) -> None:
        if now.waiting_for == "service":
            raise KeyboardInterrupt

    with (
        Databox(box.api_key, box.url, rate_limit=None, max_retries=0) as client,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        client.datasets.ingest(dataset, rows(100), progress=interrupt, **options)
    return caught.value


def cancelled(box: Sandbox, dataset: str, options: dict[str, Any]) -> Any:
    """An ingest that was cancelled while it waited."""

    async def main() -> Any:
        async with AsyncDatabox(box.api_key, box.url, rate_limit=None, max_retries=0) as client:

            def cancel(now: IngestProgress) -> None:
                if now.waiting_for == "service":
                    task.cancel()

            task = asyncio.ensure_future(client.datasets.ingest(dataset, rows(100), progress=cancel, **options))
            try:
                await task
            except asyncio.CancelledError as error:
                return error

    return asyncio.run(main())


@pytest.mark.slow
def test_no_more_requests_than_concurrency_are_on_their_way(driver: Driver, server: ScriptedServer) -> None:
    lock, now, most, count = threading.Lock(), [0], [0], [0]

    def decide(request: Received) -> Step:
        with lock:
            count[0] += 1
            now[0] += 1
            most[0] = max(most[0], now[0])
            step = UNAVAILABLE if 3 < count[0] < 30 else accepted(values(request)[0])

        def slowly(connection: Any) -> None:
            time.sleep(0.02)
            with lock:
                now[0] -= 1
            step(connection)

        return slowly

    server.decides(decide)
    client = driver.client(base_url=server.url, max_retries=1)
    assert client.datasets.ingest("d", rows(300), batch_size=10, concurrency=3, **QUICK).accepted == 300
    assert most[0] <= 3


# Isolation


@pytest.mark.slow
@pytest.mark.parametrize("keyed", [True, False])
def test_a_bad_row_in_each_of_20_batches(
    driver: Driver, box: Sandbox, dataset: Any, plain: Any, tmp_path: Path, keyed: bool
) -> None:
    client, into = driver.client(box.api_key, box.url), dataset if keyed else plain
    bad = {100 * n + (37 * n) % 100 for n in range(20)}
    box.inject(Fault("create_ingestion", when=lambda row: row["id"] in bad))
    report = client.datasets.ingest(into, rows(2000), dead_letter=tmp_path / "dead", raise_on_failure=False)
    failed = [batch for batch in report.batches if batch.outcome == "failed"]
    assert [(batch.first_row, batch.rows) for batch in failed] == [(place, 1) for place in sorted(bad)]
    assert all("[field records[0]]" in str(batch.error) for batch in failed)
    assert (report.failed, report.appended) == (20, 1980)
    assert stored(box, into) == [row for row in rows(2000) if row["id"] not in bad]
    assert len(ingestions(box)) <= 20 * 16
    letters = [json.loads(line) for line in (tmp_path / "dead").read_text().splitlines()]
    assert [row["id"] for row in letters] == [letter["index"] for letter in reasons(tmp_path / "dead")] == sorted(bad)


@pytest.mark.parametrize(("status", "count"), [(400, 100), (413, 100), (413, 8), (422, 100)])
def test_where_everything_is_refused_alike_it_is_the_request(
    driver: Driver, server: ScriptedServer, status: int, count: int
) -> None:
    server.will(refused("The request is not allowed.", status))
    client = driver.client(base_url=server.url)
    report = client.datasets.ingest("d", rows(count), **QUICK)
    assert [(batch.first_row, batch.rows, batch.outcome) for batch in report.batches] == [(0, count, "failed")]
    # If a request is too large, a single row is tried as well, because it may be small enough.
    assert len(server.requests) == (8 if status == 413 else 7)
    assert "the refusal is about the request" in str(report)


def test_what_is_too_large_goes_in_smaller_requests(driver: Driver, server: ScriptedServer) -> None:
    server.decides(lambda request: answer(413, "") if len(request.body) > 400 else accepted(values(request)[0]))
    client = driver.client(base_url=server.url)
    report = client.datasets.ingest("d", rows(100), **QUICK)
    assert report.accepted == 100
    assert report.ok


def test_words_that_name_a_column_are_about_rows(driver: Driver, server: ScriptedServer) -> None:
    def decide(request: Received) -> Step:
        bad = any(n % 10 == 0 for n in values(request))
        return refused("Column 'value' is out of bounds.") if bad else accepted(values(request)[0])

    server.decides(decide)
    client = driver.client(base_url=server.url)
    report = client.datasets.ingest("d", rows(100), **QUICK)
    assert (report.failed, report.accepted) == (10, 90)
    assert all(batch.rows == 1 for batch in report.batches if batch.outcome == "failed")


LONG_WINDED = {
    "thousands of spaces": [{"code": "invalid_input", "message": f"row{' ' * 20_000}is not allowed"}],
    "thousands of errors": [{"code": "invalid_input", "message": f"Not allowed: {n:x}."} for n in range(9000)],
}


@pytest.mark.parametrize("errors", LONG_WINDED.values(), ids=LONG_WINDED)
def test_a_long_refusal_is_searched_at_once(driver: Driver, server: ScriptedServer, errors: list[Any]) -> None:
    """One search for each column in each message would take minutes; trying all ways to match the spaces, hours."""
    server.will(answer(400, {"status": "error", "errors": errors}))
    row = {f"column {n}": n for n in range(600)}
    report = driver.client(base_url=server.url).datasets.ingest("d", [row] * 100, **QUICK)
    assert (report.failed, len(report.batches), len(server.requests)) == (100, 1, 7)


@pytest.mark.slow
def test_after_100_rows_refused_batches_fail_as_a_whole(driver: Driver, box: Sandbox, plain: Any) -> None:
    client = driver.client(box.api_key, box.url)
    box.inject(Fault("create_ingestion", when=lambda row: row["id"] % 5 == 0))
    report = client.datasets.ingest(plain, rows(2000), concurrency=1, **QUICK)
    single = [batch for batch in report.batches if batch.outcome == "failed" and batch.rows == 1]
    assert 100 <= len(single) <= 101
    assert adds_up(report)
    assert report.batches[-1].rows == 100
    assert "100 rows of this run had been refused one by one" in str(report.batches[-1].error)
    assert {row["id"] for row in box.rows(plain)} == {
        n
        for batch in report.batches
        if batch.outcome == "accepted"
        for n in range(batch.first_row, batch.first_row + batch.rows)
    }


def test_each_run_of_a_journal_isolates_other_rows(
    driver: Driver, box: Sandbox, plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that an earlier run isolated are sent one by one anyway, so they leave the budget to others."""
    monkeypatch.setattr("databox.ingest.isolation.Budget.__init__.__defaults__", (4,))
    client = driver.client(box.api_key, box.url)
    box.inject(Fault("create_ingestion", when=lambda row: row["id"] % 10 == 0))  # one in each batch
    options = {"journal": tmp_path / "journal", "batch_size": 10, "concurrency": 1, **QUICK}
    failed = [client.datasets.ingest(plain, rows(100), **options).failed for _ in range(4)]
    assert failed == [4 + 60, 8 + 20, 10, 10]
    assert stored(box, plain) == [row for row in rows(100) if row["id"] % 10]


def test_a_part_that_is_lost_without_keys_is_ambiguous_alone(driver: Driver, server: ScriptedServer) -> None:
    server.will(refused(field="records[7]"), drop, refused(field="records[2]"), accepted(1), accepted(2), accepted(3))
    client = driver.client(base_url=server.url)
    report = client.datasets.ingest("d", rows(8), **QUICK)
    assert (report.ambiguous, report.accepted) == (4, 4)


def test_an_outage_in_the_middle_of_an_isolation(driver: Driver, box: Sandbox, plain: Any, tmp_path: Path) -> None:
    client = driver.client(box.api_key, box.url, max_retries=1)
    box.inject(Fault("create_ingestion", status=503, after=4, seconds=0.1))
    box.inject(Fault("create_ingestion", when=lambda row: row["id"] in (3, 77)))
    report = client.datasets.ingest(plain, rows(300), journal=tmp_path / "journal", **QUICK)
    assert (report.failed, report.accepted) == (2, 298)
    assert stored(box, plain) == [row for row in rows(300) if row["id"] not in (3, 77)]


def test_patience_that_ends_in_the_middle_of_an_isolation_is_gone_on_with(
    driver: Driver, box: Sandbox, plain: Any, tmp_path: Path
) -> None:
    client = driver.client(box.api_key, box.url)
    options = {"journal": tmp_path / "journal", "dead_letter": tmp_path / "dead", **QUICK}
    bad = Fault("create_ingestion", when=lambda row: row["id"] in (3, 77))
    box.inject(Fault("create_ingestion", status=503, after=4))
    box.inject(bad)
    first = client.datasets.ingest(plain, rows(100), patience=0.05, **options)
    assert first.accepted == len(box.rows(plain)) < 98
    assert (first.ambiguous, first.rows) == (0, 100)
    assert len(reasons(tmp_path / "dead")) == 100 - first.accepted
    box.clear_faults()
    box.inject(bad)
    again = client.datasets.ingest(plain, rows(100), **options)
    assert [(batch.first_row, batch.rows) for batch in again.batches if batch.outcome == "failed"] == [(3, 1), (77, 1)]
    assert stored(box, plain) == [row for row in rows(100) if row["id"] not in (3, 77)]
    assert [letter["index"] for letter in reasons(tmp_path / "dead")] == [3, 77]
    third = client.datasets.ingest(plain, rows(100), **options)
    assert (third.failed, third.accepted) == (2, 98)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "invalid_json"), (404, "not_found"), (405, "method_not_allowed"), (415, "unsupported_media_type")],
)
def test_what_is_not_about_rows_is_not_taken_apart(
    driver: Driver, server: ScriptedServer, status: int, code: str
) -> None:
    server.will(answer(status, {"status": "error", "errors": [{"code": code, "message": "no"}]}))
    report = driver.client(base_url=server.url).datasets.ingest("d", rows(10), **QUICK)
    assert (report.failed, len(server.requests)) == (10, 1)


def test_a_full_dataset_stops_the_run(client: Any, plain: Any, box: Sandbox) -> None:
    full = {"status": "error", "errors": [{"code": "dataset_limit_exceeded", "message": "full"}]}
    box.inject(Fault("create_ingestion", status=400, body=full, after=3))
    report = client.datasets.ingest(plain, rows(1000), batch_size=10, concurrency=1, **QUICK)
    assert (report.accepted, report.failed) == (30, 10)
    assert not report.complete
    assert len(ingestions(box)) == 4


# Keys that are denied for a moment


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_passing_refusal_of_the_key(driver: Driver, box: Sandbox, plain: Any, status: int, concurrency: int) -> None:
    client = driver.client(box.api_key, box.url)
    box.inject(Fault("create_ingestion", status=status, after=3, times=3))
    report = client.datasets.ingest(plain, rows(200), batch_size=10, concurrency=concurrency, patience=0)
    assert report.appended == 200
    assert stored(box, plain) == rows(200)


def test_a_key_that_stays_refused_ends_the_run(driver: Driver, box: Sandbox, plain: Any) -> None:
    client = driver.client(box.api_key, box.url)
    box.inject(Fault("create_ingestion", status=401, after=3))
    report = client.datasets.ingest(plain, rows(500), batch_size=10, concurrency=1, **QUICK)
    assert (report.accepted, report.complete) == (30, False)
    assert sum(request.status == 401 for request in ingestions(box)) == 4
    assert "it was tried 3 times more" in str(report)


def test_a_key_that_never_was_right_is_not_tried_again(client: Any, plain: Any, box: Sandbox) -> None:
    box.inject(Fault("create_ingestion", status=401))
    report = client.datasets.ingest(plain, rows(500), batch_size=10, **QUICK)
    assert (report.failed, len(ingestions(box))) == (10, 1)
