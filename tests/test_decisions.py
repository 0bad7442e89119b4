"""Decisions without I/O: waits, Retry-After, settling, batches. Mostly invariants."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox import (
    APIConnectionError,
    BadRequestError,
    Ingestion,
    InvalidRecordError,
    NotFoundError,
    ServerError,
)
from databox.ingest.batch import Batch, Batcher, End, body_of
from databox.ingest.encode import encode
from databox.ingest.run import Answer, Run
from databox.ingest.settle import Polls, is_settled, poll_waits, share_out
from databox.models import ErrorDetail
from databox.sending.retry import LONGEST_TOLD, retry_after, wait_before_retry

EVERY_CASE = True


# Waits


@given(st.integers(0, 200), st.floats(0, 1))
def test_waits_grow_and_end_at_thirty_seconds(attempt: int, chance: float) -> None:
    error = ServerError("x", method="GET", path="/", status_code=503)
    wait = wait_before_retry(
        error,
        attempt=attempt,
        max_retries=1000,
        repeatable=True,
        randomness=lambda low, high: low + chance * (high - low),
    )
    assert wait == pytest.approx(chance * min(30.0, 0.5 * 2 ** min(attempt, 50)))


@pytest.mark.parametrize(("asked", "wait"), [(0.0, 0.0), (7.5, 7.5), (120.0, 120.0), (86_400.0, 120.0)])
def test_the_server_may_ask_for_two_minutes_at_most(asked: float, wait: float) -> None:
    error = ServerError("x", method="GET", path="/", status_code=503, retry_after=asked)
    assert wait_before_retry(error, attempt=0, max_retries=1, repeatable=True) == wait


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5", 5.0),
        ("0.5", 0.5),
        (" 3 ", 3.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("٣", None),
        ("Mon, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_as_servers_write_it(written: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": written}, now=NOW) == seconds


NUMERAL = st.one_of(st.integers(-5, 70).map(str), st.text("0123456789", min_size=1, max_size=30), st.just("9" * 5000))
DATE = st.tuples(
    st.sampled_from(["", "Mon, ", "Monday, ", "Mon "]),
    NUMERAL,
    st.sampled_from([" Jan ", "-Feb-", " Foo ", " "]),
    NUMERAL,
    st.sampled_from([" 08:49:37", " 24:00:61", "", " 8"]) | st.tuples(NUMERAL, NUMERAL).map(" {0[0]}:{0[1]}".format),
    st.sampled_from([" GMT", " -0000", " EST", ""]) | NUMERAL.map(" +{}".format),
).map("".join)


@given(st.text() | NUMERAL | DATE)
def test_retry_after_never_raises(written: str) -> None:
    seconds = retry_after({"retry-after": written})
    assert seconds is None or 0 <= seconds <= LONGEST_TOLD


def test_retry_after_need_not_be_there() -> None:
    assert retry_after({}) is None


# Settling


def ingestion(status: str | None = None, errors: int = 0, **counts: Any) -> Ingestion:
    return Ingestion(id="i", status=status, errors=(ErrorDetail(code="x"),) * errors, **counts)


@pytest.mark.parametrize(
    ("answer", "settled"),
    [
        (ingestion("processing"), False),
        (ingestion("success"), False),
        (ingestion("never heard of"), False),
        (ingestion(None), False),
        (ingestion("success", received=0), False),
        (ingestion("success", received=10), False),
        (ingestion("success", received=10, appended=4), False),
        (ingestion("processing", received=10, appended=10), True),
        (ingestion("never heard of", received=10, appended=3, overwritten=3, rejected=4), True),
        (ingestion("failed"), True),
        (ingestion(" FAILED "), True),
        (ingestion("error"), True),
        (ingestion("success", errors=1), True),
        (ingestion("processing", errors=1), False),
    ],
)
def test_counts_and_errors_decide(answer: Ingestion, settled: bool) -> None:
    assert is_settled(answer) is settled


count = st.one_of(st.none(), st.integers(-5, 150))


@given(
    st.builds(
        Ingestion,
        id=st.just("i"),
        status=st.sampled_from(["success", "failed", "processing", None]),
        received=count,
        appended=count,
        overwritten=count,
        rejected=count,
    ),
    st.integers(1, 100),
)
def test_shares_always_add_up(answer: Ingestion, rows: int) -> None:
    shares = share_out(answer, rows)
    parts = (shares.appended, shares.overwritten, shares.rejected, shares.unverified)
    assert sum(parts) == rows
    assert min(parts) >= 0
    # A number is what the server counted; only a status that says that it failed makes the rest rejected.
    assert shares.appended in (0, answer.appended)
    assert shares.overwritten in (0, answer.overwritten)
    assert answer.status == "failed" or shares.rejected in (0, answer.rejected)


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        (ingestion("success"), (0, 0, 0, 10)),
        (ingestion("success", received=10, appended=7, overwritten=3), (7, 3, 0, 0)),
        (ingestion("success", received=10, appended=6, rejected=4), (6, 0, 4, 0)),
        (ingestion("failed"), (0, 0, 10, 0)),
        (ingestion("failed", received=10, appended=4), (4, 0, 6, 0)),
        (ingestion("success", received=6, appended=6), (6, 0, 0, 4)),
        (ingestion("success", received=20, appended=20), (0, 0, 0, 10)),
        (ingestion("success", received=20, appended=10), (0, 0, 0, 10)),
        (ingestion("success", received=10, appended=12, rejected=-2), (0, 0, 0, 10)),
        (ingestion("success", errors=1), (0, 0, 0, 10)),
        (ingestion("success", received=10, appended=9, errors=1), (9, 0, 0, 1)),
        (ingestion("never heard of", errors=3), (0, 0, 0, 10)),
    ],
)
def test_shares(answer: Ingestion, parts: tuple[int, ...]) -> None:
    shares = share_out(answer, 10)
    assert (shares.appended, shares.overwritten, shares.rejected, shares.unverified) == parts


def test_polls_grow_rare() -> None:
    waits = poll_waits()
    found = [next(waits) for _ in range(30)]
    assert found == sorted(found)
    assert found[-1] == 10.0


# Batches


@given(
    records=st.lists(st.integers(0, 120).map(lambda size: {"a": "x" * size}), max_size=60),
    size=st.integers(1, 100),
    most=st.integers(64, 400),
)
def test_batches_keep_all_rows_in_order_and_within_both_limits(
    records: list[dict[str, str]], size: int, most: int
) -> None:
    batcher = Batcher(size, most)
    rows = [encode(record, index)[0] for index, record in enumerate(records)]
    batches: list[Batch] = []
    refused: list[int] = []
    for index, record in enumerate(records):
        try:
            batch = batcher.add(index, record)
        except InvalidRecordError as error:
            assert error.index == index
            refused.append(index)
        else:
            batches += [batch] if batch else []
    batches += filter(None, [batcher.flush()])

    assert [row for batch in batches for row in batch.rows] == [
        row for index, row in enumerate(rows) if index not in refused
    ]
    for batch in batches:
        assert 1 <= len(batch.rows) <= size
        assert len(batch.body) <= most
        assert rows[batch.first_row] == batch.rows[0]
    # No batch is smaller than necessary.
    for batch, following in zip(batches, batches[1:], strict=False):
        assert len(batch.rows) == size or len(body_of((*batch.rows, following.rows[0]))) > most
    for index in refused:
        assert len(body_of([rows[index]])) > most


@pytest.mark.parametrize(
    ("size", "most", "error"),
    [
        (0, 1000, ValueError),
        (101, 1000, ValueError),
        (1.5, 1000, TypeError),
        (10, 10, ValueError),
        (10, "1", TypeError),
    ],
)
def test_batch_limits_are_checked(size: int, most: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        Batcher(size, most)


@given(
    count=st.integers(1, 40),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    stop=st.integers(0, 40),
    data=st.data(),
)
def test_a_second_run_cuts_where_the_first_did(
    count: int, sizes: tuple[int, int], stop: int, data: st.DataObject
) -> None:
    """The first run may have ended early, and the second may have another batch size; the rows are the same."""
    given_rows = [index for index in range(count) if data.draw(st.booleans()) or index == 0]
    first = cut(Batcher(sizes[0], 1000), given_rows[: stop or 1])
    ends = [End(batch.indexes[-1] + 1, 1000) for batch in first]
    second = cut(Batcher(sizes[1], 1000, ends), given_rows)
    assert second[: len(first)] == first
    assert [index for batch in second for index in batch.indexes] == given_rows


def cut(batcher: Batcher, indexes: list[int]) -> list[Batch]:
    batches = [batcher.add(index, {"a": 1}) for index in indexes]
    return [batch for batch in [*batches, batcher.flush()] if batch]


# Polls


@given(st.lists(st.integers(0, 60), min_size=1, max_size=30), st.integers(1, 6))
def test_every_outcome_is_heard_once_it_is_there(ready: list[int], at_once: int) -> None:
    """Ingestion n is settled from second ready[n] on; the last chance is at 100."""
    polls, now, asked = Polls(range(len(ready)), 0.0, 100.0), 0.0, 0
    settled: set[int] = set()
    under_way: list[int] = []
    while not polls.done:
        number = polls.due(now) if len(under_way) < at_once else None
        if number is not None:
            under_way.append(number)
            asked += 1
        elif under_way:
            number = under_way.pop(0)
            is_there = now >= ready[number]
            polls.heard(number, settled=is_there, now=now)
            settled |= {number} if is_there else set()
        else:
            now += max(polls.wait(now), 0.01)
    assert settled == set(range(len(ready)))
    assert asked <= 2 * len(ready) + at_once * len(set(ready)) + 40


def test_what_never_settles_ends_at_the_deadline() -> None:
    polls, now, asked = Polls(range(3), 0.0, 60.0), 0.0, []
    while not polls.done:
        number = polls.due(now)
        if number is None:
            now += max(polls.wait(now), 0.01)
        else:
            asked.append(number)
            polls.heard(number, settled=False, now=now)
    assert 60.0 <= now <= 61.0
    assert set(asked) == {0, 1, 2}
    assert len(asked) < 25


# The run's state


EVENTS = st.lists(st.tuples(st.sampled_from(["cut", "answer", "invalid"]), st.integers(0, 9)), max_size=60)
REFUSED = BadRequestError("no", method="POST", path="/", status_code=400)
FATAL = NotFoundError("no", method="POST", path="/", status_code=404)
LOST = APIConnectionError("no", method="POST", path="/", request_sent=True)
ANSWERS = [
    Answer(ingestion_id="i"),
    Answer(error=REFUSED),
    Answer(error=LOST),
    Answer(error=REFUSED, open=True),
    Answer(open=True),
    Answer(),
    Answer(error=FATAL),
]


@given(EVENTS, st.integers(1, 4), st.sets(st.integers(0, 9)))
def test_every_row_ends_in_exactly_one_place(events: list[tuple[str, int]], concurrency: int, open_: set[int]) -> None:
    run = Run(concurrency)
    index = 0
    waiting: list[int] = []
    run_keys: dict[int, frozenset[bytes]] = {}
    for event, choice in events:
        if event == "invalid":
            run.rows += 1
            run.invalid(InvalidRecordError("no"), index)
            index += 1
        elif event == "cut":
            count = 1 + choice % 3
            keys = tuple(bytes([choice + n]) for n in range(count))
            batch = Batch(tuple(range(index, index + count)), (b"{}",) * count, keys)
            run.rows += count
            index += count
            number = run.cut(batch)
            if run.may_go(batch) and not run.stopped:
                assert not {key for other in waiting for key in run_keys[other]} & batch.keys
                run.sending(number)
                run_keys[number] = batch.keys
                waiting.append(number)
        elif waiting:
            run.answered(waiting.pop(choice % len(waiting)), ANSWERS[choice % len(ANSWERS)])
        assert run.busy == len(waiting) <= concurrency
    run.give_up(open_)

    report = run.report(verify=None, requests=0, seconds=0.0)

    assert report.rows == run.rows == index
    assert report.rows == report.accepted + report.failed + report.invalid + report.ambiguous + report.unsent
    assert report.accepted == report.unverified == run.counts["accepted"]
    assert run.busy == 0
    assert [batch.index for batch in report.batches] == list(range(len(report.batches)))
    assert [batch.first_row for batch in report.batches] == sorted(batch.first_row for batch in report.batches)


def test_what_an_interrupt_left_ambiguous_is_not_withdrawn_again() -> None:
    """Its receipt had come, and was in doubt, but an interrupt kept it from being recorded."""
    run = Run(2)
    for number in range(2):
        run.cut(Batch((number,), (b"{}",), (None,)))
        run.sending(number)
        run.claims.goes(number)
    assert run.claims.may_have(0, "i")
    assert not run.claims.may_have(1, "i")
    assert run.give_up([0, 1]) == [(0, "ambiguous"), (1, "ambiguous")]
    assert run.withdraw() == []
    assert run.counts == {"ambiguous": 2}
