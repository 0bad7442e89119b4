"""Resuming with a journal: what is sent again, what is left out, and what the report says."""

import json
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from databox import IngestError
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.marks import first
from tests.scripted import Received, ScriptedServer, Step, answer, head, pieces
from tests.test_ingest import adds_up, ingestions, rows, stored
from tests.test_ingest_files import lines, reasons, short_waits  # noqa: F401 - a fixture

BATCHES_FAIL_WHOLE = True  # this module tests the outcomes of failed batches

OLD_AND_NEW = [{"id": 1, "value": "old"}, {"id": 2, "value": 0}, {"id": 1.0, "value": "new"}, {"id": 3, "value": 0}]
LOST = [
    Fault("create_ingestion", status=400, times=1),
    Fault("create_ingestion", status=503, times=1),
    Fault("create_ingestion", status=500, times=1),
    Fault("create_ingestion", drop="before", times=1),
    Fault("create_ingestion", drop="after", times=1),
]


def what_became(report: Any) -> list[tuple[int, int, str]]:
    return [(batch.first_row, batch.rows, batch.outcome) for batch in report.batches]


@pytest.mark.parametrize("options", [{}, {"batch_size": 50, "concurrency": 8}, {"on_ambiguous": "resend"}], ids=str)
@pytest.mark.parametrize("fault", LOST, ids=lambda fault: str(fault.status or fault.drop))
def test_an_old_value_is_not_put_over_a_newer_one(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path, fault: Fault, options: dict[str, Any]
) -> None:
    given = {"journal": tmp_path / "journal", "dead_letter": tmp_path / "dead.jsonl", "raise_on_failure": False}
    box.inject(fault)
    first = client.datasets.ingest(dataset, OLD_AND_NEW, batch_size=2, concurrency=1, **given)
    outcome = "failed" if fault.status in (400, 503) else "ambiguous"
    assert what_became(first) == [(0, 2, outcome), (2, 2, "accepted")]
    assert lines(tmp_path / "dead.jsonl") == [{"id": 2, "value": 0}]

    # Row 1 is sent again. Row 0 is not, in this run or any later one.
    for _ in range(2):
        again = client.datasets.ingest(dataset, OLD_AND_NEW, **(given | options))
        assert what_became(again) == [(0, 1, outcome), (1, 1, "accepted"), (2, 2, "accepted")]
        assert adds_up(again)
        assert not again.ok
        assert "newer rows with the same keys were accepted" in str(again.batches[0].error)
        assert stored(box, dataset) == [OLD_AND_NEW[2], OLD_AND_NEW[1], OLD_AND_NEW[3]]
        assert len(ingestions(box)) == 3
        assert not (tmp_path / "dead.jsonl").exists()
        (reason,) = reasons(tmp_path / "dead.jsonl")
        assert (reason["index"], reason["outcome"], reason["again"], reason["row"]) == (
            0,
            outcome,
            False,
            OLD_AND_NEW[0],
        )
        assert "row 2, which is newer and has the same key, was accepted" in reason["reason"]


def test_a_batch_of_overtaken_rows_alone_is_not_sent(client: Any, dataset: Any, box: Sandbox, tmp_path: Path) -> None:
    given = [{"id": 1, "value": n} for n in range(4)]
    options = {"journal": tmp_path / "journal", "batch_size": 2, "concurrency": 1, "raise_on_failure": False}
    box.inject(Fault("create_ingestion", status=400, times=1))
    for _ in range(3):
        report = client.datasets.ingest(dataset, given, **options)
        assert what_became(report) == [(0, 2, "failed"), (2, 2, "accepted")]
    assert len(ingestions(box)) == 2
    assert [row["value"] for row in box.rows(dataset)] == [3]


def test_a_row_that_was_rejected_overtakes_nothing(client: Any, dataset: Any, box: Sandbox, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    client.datasets.ingest(dataset, [{"id": 9, "n": 9}])
    given = [{"id": 1, "n": 1}, {"id": 1, "n": "no number"}]
    options = {"journal": tmp_path / "journal", "dead_letter": dead, "batch_size": 1, "concurrency": 1}
    box.inject(Fault("create_ingestion", status=400, times=1))
    first = client.datasets.ingest(dataset, given, raise_on_failure=False, **options)
    assert (first.failed, first.accepted, first.rejected) == (1, 1, 1)
    assert lines(dead) == given
    again = client.datasets.ingest(dataset, given, raise_on_failure=False, **options)
    assert (again.accepted, again.appended, again.rejected) == (2, 1, 1)
    assert lines(dead) == given[1:]
    assert stored(box, dataset) == [given[0], {"id": 9, "n": 9}]


def test_rows_that_were_rejected_by_name_overtake_nothing(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path
) -> None:
    dead = tmp_path / "dead.jsonl"
    client.datasets.ingest(dataset, [{"id": 9, "n": 9}])
    given = [{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 1, "n": "no number"}, {"id": 2, "n": 3}]
    options = {"journal": tmp_path / "journal", "dead_letter": dead, "batch_size": 2, "concurrency": 1}
    box.inject(Fault("create_ingestion", status=400, times=1))
    first = client.datasets.ingest(dataset, given, raise_on_failure=False, **options)
    assert (first.accepted, first.rejected, first.failed) == (2, 1, 2)
    # Row 2 was rejected, so row 0 may be sent; row 1 was superseded by row 3.
    assert lines(dead) == [given[0], given[2]]
    assert [(each["index"], each["outcome"]) for each in reasons(dead)] == [
        (0, "failed"),
        (1, "failed"),
        (2, "rejected"),
    ]
    again = client.datasets.ingest(dataset, given, raise_on_failure=False, **options)
    assert what_became(again) == [(0, 1, "accepted"), (1, 1, "failed"), (2, 2, "accepted")]
    assert lines(dead) == [given[2]]
    assert stored(box, dataset) == [given[0], given[3], {"id": 9, "n": 9}]


def test_what_may_have_been_overtaken_is_held_back_until_the_newer_one_goes_again(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path
) -> None:
    dead = tmp_path / "dead.jsonl"
    options = {"journal": tmp_path / "journal", "dead_letter": dead, "raise_on_failure": False}
    given = [{"id": 1, "value": "old"}, {"id": 1, "value": "new"}]
    box.inject(Fault("create_ingestion", status=400, times=1))
    box.inject(Fault("create_ingestion", drop="after", times=1))
    client.datasets.ingest(dataset, given, batch_size=1, concurrency=1, **options)
    held = client.datasets.ingest(dataset, given, on_ambiguous="report", **options)
    assert what_became(held) == [(0, 1, "failed"), (1, 1, "ambiguous")]
    assert 'on_ambiguous="resend"' in str(held.batches[0].error)
    assert lines(dead) == given  # both may be sent again, in order
    assert box.rows(dataset) == [given[1]]
    assert client.datasets.ingest(dataset, given, on_ambiguous="resend", **options).ok
    assert box.rows(dataset) == [given[1]]


def test_what_may_be_stored_is_not_failed_for_being_refused_later(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path
) -> None:
    options = {"journal": tmp_path / "journal", "raise_on_failure": False}
    box.inject(Fault("create_ingestion", drop="after", times=1))
    assert client.datasets.ingest(dataset, rows(3), **options).ambiguous == 3
    box.inject(Fault("create_ingestion", status=400, times=1))
    assert client.datasets.ingest(dataset, rows(3), **options).ambiguous == 3
    assert client.datasets.ingest(dataset, rows(3), **options).accepted == 3


def test_what_failed_stays_failed_when_a_later_run_does_not_come_to_it(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path
) -> None:
    options = {"journal": tmp_path / "journal", "batch_size": 2, "concurrency": 1, "raise_on_failure": False}
    box.inject(Fault("create_ingestion", status=400, times=1))
    box.inject(Fault("create_ingestion", drop="after", times=1))
    client.datasets.ingest(dataset, rows(6), **options)
    box.inject(Fault("create_ingestion", status=404, times=1))
    report = client.datasets.ingest(dataset, rows(6), **options)
    # The source is read no further; rows of the next batch that were read keep their outcome.
    assert what_became(report) == [(0, 2, "failed"), (2, 1, "ambiguous")]
    assert client.datasets.ingest(dataset, rows(6), **options).accepted == 6


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_run_that_is_stopped_leaves_the_journal_fit(
    driver: Driver, client: Any, plain: Any, box: Sandbox, tmp_path: Path, status: int
) -> None:
    options = {"journal": tmp_path / "journal", "batch_size": 10, "concurrency": 1, "raise_on_failure": False}
    box.inject(Fault("create_ingestion", status=400, times=1))
    assert client.datasets.ingest(plain, rows(95), **options).failed == 10
    box.inject(Fault("create_ingestion", status=status, times=1))
    stopped = client.datasets.ingest(plain, driver.source(rows(95)), **options)
    assert stopped.failed == stopped.rows - stopped.accepted >= 10
    assert adds_up(stopped)
    # Rows of a later batch that were read keep their earlier outcome.
    assert {batch.outcome for batch in stopped.batches[1:]} <= {"accepted"}
    assert client.datasets.ingest(plain, rows(95), **options).ok
    assert stored(box, plain) == rows(95)


@pytest.mark.parametrize("rest", first([rows(20, 22), []]), ids=["another row", "fewer rows"])
def test_what_is_in_flight_ends_when_the_input_turns_out_to_be_another(
    driver: Driver, server: ScriptedServer, tmp_path: Path, rest: list[dict[str, Any]]
) -> None:
    """Broken off, the batch would be ambiguous, and without keys it would never be sent again."""
    arrived, is_first = threading.Event(), True

    def decide(request: Received) -> Step:
        number = request.json["records"][0]["id"]
        if number == 10 and is_first:
            return answer(400, {"status": "error", "errors": [{"code": "invalid_input", "message": "no"}]})
        if number == 10:
            arrived.set()
        body = json.dumps({"requestId": "r", "status": "success", "ingestionId": f"I{number}"}).encode()
        return pieces(head(200, {"content-length": str(len(body))}), body, pause=0.2)

    def given() -> Iterator[dict[str, Any]]:
        yield from rows(21)
        assert arrived.wait(30)
        yield from rest

    async def given_to_async() -> AsyncIterator[dict[str, Any]]:
        for row in rows(21):  # the last one completes the batch before it, as in the earlier run
            yield row
        while not arrived.is_set():
            await anyio.sleep(0.01)
        for row in rest:
            yield row

    server.decides(decide)
    datasets = driver.client(base_url=server.url).datasets
    options = {"journal": tmp_path / "journal", "batch_size": 10, "verify": None, "raise_on_failure": False}
    assert datasets.ingest("d", rows(50), concurrency=1, **options).failed == 10
    is_first = False
    with pytest.raises(IngestError, match="belongs to another input") as caught:
        datasets.ingest("d", given_to_async() if driver.is_async else given(), **options)
    assert what_became(caught.value.report)[:2] == [(0, 10, "accepted"), (10, 10, "accepted")]
    assert datasets.ingest("d", rows(50), **options).accepted == 50
    assert [request.json["records"][0]["id"] for request in server.requests].count(10) == 2


@pytest.mark.parametrize("breaks_at", [3, 10, 14, 95])
def test_a_source_that_breaks_off_in_a_second_run_leaves_the_journal_fit(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path, breaks_at: int
) -> None:
    options = {"journal": tmp_path / "journal", "dead_letter": tmp_path / "dead.jsonl", "batch_size": 10}
    box.inject(Fault("create_ingestion", status=400, times=1))
    client.datasets.ingest(plain, rows(95), concurrency=1, raise_on_failure=False, **options)

    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(breaks_at)
        raise ConnectionError("gone")

    with pytest.raises(IngestError, match="gone") as caught:
        client.datasets.ingest(plain, broken(), **options)
    report = caught.value.report
    assert (report.rows, adds_up(report)) == (breaks_at, True)
    # Part of a batch is not sent; part of an accepted one is accepted.
    assert report.failed == (breaks_at if breaks_at < 10 else 0)
    assert report.accepted == report.rows - report.failed == report.appended
    assert client.datasets.ingest(plain, rows(95), **options).ok
    assert stored(box, plain) == rows(95)
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


@pytest.mark.parametrize(("first", "second"), [(300, 5000), (5000, 300), (300, 300)])
def test_a_row_that_is_too_large_once_is_so_in_all_runs_as_far_as_batches_were_sent(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path, first: int, second: int
) -> None:
    given = [*rows(5), {"id": 5, "text": "x" * 500}, *rows(5, 6)]
    options = {"journal": tmp_path / "journal", "raise_on_failure": False}
    box.inject(Fault("create_ingestion", status=400, times=1))
    before = client.datasets.ingest(plain, given, max_batch_bytes=first, batch_size=4, concurrency=1, **options)
    report = client.datasets.ingest(plain, given, max_batch_bytes=second, **options)
    assert report.invalid == before.invalid == (first == 300)
    assert report.accepted == 11 - report.invalid
    assert len(box.rows(plain)) == report.accepted


def test_why_rows_were_refused_or_rejected_is_known_to_later_runs(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path
) -> None:
    dead = tmp_path / "dead.jsonl"
    client.datasets.ingest(dataset, [{"id": 9, "n": 9}])
    given = [{"id": 1, "n": 1}, {"id": 2, "n": "no number"}, {"id": 3, "n": 3}, {"id": 4, "n": 4}]
    options = {"journal": tmp_path / "journal", "dead_letter": dead, "batch_size": 2, "concurrency": 1}
    first = client.datasets.ingest(dataset, given, raise_on_failure=False, **options)
    told = reasons(dead)
    again = client.datasets.ingest(dataset, given, raise_on_failure=False, **options)
    assert [str(batch.error) for batch in again.batches] == [str(batch.error) for batch in first.batches]
    assert "the value is a string" in str(again)
    assert (again.appended, again.rejected) == (first.appended, first.rejected) == (3, 1)
    assert reasons(dead) == told
    assert [(each["index"], each["row"]) for each in told] == [(1, given[1])]

    lost = tmp_path / "lost"
    box.inject(Fault("create_ingestion", drop="after", times=1))
    for _ in range(2):
        report = client.datasets.ingest(dataset, rows(2), journal=lost, on_ambiguous="report", raise_on_failure=False)
        assert "It may have taken effect" in str(report.batches[0].error)


def test_what_was_under_way_when_a_run_died_is_said_to_be(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    from databox.ingest.batch import Batch
    from databox.ingest.journal import Journal

    about = {"dataset": plain.id, "address": box.url, "primary keys": ""}
    journal = Journal(tmp_path / "journal", about)
    encoded = tuple(json.dumps(row, separators=(",", ":")).encode() for row in rows(3))
    batch = Batch((0, 1, 2), encoded, (None, None, None))
    journal.sending(0, batch, whole=batch, max_batch_bytes=1_000_000)
    journal.close()
    report = client.datasets.ingest(plain, rows(3), journal=tmp_path / "journal", raise_on_failure=False)
    assert report.ambiguous == 3
    assert "before an answer was noted" in str(report)


@pytest.mark.parametrize("on_ambiguous", ["report", "resend"])
def test_what_was_under_way_when_a_run_died_may_have_overtaken_others(
    driver: Driver, server: ScriptedServer, tmp_path: Path, on_ambiguous: str
) -> None:
    kept: dict[Any, Any] = {}

    def first_run(received: Received) -> Step:
        if len(server.requests) == 1:
            return answer(400, {"status": "error"})
        kept.update({row["id"]: row["value"] for row in received.json["records"]})
        shutil.copy(tmp_path / "journal", tmp_path / "left")  # what a run that is killed now leaves
        return answer(500)

    def second_run(received: Received) -> Step:
        kept.update({row["id"]: row["value"] for row in received.json["records"]})
        return answer(200, {"status": "success", "ingestionId": f"I{len(server.requests)}"})

    client = driver.client(base_url=server.url)
    options = {"primary_keys": ["id"], "batch_size": 2, "concurrency": 1, "verify": None, "raise_on_failure": False}
    server.decides(first_run)
    client.datasets.ingest("d", OLD_AND_NEW, journal=tmp_path / "journal", **(options | {"on_ambiguous": "report"}))
    server.decides(second_run)
    report = client.datasets.ingest("d", OLD_AND_NEW, journal=tmp_path / "left", on_ambiguous=on_ambiguous, **options)
    assert kept[1] == "new"
    if on_ambiguous == "resend":
        assert report.accepted == 4
    else:
        assert what_became(report) == [(0, 2, "failed"), (2, 2, "ambiguous")]
        assert "Not sent again: row 2" in str(report.batches[0].error)
        assert len(server.requests) == 2


@pytest.mark.parametrize("chained", [False, True])
def test_nothing_goes_over_a_batch_that_was_withdrawn(
    driver: Driver, server: ScriptedServer, tmp_path: Path, chained: bool
) -> None:
    """Two that were under way got one id, so that the first never goes again. What it may have overtaken stays back,
    and so does what that may have overtaken."""
    dead = tmp_path / "dead.jsonl"
    given: list[dict[str, Any]] = [{"id": 9, "value": 0}, {"id": 8, "value": 0}]
    given += [{"id": 1, "value": "old"}, {"id": 2, "value": 0}]
    given += [{"id": 1, "value": "new"}, {"id": 5, "value": "old"}] if chained else []
    given += [{"id": 5 if chained else 1, "value": "new"}, {"id": 3, "value": 0}]
    given += [{"id": 4, "value": 0}, {"id": 6, "value": 0}]
    newest = {row["id"]: row["value"] for row in given}
    kept: dict[Any, Any] = {}
    together = threading.Barrier(2)
    refused = {1: answer(400, {"status": "error"}), 2: answer(500)}

    def take(received: Received) -> str:
        kept.update({row["id"]: row["value"] for row in received.json["records"]})
        return f"I{len(server.requests)}"

    def first_run(received: Received) -> Step:
        number = given.index(received.json["records"][0]) // 2
        if number in range(1, 3 if chained else 2):
            if number == 2:
                take(received)
            return refused[number]
        if number == 0:
            step = answer(200, {"status": "success", "ingestionId": take(received)})
            return lambda connection: (slow.wait(0.05), step(connection))[1]  # so that others can be sent together
        take(received)
        last = received.json["records"][0]["id"] == 4

        def both(connection: socket.socket) -> None:
            together.wait(60)
            while last and b"shared-id" not in (tmp_path / "journal").read_bytes():
                slow.wait(0.005)  # the other one must get it first
            answer(200, {"status": "success", "ingestionId": "shared-id"})(connection)

        return both

    slow = threading.Event()
    client = driver.client(base_url=server.url)
    options = {"primary_keys": ["id"], "batch_size": 2, "concurrency": 2, "verify": None, "raise_on_failure": False}
    with_journal = options | {"journal": tmp_path / "journal", "dead_letter": dead}
    server.decides(first_run)
    first = client.datasets.ingest("d", given, on_ambiguous="report", **with_journal)
    assert first.batches[-2].outcome == "ambiguous"
    assert kept == {id: value for id, value in newest.items() if id != 2}

    server.decides(lambda received: answer(200, {"status": "success", "ingestionId": take(received)}))
    for _ in range(2):
        report = client.datasets.ingest("d", given, on_ambiguous="resend", **with_journal)
        assert [batch.outcome for batch in report.batches][1] == "failed"
        assert kept == {id: value for id, value in newest.items() if id != 2}
        assert "ingest that file without this journal" in str(report.batches[1].error)
    # What the message advises.
    assert client.datasets.ingest("d", lines(dead), **options).ok
    assert kept == newest


def test_a_journal_of_which_nothing_was_sent_may_begin_again(
    client: Any, dataset: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    options = {"journal": journal, "dead_letter": tmp_path / "dead.jsonl", "raise_on_failure": False}
    assert client.datasets.ingest(dataset.id, rows(3), primary_keys=["Id"], **options).invalid == 3  # mistyped
    assert client.datasets.ingest(plain, [], **options).ok
    assert client.datasets.ingest(dataset, rows(3), **options).ok
    assert len(box.rows(dataset)) == 3
    assert [each["index"] for each in reasons(tmp_path / "dead.jsonl")] == [0, 1, 2]  # of the first run, which are its


def test_rows_that_are_invalid_in_each_run_are_told_once(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    options = {"journal": tmp_path / "journal", "dead_letter": tmp_path / "dead.jsonl", "raise_on_failure": False}
    for _ in range(3):
        assert client.datasets.ingest(plain, [{}, {"a": [1]}], **options).invalid == 2
        assert [each["index"] for each in reasons(tmp_path / "dead.jsonl")] == [0, 1]


def test_a_part_of_a_batch_has_its_own_part_of_the_rejected_rows(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path
) -> None:
    client.datasets.ingest(dataset, [{"id": 9, "n": 9}])
    given = [{"id": n, "n": "no number" if n in (1, 4) else n} for n in range(6)]
    options = {"journal": tmp_path / "journal", "dead_letter": tmp_path / "dead.jsonl"}
    assert client.datasets.ingest(dataset, given, raise_on_failure=False, **options).rejected == 2

    def broken() -> Iterator[dict[str, Any]]:
        yield from given[:3]
        raise ConnectionError

    with pytest.raises(IngestError) as caught:
        client.datasets.ingest(dataset, broken(), **options)
    report = caught.value.report
    assert (report.accepted, report.appended, report.rejected, adds_up(report)) == (3, 2, 1, True)
    assert lines(tmp_path / "dead.jsonl") == [given[1], given[4]]
    assert [each["index"] for each in reasons(tmp_path / "dead.jsonl")] == [1, 4]


# A purge in between


def test_a_dataset_that_was_purged_in_between_is_noticed(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    assert client.datasets.ingest(plain, rows(40), batch_size=10, journal=journal).ok
    assert client.datasets.ingest(plain, rows(40), journal=journal).ok
    client.datasets.purge(plain)
    for verify in ("counts", "status", "counts"):  # once it is detected, each later run says so
        with pytest.raises(
            IngestError, match=r"held 40 rows after an earlier run .* and 0 now: it was purged"
        ) as caught:
            client.datasets.ingest(plain, rows(40), journal=journal, verify=verify)
        report = caught.value.report
        assert (report.accepted, report.appended, report.unverified) == (40, 0, 40)
        assert adds_up(report)
    assert box.rows(plain) == []  # nothing is sent again
    # Following the message's advice stores each row once.
    client.datasets.purge(plain)
    assert client.datasets.ingest(plain, rows(40), journal=tmp_path / "another").ok
    assert stored(box, plain) == rows(40)


@pytest.mark.parametrize(("of_list", "lost"), [(404, True), (500, False)])
def test_an_ingestion_that_is_gone_means_a_loss_only_if_the_dataset_is_gone_as_well(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path, of_list: int, lost: bool
) -> None:
    options = {"journal": tmp_path / "journal", "raise_on_failure": False}
    assert client.datasets.ingest(plain, rows(40), **options).ok
    box.inject(Fault("get_ingestion", status=404))
    box.inject(Fault("list_ingestions", status=of_list))
    report = client.datasets.ingest(plain, rows(40), **options)
    assert (report.accepted, report.appended, report.unverified) == (40, 0 if lost else 40, 40 if lost else 0)
    assert report.ok is not lost


def test_a_purge_is_noticed_by_what_was_sent_since(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    options = {"journal": journal, "batch_size": 10, "concurrency": 1, "raise_on_failure": False}
    box.inject(Fault("create_ingestion", status=400, times=1))
    client.datasets.ingest(plain, rows(40), **options)
    client.datasets.purge(plain)
    asked = len(box.requests)
    report = client.datasets.ingest(plain, rows(40), **options)
    assert len(box.requests) - asked == 2  # no more requests than without
    assert (report.accepted, report.appended, report.unverified) == (40, 10, 30)
    assert "held 30 rows" in str(report)
    again = client.datasets.ingest(plain, rows(40), **options)
    assert (again.appended, again.unverified) == (10, 30)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("verify", ["counts", "status", None])
@pytest.mark.parametrize("others", [0, 500], ids="{} rows of others".format)
def test_the_rows_that_a_run_adds_do_not_hide_a_purge(
    client: Any,
    plain: Any,
    dataset: Any,
    box: Sandbox,
    tmp_path: Path,
    keyed: bool,
    verify: Any,
    others: int,
) -> None:
    into = dataset if keyed else plain
    client.datasets.ingest(into, rows(others, 1000))
    options = {"journal": tmp_path / "journal", "batch_size": 10}

    def breaks() -> Iterator[dict[str, Any]]:
        yield from rows(10)
        raise OSError("gone")

    with pytest.raises(IngestError, match="gone"):
        client.datasets.ingest(into, breaks(), verify=verify, **options)
    client.datasets.purge(into)
    for _ in range(2):
        with pytest.raises(IngestError, match=r"it was purged in between\. The API does not say which") as caught:
            client.datasets.ingest(into, rows(30), **options)
        report = caught.value.report
        assert (report.accepted, report.appended, report.unverified) == (30, 20, 10)
        assert adds_up(report)
    assert len(stored(box, into)) == 20


@pytest.mark.parametrize("verify", ["status", None])
def test_a_purge_before_the_first_count_is_noticed(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path, verify: Any
) -> None:
    options = {"journal": tmp_path / "journal", "batch_size": 10}
    assert client.datasets.ingest(plain, rows(30), verify=verify, **options).ok
    client.datasets.purge(plain)
    for _ in range(2):
        with pytest.raises(IngestError, match=r"holds 0 rows, and .* at least 30: it was purged") as caught:
            client.datasets.ingest(plain, rows(30), **options)
        assert (caught.value.report.appended, caught.value.report.unverified) == (0, 30)


@pytest.mark.parametrize("verify", ["counts", "status", None])
def test_overwritten_rows_do_not_look_like_a_purge(client: Any, dataset: Any, tmp_path: Path, verify: Any) -> None:
    options = {"journal": tmp_path / "journal", "batch_size": 10}

    def breaks() -> Iterator[dict[str, Any]]:
        yield from rows(20)
        raise OSError("gone")

    with pytest.raises(IngestError, match="gone"):
        client.datasets.ingest(dataset, breaks(), verify=verify, **options)
    report = client.datasets.ingest(dataset, rows(20) + rows(20) + rows(10, 20), **options)
    assert (report.ok, report.appended, report.overwritten) == (True, 30, 20)
    assert client.datasets.ingest(dataset, rows(20) + rows(20) + rows(10, 20), **options).ok


def test_rows_of_others_do_not_look_like_a_purge(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    client.datasets.ingest(plain, rows(40), batch_size=10, journal=journal)
    client.datasets.ingest(plain, rows(40, 40))
    assert client.datasets.ingest(plain, rows(40), journal=journal).ok
    assert client.datasets.ingest(plain, rows(40), journal=journal, verify=None).ok


def test_a_dataset_that_was_deleted_in_between_is_noticed(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    client.datasets.ingest(plain, rows(4), journal=tmp_path / "journal")
    client.datasets.delete(plain)
    report = client.datasets.ingest(plain, rows(4), journal=tmp_path / "journal", raise_on_failure=False)
    assert (report.ok, report.accepted, report.unverified) == (False, 4, 4)
    assert "404" in str(report)


def test_a_server_that_does_not_tell_is_believed(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    client.datasets.ingest(plain, rows(4), journal=tmp_path / "journal")
    client.datasets.purge(plain)
    box.inject(Fault("get_ingestion", status=500, times=1))
    assert client.datasets.ingest(plain, rows(4), journal=tmp_path / "journal").ok
    box.inject(Fault("get_ingestion", status=404, times=1))
    assert client.datasets.ingest(plain, rows(4), journal=tmp_path / "journal").ok
