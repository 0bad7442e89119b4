"""Ingesting: every row has exactly one outcome, and the report says which."""

import json
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from databox import (
    Dataset,
    IngestError,
    IngestionTimeoutError,
    IngestReport,
    InvalidRecordError,
    NotFoundError,
    ServerError,
)
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.scripted import Received, ScriptedServer, Step, answer, head, pieces


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are tested as decisions elsewhere; here they only cost time."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    monkeypatch.setattr("databox.ingest.settle.FIRST_POLL", 0.01)
    monkeypatch.setattr("databox.ingest.patience.FIRST_WAIT", 0.002)
    monkeypatch.setattr("databox.ingest.patience.LOOK", 0.002)


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": n, "value": n / 8} for n in range(start, start + count)]


def adds_up(report: IngestReport) -> bool:
    whole = report.accepted + report.failed + report.invalid + report.ambiguous + report.unsent
    stored = report.appended + report.overwritten + report.rejected + report.uncounted + report.unverified
    return report.rows == whole == sum(batch.rows for batch in report.batches) and report.accepted == stored


def stored(box: Sandbox, dataset: Any) -> list[dict[str, Any]]:
    """Return the rows in the dataset by id, because batches in flight together may arrive in any order."""
    return sorted(box.rows(dataset), key=lambda row: row["id"])


def ingestions(box: Sandbox) -> list[Any]:
    return [request for request in box.requests if request.operation == "datasets.create_ingestion"]


def test_every_row_is_stored_and_counted(driver: Driver, client: Any, dataset: Any, box: Sandbox) -> None:
    report = client.datasets.ingest(dataset, driver.source(rows(250)))

    assert stored(box, dataset) == rows(250)
    assert (report.rows, report.accepted, report.appended, report.overwritten) == (250, 250, 250, 0)
    assert report.ok
    assert adds_up(report)
    assert [(batch.index, batch.first_row, batch.rows) for batch in report.batches] == [
        (0, 0, 100),
        (1, 100, 100),
        (2, 200, 50),
    ]
    assert {batch.outcome for batch in report.batches} == {"accepted"}
    assert len({batch.ingestion_id for batch in report.batches}) == 3
    assert str(report).startswith("250 rows read, 250 accepted")
    report.raise_for_failures()

    again = client.datasets.ingest(dataset, rows(250))
    assert (again.appended, again.overwritten) == (0, 250)
    assert stored(box, dataset) == rows(250)


def test_no_rows(client: Any, dataset: Any, box: Sandbox) -> None:
    report = client.datasets.ingest(dataset, [])
    assert (report.rows, report.ok, report.batches) == (0, True, ())
    assert not ingestions(box)


def test_batches_are_cut_by_count_and_by_bytes(client: Any, dataset: Any, box: Sandbox) -> None:
    client.datasets.ingest(dataset, rows(30), batch_size=7)
    assert sorted(len(request.json["records"]) for request in ingestions(box)) == [2, 7, 7, 7, 7]
    before = len(ingestions(box))
    client.datasets.ingest(dataset, rows(30), max_batch_bytes=200)
    assert all(len(request.body) <= 200 for request in ingestions(box)[before:])
    assert stored(box, dataset) == rows(30)


def test_invalid_rows_are_told_and_the_others_sent(client: Any, dataset: Any, box: Sandbox) -> None:
    good = rows(5)
    source = [good[0], {"id": 9, "value": [1]}, *good[1:], "not a row"]
    with pytest.raises(IngestError, match="Row 1, column 'value'") as caught:
        client.datasets.ingest(dataset, source)
    report = caught.value.report
    assert (report.rows, report.accepted, report.invalid) == (7, 5, 2)
    assert adds_up(report)
    assert stored(box, dataset) == good
    assert isinstance(report.batches[1].error, InvalidRecordError)


def entries(report: IngestReport) -> list[tuple[int, int, str]]:
    return [(batch.first_row, batch.rows, batch.outcome) for batch in report.batches]


def test_each_invalid_row_is_named(client: Any, dataset: Any, box: Sandbox) -> None:
    given = [
        {"id": 0},
        {"id": 1, "a": [1]},
        {"id": 2},
        {"id": 3, "b": b""},
        {"id": 4, "a": {}},
        {"id": None},
        {"id": 6},
    ]
    report = client.datasets.ingest(dataset, given, raise_on_failure=False)
    assert len(ingestions(box)) == 1
    # An entry covers only the rows it is about; the entries of one request share its id.
    assert entries(report) == [
        (0, 1, "accepted"),
        (1, 1, "invalid"),
        (2, 1, "accepted"),
        (3, 1, "invalid"),
        (4, 1, "invalid"),
        (5, 1, "invalid"),
        (6, 1, "accepted"),
    ]
    assert len({batch.ingestion_id for batch in report.batches if batch.ingestion_id}) == 1
    invalid: list[Any] = [batch.error for batch in report.batches if batch.outcome == "invalid"]
    assert [(error.index, error.column) for error in invalid] == [(1, "a"), (3, "b"), (4, "a"), (5, "id")]
    assert adds_up(report)
    assert all(f"Row {error.index}, column {error.column!r}" in str(error) for error in invalid)


def test_rows_in_a_row_that_are_invalid_for_one_reason_share_an_entry(client: Any, dataset: Any) -> None:
    given = [*({"id": n, "a": [n]} for n in range(250)), {"id": 250}, *({"id": n, "a": [n]} for n in range(251, 254))]
    report = client.datasets.ingest(dataset, given, batch_size=10, raise_on_failure=False)
    assert entries(report) == [(0, 250, "invalid"), (250, 1, "accepted"), (251, 3, "invalid")]


@pytest.mark.slow
def test_after_a_thousand_entries_the_rest_are_counted_in_one(client: Any, dataset: Any, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    given = [{"id": n, "a": [n]} if n % 2 else {"id": n} for n in range(2300)]
    report = client.datasets.ingest(dataset, given, dead_letter=dead, raise_on_failure=False)
    assert adds_up(report)
    assert (report.accepted, report.invalid) == (1150, 1150)
    invalid = [batch for batch in report.batches if batch.outcome == "invalid"]
    assert len(invalid) == 1001
    assert [(batch.first_row, batch.rows) for batch in invalid[:1000]] == [(n, 1) for n in range(1, 2000, 2)]
    assert invalid[1000].rows == 150
    assert "150 more rows could not be encoded, and are not listed one by one. Row 2001" in str(invalid[1000].error)
    assert len(report.batches) < 2100
    told = (tmp_path / "dead.jsonl.reasons.jsonl").read_text().splitlines()  # has them all
    assert [json.loads(line)["index"] for line in told] == list(range(1, 2300, 2))


def test_a_row_that_raises_is_invalid_and_the_others_go(client: Any, dataset: Any, tmp_path: Path) -> None:
    class Gone(dict[str, Any]):
        def __iter__(self) -> Iterator[str]:
            raise ConnectionError("the cursor is closed")

        keys = __iter__  # type: ignore[assignment]

    given = [{"id": 1}, Gone(id=2), {"id": 2.0**70}]
    report = client.datasets.ingest(dataset, given, raise_on_failure=False)
    assert entries(report) == [(0, 1, "accepted"), (1, 1, "invalid"), (2, 1, "accepted")]
    assert "Row 1 cannot be read: ConnectionError: the cursor is closed." in str(report)


class Unmeasured(list[Any]):
    """Rows without a length."""

    def __len__(self) -> int:
        raise OSError("no such table")


def test_a_length_that_cannot_be_had_breaks_nothing(client: Any, dataset: Any, box: Sandbox) -> None:
    told: list[Any] = []
    assert client.datasets.ingest(dataset, Unmeasured(rows(5)), progress=told.append).ok
    assert {each.total_rows for each in told} == {None}
    assert stored(box, dataset) == rows(5)


def test_a_report_instead_of_an_error(client: Any, dataset: Any) -> None:
    report = client.datasets.ingest(dataset, [{}], raise_on_failure=False)
    assert not report.ok
    with pytest.raises(IngestError):
        report.raise_for_failures()


def test_a_row_larger_than_a_request_is_invalid(client: Any, dataset: Any, box: Sandbox) -> None:
    source = [*rows(2), {"id": 5, "value": "x" * 500}, *rows(2, 10)]
    report = client.datasets.ingest(dataset, source, max_batch_bytes=300, raise_on_failure=False)
    assert (report.accepted, report.invalid) == (4, 1)
    assert "max_batch_bytes" in str(report)
    assert len(box.rows(dataset)) == 4


def test_rejected_rows_are_told(client: Any, dataset: Any, box: Sandbox) -> None:
    rows = [{"id": 1, "n": 1}, {"id": 2, "n": "two"}, {"id": 3, "n": "three"}]
    report = client.datasets.ingest(dataset, rows, raise_on_failure=False)
    assert (report.accepted, report.appended, report.rejected) == (3, 1, 2)
    assert not report.ok
    assert "2 rejected" in str(report)


def test_a_reason_that_many_rows_share_is_told_once(client: Any, dataset: Any) -> None:
    rows = [{"id": 1, "n": 1}, *({"id": n, "n": "one"} for n in range(2, 9))]
    report = client.datasets.ingest(dataset, rows, raise_on_failure=False)
    assert str(report).count("the value is a string") == 1
    assert not str(report).endswith("..")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_fatal_answer_stops_the_run_and_the_reading(
    driver: Driver, client: Any, dataset: Any, box: Sandbox, status: int
) -> None:
    read = 0

    def source() -> Iterator[dict[str, Any]]:
        nonlocal read
        for row in rows(10_000):
            read += 1
            yield row

    box.inject(Fault("create_ingestion", status=status))
    report = client.datasets.ingest(dataset, source(), batch_size=10, raise_on_failure=False)
    assert read == report.rows < 1000
    assert report.failed == 10
    assert report.unsent == report.rows - 10
    assert adds_up(report)


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_a_refused_batch_lets_the_rest_go_on(client: Any, dataset: Any, box: Sandbox, status: int) -> None:
    box.inject(Fault("create_ingestion", status=status, times=1))
    options = {"on_refusal": "report", "batch_size": 10, "raise_on_failure": False}
    report = client.datasets.ingest(dataset, rows(30), **options)
    assert (report.accepted, report.failed) == (20, 10)
    assert adds_up(report)
    assert len(box.rows(dataset)) == 20


def test_exhausted_attempts_are_failed(driver: Driver, box: Sandbox, dataset: Any) -> None:
    client = driver.client(box.api_key, box.url, max_retries=2)
    box.inject(Fault("create_ingestion", status=503, times=3))
    report = client.datasets.ingest(dataset, rows(20), batch_size=10, patience=0, raise_on_failure=False)
    assert (report.accepted, report.failed) == (10, 10)
    assert adds_up(report)


def test_errors_in_a_report_hold_no_rows(driver: Driver, box: Sandbox, dataset: Any) -> None:
    """The frames of a traceback would keep each failed batch in memory."""
    client = driver.client(box.api_key, box.url, max_retries=1)
    for fault in ({"status": 400}, {"status": 503}, {"drop": "after"}, {"body": "<html>"}):
        box.inject(Fault("create_ingestion", times=2, **fault))
        box.inject(Fault("get_ingestion", status=500, times=1))
    given = [{"id": n, "value": [n]} if n % 10 == 3 else {"id": n} for n in range(100)]
    options = {"patience": 0, "on_refusal": "report", "verify_timeout": 0, "raise_on_failure": False}
    report = client.datasets.ingest(dataset, given, batch_size=10, **options)
    errors: list[BaseException] = [batch.error for batch in report.batches if batch.error]
    assert len(errors) > 10
    while errors:
        error = errors.pop()
        assert error.__traceback__ is None
        errors += filter(None, [error.__cause__ or error.__context__])


LOST = [
    Fault("create_ingestion", drop="after", times=1),
    Fault("create_ingestion", drop="before", times=1),
    Fault("create_ingestion", status=500, times=1),
    Fault("create_ingestion", status=502, body="<html>", times=1),
    Fault("create_ingestion", status=200, body="<html>", times=1),
    Fault("create_ingestion", status=200, body={"status": "success"}, times=1),
]


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_is_resent_with_keys(driver: Driver, box: Sandbox, dataset: Any, fault: Fault) -> None:
    client = driver.client(box.api_key, box.url, max_retries=2)
    box.inject(fault)
    report = client.datasets.ingest(dataset, rows(30), batch_size=10)
    assert report.ok
    assert report.accepted == 30
    assert stored(box, dataset) == rows(30)
    assert len(ingestions(box)) == 4


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_is_reported_without_keys(driver: Driver, box: Sandbox, fault: Fault) -> None:
    client = driver.client(box.api_key, box.url, max_retries=2)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
    box.inject(fault)
    report = client.datasets.ingest(dataset, rows(30), batch_size=10, raise_on_failure=False)
    assert (report.accepted, report.ambiguous) == (20, 10)
    assert adds_up(report)
    assert len(ingestions(box)) == 3
    assert "ambiguous" in str(report)


def test_ambiguity_as_the_caller_wants_it(driver: Driver, box: Sandbox, dataset: Any) -> None:
    client = driver.client(box.api_key, box.url, max_retries=1)
    box.inject(LOST[0])
    report = client.datasets.ingest(dataset, rows(5), on_ambiguous="report", raise_on_failure=False)
    assert report.ambiguous == 5
    plain = client.datasets.create("D", data_source=client.data_sources.create("S"))
    box.inject(LOST[0])
    assert client.datasets.ingest(plain, rows(5), on_ambiguous="resend").accepted == 5
    assert len(box.rows(plain)) == 10  # stored twice, as requested
    box.inject(LOST[0])
    assert client.datasets.ingest(plain.id, rows(5), primary_keys=["id"]).accepted == 5


def test_outcomes_are_waited_for(driver: Driver) -> None:
    with Sandbox(processing_delay=0.3) as box:
        client = driver.client(box.api_key, box.url)
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
        report = client.datasets.ingest(dataset, rows(150))
        assert (report.appended, report.unverified) == (150, 0)


@pytest.mark.parametrize("verify", ["counts", "status"])
def test_what_is_still_open_is_unverified(driver: Driver, verify: str) -> None:
    with Sandbox(processing_delay=60) as box:
        client = driver.client(box.api_key, box.url)
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
        options = {"verify": verify, "verify_timeout": 0.1, "raise_on_failure": False}
        report = client.datasets.ingest(dataset, rows(150), **options)
    assert (report.accepted, report.appended, report.unverified) == (150, 0, 150)
    assert not report.ok
    assert adds_up(report)
    assert "not known after 0.1 seconds" in str(report)
    assert "its status was 'processing'" in str(report)


def test_accepted_is_not_stored(client: Any, dataset: Any) -> None:
    report = client.datasets.ingest(dataset, rows(5), verify=None)
    assert (report.accepted, report.appended, report.unverified) == (5, 0, 5)
    assert report.ok
    assert "accepted is not stored" in str(report)


def test_an_outcome_that_cannot_be_fetched_is_unverified(client: Any, dataset: Any, box: Sandbox) -> None:
    box.inject(Fault("get_ingestion", status=500))
    report = client.datasets.ingest(dataset, rows(150), verify_timeout=0.1, raise_on_failure=False)
    assert (report.appended, report.unverified) == (0, 150)
    assert adds_up(report)
    assert all(isinstance(batch.error, ServerError) for batch in report.batches)


def test_a_source_that_raises_loses_nothing_that_it_gave(
    driver: Driver, client: Any, dataset: Any, box: Sandbox
) -> None:
    def source() -> Iterator[dict[str, Any]]:
        yield from rows(15)
        raise ZeroDivisionError

    with pytest.raises(IngestError) as caught:
        client.datasets.ingest(dataset, source(), batch_size=10)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.report.accepted == 15
    assert stored(box, dataset) == rows(15)


def test_a_client_that_is_closed_meanwhile_loses_no_row(driver: Driver, server: ScriptedServer) -> None:
    """A batch that cannot be sent ends the run while a row is taken that has just completed the next batch."""
    given = 0

    def decide(request: Received) -> Step:
        body = json.dumps(
            {"requestId": "r", "status": "success", "ingestionId": f"i-{request.json['records'][0]['id']}"}
        )
        # Slowly, so that batches are sent concurrently.
        return pieces(b"", head(200, {"content-length": str(len(body))}) + body.encode(), pause=0.01)

    server.decides(decide)
    client = driver.client(base_url=server.url)

    def row(n: int) -> dict[str, Any]:
        nonlocal given
        if n == 10:
            client.inner._transport._connections.is_closed = True
        given += 1
        return {"id": n, "text": "x" * 600}  # each row completes the batch before it

    def pauses(n: int) -> float:
        return 0.1 if n >= 10 else 0.0

    def source() -> Iterator[dict[str, Any]]:
        for n in range(600):
            time.sleep(pauses(n))
            yield row(n)

    async def async_source() -> AsyncIterator[dict[str, Any]]:
        for n in range(600):
            await anyio.sleep(pauses(n))
            yield row(n)

    with pytest.raises(IngestError, match=r"The run was stopped by RuntimeError\('This client is closed") as caught:
        client.datasets.ingest(
            "d", async_source() if driver.is_async else source(), max_batch_bytes=1000, verify=None, patience=0
        )
    report = caught.value.report
    assert adds_up(report)
    assert (report.rows, given < 600, report.complete) == (given, True, False)
    assert sorted(row for batch in report.batches for row in range(batch.first_row, batch.first_row + batch.rows)) == [
        *range(given)
    ]


@pytest.mark.parametrize("nothing", [None, [], {}, "", False, 0, [None], [{}], [[]], [""], {"records": []}], ids=str)
def test_an_answer_with_empty_errors_is_no_refusal(driver: Driver, server: ScriptedServer, nothing: Any) -> None:
    """As some serializers write it that there are none."""
    done = {"ingestionMetrics": {"receivedRecordsCount": 5, "appendedRecordsCount": 5}}
    server.will(
        answer(200, {"ingestionId": "i", "errors": nothing}),
        answer(200, {"ingestionId": "i", "status": "new", "errors": nothing}),
        answer(200, {"ingestionId": "i", "status": "new", "errors": nothing, "metrics": done}),
    )
    datasets = driver.client(base_url=server.url).datasets
    receipt = datasets.create_ingestion("d", rows(5))
    assert datasets.wait_for_ingestion("d", receipt).appended == 5


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 101}, ValueError),
        ({"max_batch_bytes": 5}, ValueError),
        ({"verify": "maybe"}, ValueError),
        ({"verify_timeout": -1}, ValueError),
        ({"verify_timeout": float("inf")}, ValueError),
        ({"verify_timeout": float("nan")}, ValueError),
        ({"verify_timeout": 10**400}, ValueError),
        ({"patience": 10**400}, ValueError),
        ({"verify_timeout": "9"}, TypeError),
        ({"verify_timeout": None}, TypeError),
        ({"verify_timeout": True}, TypeError),
        ({"on_ambiguous": "maybe"}, ValueError),
        ({"on_refusal": "maybe"}, ValueError),
        ({"primary_keys": "id"}, TypeError),
        ({"primary_keys": ["a", "a"]}, ValueError),
    ],
)
def test_bad_options_are_refused_before_anything_is_sent(
    client: Any, box: Sandbox, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(options))):
        client.datasets.ingest("d", rows(5), **options)
    assert not box.requests


def test_one_line_an_ingest(client: Any, dataset: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "databox"):
        client.datasets.ingest(dataset, [{"id": 1, "name": "Confidential"}])
    (record,) = [record for record in caplog.records if record.name == "databox"]
    assert "1 rows read, 1 accepted" in record.getMessage()
    assert "Confidential" not in caplog.text


# One ingestion at a time


@pytest.mark.parametrize("count", [0, 101])
def test_one_ingestion_takes_1_to_100_records(client: Any, box: Sandbox, count: int) -> None:
    with pytest.raises(InvalidRecordError, match="ingest for any number"):
        client.datasets.create_ingestion("d", rows(count))
    with pytest.raises(ValueError, match="1 to 100"):
        client.datasets.create_ingestion("d", rows(count))
    assert not box.requests


def test_waiting_for_an_ingestion(driver: Driver) -> None:
    with Sandbox(processing_delay=math.inf) as box:
        client = driver.client(box.api_key, box.url)
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
        receipt = client.datasets.create_ingestion(dataset, rows(3))
        assert client.datasets.get_ingestion(dataset, receipt.ingestion_id).received is None
        threading.Timer(0.2, box.process).start()
        assert client.datasets.wait_for_ingestion(dataset, receipt.ingestion_id).appended == 3
        late = client.datasets.create_ingestion(dataset, rows(3))
        with pytest.raises(IngestionTimeoutError) as caught:
            client.datasets.wait_for_ingestion(dataset, late, timeout=0.05)
        assert caught.value.ingestion.status == "processing"
        assert isinstance(caught.value, TimeoutError)


def test_what_was_just_accepted_may_not_be_visible_yet(client: Any, dataset: Any, box: Sandbox) -> None:
    receipt = client.datasets.create_ingestion(dataset, rows(3))
    box.inject(Fault("get_ingestion", status=404, times=3))
    with pytest.raises(NotFoundError):
        client.datasets.wait_for_ingestion(dataset, receipt.ingestion_id)  # an id may be mistyped
    assert client.datasets.wait_for_ingestion(dataset, receipt).appended == 3
    box.inject(Fault("get_ingestion", status=404))
    with pytest.raises(NotFoundError):
        client.datasets.wait_for_ingestion(dataset, receipt, timeout=0.05)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [(-1, ValueError), (float("inf"), ValueError), (10**400, ValueError), ("9", TypeError)],
    ids=lambda value: str(value)[:9],
)
def test_a_time_out_is_seconds(client: Any, box: Sandbox, wrong: Any, error: type[Exception]) -> None:
    before = len(box.requests)
    with pytest.raises(error, match="timeout must be"):
        client.datasets.wait_for_ingestion("d", "i", timeout=wrong)
    assert len(box.requests) == before


def test_a_status_nobody_has_seen_before_is_no_outcome(driver: Driver, server: ScriptedServer) -> None:
    open_ = {"status": "simmering", "ingestionId": "i", "metrics": None}
    counts = {"receivedRecordsCount": 2, "appendedRecordsCount": 1, "overwrittenRecordsCount": 1}
    server.will(answer(200, open_), answer(200, open_ | {"metrics": {"ingestionMetrics": counts}}))
    assert driver.client(base_url=server.url).datasets.wait_for_ingestion("d", "i").overwritten == 1
    assert len(server.requests) == 2


# Arguments


@pytest.mark.parametrize(
    ("call", "args", "options", "error"),
    [
        ("datasets.purge", ("",), {}, ValueError),
        ("datasets.purge", (" ",), {}, ValueError),
        ("datasets.purge", ("..",), {}, ValueError),
        ("datasets.purge", ("a\nb",), {}, ValueError),
        ("datasets.purge", (None,), {}, TypeError),
        ("datasets.purge", (5,), {}, TypeError),
        ("datasets.delete", (b"d",), {}, TypeError),
        ("datasets.get_ingestion", ("d", ""), {}, ValueError),
        ("datasets.get_ingestion", ("d", None), {}, TypeError),
        ("datasets.get_ingestion", ("", "i"), {}, ValueError),
        ("datasets.list_ingestions", ("d",), {"page_size": 0}, ValueError),
        ("datasets.list_ingestions", ("d",), {"page_size": "9"}, TypeError),
        ("datasets.create", ("",), {"data_source": 1}, ValueError),
        ("datasets.create", (None,), {"data_source": 1}, TypeError),
        ("datasets.create", ("t",), {"data_source": None}, TypeError),
        ("datasets.create", ("t",), {"data_source": "1"}, TypeError),
        ("datasets.create", ("t",), {"data_source": Dataset(id="d")}, TypeError),
        ("datasets.create", ("t",), {"data_source": 1, "primary_keys": "id"}, TypeError),
        ("datasets.create", ("t",), {"data_source": 1, "primary_keys": [1]}, TypeError),
        ("datasets.create", ("t",), {"data_source": 1, "primary_keys": [""]}, ValueError),
        ("datasets.ingest", ("", []), {}, ValueError),
        ("datasets.create_ingestion", ("", [{"a": 1}]), {}, ValueError),
        ("data_sources.delete", (0,), {}, ValueError),
        ("data_sources.delete", (-1,), {}, ValueError),
        ("data_sources.delete", (2**63,), {}, ValueError),
        ("data_sources.delete", (True,), {}, TypeError),
        ("data_sources.delete", ("",), {}, TypeError),
        ("data_sources.create", ("t",), {"timezone": ""}, ValueError),
        ("data_sources.create", ("t",), {"account_id": "1"}, TypeError),
        ("accounts.list_data_sources", (None,), {}, TypeError),
        ("request", ("FETCH", "/v1/x"), {}, ValueError),
        ("request", ("GET", "v1/x"), {}, ValueError),
        ("request", ("GET", "https://example.org/v1"), {}, ValueError),
        ("request", ("GET", "/v1/a b"), {}, ValueError),
        ("request", ("GET", "/v1/x"), {"params": "a=1"}, TypeError),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(
    client: Any, box: Sandbox, call: str, args: tuple[Any, ...], options: dict[str, Any], error: type[Exception]
) -> None:
    target = client
    for name in call.split("."):
        target = getattr(target, name)
    with pytest.raises(error):
        target(*args, **options)
    assert not box.requests
