"""Decisions without I/O: who tries during an outage, and which rows a batch is refused for."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox.errors import APIConnectionError, APIError, AuthenticationError, BadRequestError, ServerError
from databox.ingest.batch import Batch
from databox.ingest.isolation import Budget, Isolation
from databox.ingest.parts import Answer, Part
from databox.ingest.patience import LOOK, Patience
from databox.models import ErrorDetail
from databox.sending.retry import Attempts

AT: dict[str, Any] = {"method": "POST", "path": "/"}
AWAY = ServerError("away", status_code=503, **AT)
LOST = APIConnectionError("lost", request_sent=True, **AT)
REFUSED = BadRequestError("no", status_code=400, **AT)
DENIED = AuthenticationError("who?", status_code=401, **AT)


class Batches:
    """Batches that ask, and answers according to a table, with a clock of its own."""

    def __init__(self, patience: float = 300.0, concurrency: int = 1, *, resend: bool = False) -> None:
        self.decides = Patience(patience, concurrency, resend=resend)
        self.attempts: dict[int, Attempts] = {}
        self.now = 0.0

    def goes(self, number: int, at: float) -> bool:
        """Return whether a batch may be sent at a time."""
        self.now = at
        attempts = self.attempts.setdefault(number, Attempts())
        if self.decides.turn(number, at) != 0:
            return False
        attempts.started_at = at
        return True

    def fails(self, number: int, at: float, error: APIError = AWAY) -> bool:
        """Let a batch fail at a time; return whether it is kept."""
        attempts = self.attempts[number]
        attempts.failed_at = at if attempts.failed_at is None else attempts.failed_at
        return self.decides.keeps(number, error, attempts, at)

    def passes(self, number: int, at: float) -> None:
        self.decides.passed(number, self.attempts[number], at)


def test_it_is_asked_at_growing_intervals_until_the_patience_is_over() -> None:
    batches = Batches()
    assert batches.goes(0, 0.0)
    assert batches.fails(0, 0.0)
    asked, tenth = [], 0
    while not batches.decides.over:
        tenth += 1
        if batches.goes(0, tenth / 10):
            asked.append(tenth / 10)
            batches.fails(0, tenth / 10)
    assert asked == [1, 3, 7, 15, 31, 61, 91, 121, 151, 181, 211, 241, 271, 300]
    assert batches.decides.words == "The service took nothing for 300 seconds, so the run was stopped."
    assert batches.decides.turn(1, 301.0) is None


def test_a_batch_that_was_not_tried_asks_first_and_tells_which_of_both_it_is() -> None:
    batches = Batches()
    assert batches.goes(0, 0.0)
    assert batches.fails(0, 1.0)
    assert not batches.goes(1, 1.5)
    assert batches.goes(1, 2.0)
    assert not batches.goes(0, 2.0)  # one at a time
    batches.passes(1, 2.1)
    assert not batches.decides.is_out
    assert batches.goes(0, 2.2)
    assert batches.fails(0, 2.3)  # others succeeded between its failures
    assert batches.goes(2, 3.3)
    batches.passes(2, 3.4)
    assert batches.goes(0, 3.5)
    assert not batches.fails(0, 3.6)  # and once more


def test_one_that_failed_while_others_went_through_is_not_waited_for_long_when_it_is_the_last() -> None:
    batches = Batches()
    assert batches.goes(0, 0.0)
    assert batches.fails(0, 0.0)
    assert batches.goes(1, 1.0)
    batches.passes(1, 1.1)
    kept, tenth = True, 12
    while kept:
        tenth += 1
        kept = not batches.goes(0, tenth / 10) or batches.fails(0, tenth / 10)
    assert 7 < tenth / 10 < 10
    assert not batches.decides.over


def test_a_service_that_fails_for_most_is_not_one_batch() -> None:
    batches = Batches(concurrency=4)
    for number in range(4):
        assert batches.goes(number, 0.0)
    for number in range(4):
        assert batches.fails(number, 1.0)
    for turn in range(1, 9):  # each time one succeeds, and all others fail again
        at = 50.0 * turn
        asking = next(number for number in range(100) if batches.goes(number, at))
        batches.passes(asking, at + 0.1)
        going = [number for number in range(turn % 3, 30) if batches.goes(number, at + 0.2)]
        assert all(batches.fails(number, at + 0.3) for number in going)


def test_what_went_through_before_a_batch_failed_says_nothing() -> None:
    batches = Batches(concurrency=2)
    assert batches.goes(0, 0.0)
    assert batches.goes(1, 0.5)
    batches.attempts[0].failed_at = 1.0
    batches.passes(1, 1.5)  # it had left before that
    batches.attempts[0].started_at = 2.0
    assert batches.fails(0, 3.0)


def test_what_came_back_after_its_last_attempt_left_says_nothing_either() -> None:
    """The service is back, and an earlier attempt hangs until its time-out."""
    batches = Batches(concurrency=2, resend=True)
    assert batches.goes(0, 0.0)
    batches.attempts[0].failed_at, batches.attempts[0].started_at = 1.0, 2.0
    assert batches.goes(1, 12.0)
    batches.passes(1, 12.1)
    assert batches.fails(0, 32.0, LOST)


def test_failures_that_belong_to_an_outage_do_not_count_against_a_batch() -> None:
    batches = Batches(concurrency=2)
    for start in (0.0, 100.0):
        assert batches.goes(0, start)
        assert batches.goes(1, start)
        assert batches.fails(0, start + 1)
        assert batches.fails(1, start + 1)
        assert batches.goes(0, start + 10)
        batches.passes(0, start + 11)
        assert batches.goes(1, start + 12)  # all continue
        batches.decides.keeps(1, REFUSED, batches.attempts[1], start + 12)
        batches.attempts.clear()


@pytest.mark.parametrize(
    ("error", "open_", "resend", "kept"),
    [
        (AWAY, False, False, True),
        (AWAY, True, False, False),
        (AWAY, True, True, True),
        (LOST, True, False, False),
        (LOST, True, True, True),
        (ServerError("x", status_code=500, **AT), True, False, False),
        (ServerError("x", status_code=502, **AT), True, True, True),
        (APIConnectionError("x", request_sent=False, **AT), False, False, True),
        (APIConnectionError("x", request_sent=False, retryable=False, **AT), False, True, False),
        (REFUSED, False, True, False),
        (DENIED, False, True, False),
    ],
    ids=str,
)
def test_what_is_waited_out(error: APIError, open_: bool, resend: bool, kept: bool) -> None:
    batches = Batches(resend=resend)
    assert batches.goes(0, 0.0)
    batches.attempts[0].open = open_
    assert batches.fails(0, 1.0, error) is kept
    impatient = Batches(0.0, resend=resend)
    assert impatient.goes(0, 0.0)
    assert not impatient.fails(0, 1.0, error)


def test_retry_after_goes_before_the_intervals_and_before_the_end() -> None:
    asks = ServerError("x", status_code=503, retry_after=20.0, **AT)
    batches = Batches(50.0)
    assert batches.goes(0, 0.0)
    assert batches.fails(0, 0.0, asks)
    assert not batches.goes(0, 19.9)
    assert batches.goes(0, 20.0)
    assert batches.fails(0, 20.0, asks)
    assert batches.goes(0, 40.0)
    assert batches.fails(0, 40.0, asks)
    assert not batches.goes(0, 49.9)
    assert batches.decides.turn(0, 50.0) is None  # it is not tried before it wants to be
    assert batches.decides.over


def test_a_refusal_shows_that_the_service_is_back() -> None:
    batches = Batches(concurrency=2)
    assert batches.goes(0, 0.0)
    assert batches.fails(0, 0.0)
    assert batches.goes(0, 1.0)
    assert not batches.fails(0, 1.0, REFUSED)
    assert not batches.decides.is_out


def test_a_key_that_was_right_is_tried_three_times_more_over_ten_seconds() -> None:
    batches = Batches(concurrency=3)
    assert batches.goes(0, 0.0)
    batches.passes(0, 0.1)
    assert batches.goes(1, 1.0)
    assert batches.goes(2, 1.0)
    assert batches.fails(1, 1.0, DENIED)
    assert batches.fails(2, 1.1, DENIED)
    asked = []
    for tenth in range(11, 200):
        for number in (1, 2):
            if batches.goes(number, tenth / 10):
                asked.append(tenth / 10)
                batches.fails(number, tenth / 10, DENIED)
    assert asked == [2.0, 5.0, 11.0]
    assert batches.decides.over
    assert "tried 3 times more, over 10 seconds" in (batches.decides.words or "")


def test_no_more_go_at_once_than_may_when_all_go_on() -> None:
    batches = Batches(concurrency=2)
    assert batches.goes(0, 0.0)
    assert batches.goes(1, 0.0)
    assert batches.fails(0, 0.0)
    assert batches.fails(1, 0.0)
    assert batches.decides.turn(2, 0.5) == pytest.approx(LOOK)
    assert batches.goes(2, 1.0)
    batches.passes(2, 1.1)
    assert [batches.goes(number, 1.2) for number in (0, 1, 3)] == [True, True, False]


# Isolation


def words(bad: list[int], batch: Batch, how: str) -> BadRequestError:
    place = next((n for n, index in enumerate(batch.indexes) if index in bad), 0)
    entry = {
        "row": ErrorDetail("invalid_input", "no", f"records[{place}]"),
        "column": ErrorDetail("invalid_input", "Column 'id' is wrong."),
        "field": ErrorDetail("invalid_input", "no", "records.id"),
        "alike": ErrorDetail("invalid_input", "The request is wrong.", "records"),
    }[how]
    return BadRequestError("no", status_code=400, errors=[entry], **AT)


def sent(
    keys: list[int | None], bad: list[int], *, how: str = "row", budget: Budget | None = None
) -> tuple[Isolation, list[tuple[int, ...]], list[int]]:
    """Send a batch to its end; return the requests by their rows, and the rows in the order of their acceptance."""
    places = tuple(range(len(keys)))
    row_keys = tuple(None if key is None else bytes([key]) for key in keys)
    batch = Batch(places, tuple(b'{"id":%d}' % n for n in places), row_keys)
    keyed = any(key is not None for key in keys)
    isolation = Isolation(Part(0, batch, batch), isolate=True, keyed=keyed, budget=budget or Budget())
    requests: list[tuple[int, ...]] = []
    stored: list[int] = []
    known = {0: batch}
    while part := isolation.next():
        assert known[part.number] is part.batch
        requests.append(part.batch.indexes)
        if set(part.batch.indexes) & set(bad):
            answer = Answer(error=words(bad, part.batch, how))
        else:
            stored += part.batch.indexes
            answer = Answer(ingestion_id=str(len(requests)))
        _, replaced = isolation.answered(part, answer)
        for change in replaced:
            old = sorted(index for each in change.old for index in each.batch.indexes)
            assert old == sorted(index for each in change.new for index in each.batch.indexes)
            known |= {each.number: each.batch for each in change.new}
        # Whenever a run is interrupted, each row is in one part.
        assert [index for each, _ in isolation.rest() for index in each.batch.indexes] == list(places)
    return isolation, requests, stored


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=1, max_size=100), st.data(), st.booleans())
def test_each_good_row_goes_in_once_and_in_order_and_each_bad_one_fails_alone(
    keys: list[int | None], data: st.DataObject, keyed: bool
) -> None:
    keys = [key or 0 for key in keys] if keyed else [None] * len(keys)
    bad = sorted(data.draw(st.sets(st.integers(0, len(keys) - 1), max_size=12)))
    isolation, requests, stored = sent(keys, bad, how=data.draw(st.sampled_from(["row", "column", "field"])))
    assert sorted(stored) == [place for place in range(len(keys)) if place not in bad]
    for key in {key for key in keys if key is not None}:
        of_key = [place for place in stored if keys[place] == key]
        assert of_key == sorted(of_key)
    rest = isolation.rest()
    assert [index for part, _ in rest for index in part.batch.indexes] == list(range(len(keys)))
    assert [part.batch.indexes for part, answer in rest if answer.outcome == "failed"] == [(place,) for place in bad]
    assert len(requests) <= max(1, 16 * len(bad))
    assert Counter(requests).most_common(1)[0][1] == 1  # nothing is sent twice


@given(st.integers(4, 100))
def test_seven_requests_find_out_that_it_is_the_request(rows: int) -> None:
    budget = Budget()
    isolation, requests, stored = sent([None] * rows, list(range(rows)), how="alike", budget=budget)
    assert (len(requests), stored) == (7, [])
    ((part, answer),) = isolation.rest()
    assert (part.number, answer.outcome) == (0, "failed")
    budget.spend(99)
    assert not budget.is_spent  # none of these rows was isolated


def test_rows_that_are_refused_alike_by_chance_are_found_all_the_same() -> None:
    isolation, requests, stored = sent([None] * 100, [3, 30, 60], how="alike")
    assert len(stored) == 97
    assert len(requests) <= 3 * 16
    assert sum(answer.outcome == "failed" for _, answer in isolation.rest()) == 3


def test_when_the_budget_is_spent_what_is_refused_fails_as_it_is() -> None:
    isolation, requests, stored = sent([None] * 100, list(range(0, 100, 3)), budget=Budget(2))
    assert len(stored) < 66
    failed = [(part, answer) for part, answer in isolation.rest() if answer.outcome == "failed"]
    assert sum(len(part.batch.rows) == 1 for part, _ in failed) >= 2
    assert any("not tried one by one" in str(answer.error) for part, answer in failed if len(part.batch.rows) > 1)
    assert sum(len(part.batch.rows) for part, _ in failed) == 100 - len(stored)
    assert len(requests) < 40


@pytest.mark.parametrize(
    ("keyed", "how", "outcome"),
    [
        (True, "row", "failed"),
        (True, "field", "failed"),
        (True, "alike", "ambiguous"),
        (False, "row", "ambiguous"),
    ],
)
def test_a_lost_answer_before_a_refusal(keyed: bool, how: str, outcome: str) -> None:
    """With keys, a row that is refused for its own content was not accepted before either."""
    batch = Batch((0,), (b'{"id":0}',), (b"k" if keyed else None,))
    whole = Part(0, batch, batch, Attempts(open=True))
    isolation = Isolation(whole, isolate=True, keyed=keyed, budget=Budget())
    became, _ = isolation.answered(whole, Answer(error=words([0], batch, how), open=True))
    assert became is not None
    assert became.outcome == outcome
