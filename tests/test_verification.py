"""What the server did with accepted rows: nothing is claimed that it did not say, and polling ends."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox import (
    AuthenticationError,
    IngestionTimeoutError,
    IngestReport,
    InvalidResponseError,
    NotFoundError,
    ServerError,
)
from databox.api.answers import Listing
from databox.ingest.settle import IN_VAIN, ListWalk, Polls, share_out
from databox.models import Ingestion, IngestionSummary
from tests.drive import Driver
from tests.marks import slow
from tests.scripted import Received, ScriptedServer, Step, answer, drop
from tests.test_ingest import adds_up, rows


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are tested as decisions; here they only cost time."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    monkeypatch.setattr("databox.ingest.settle.FIRST_POLL", 0.002)
    monkeypatch.setattr("databox.ingest.settle.LONGEST_POLL", 0.02)


def ingestion(name: str, status: str = "success", errors: Any = None, **counts: Any) -> dict[str, Any]:
    """Return what the API says about an ingestion."""
    metrics = {"ingestionMetrics": {f"{what}RecordsCount": count for what, count in counts.items()}}
    return {"requestId": "r", "status": status, "ingestionId": name, "metrics": metrics, "errors": errors}


class Api:
    """A service with one dataset, which accepts all rows and answers polls as a test says."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.sizes: dict[str, int] = {}
        self.accept: Callable[[Received], Step] = self.take
        self.outcome: Callable[[str], Step] = lambda name: answer(200, ingestion(name, **self.all_of(name)))
        self.page: Callable[[int], Step] = lambda _: self.listing(*self.sizes)
        self.polls = 0
        server.decides(self._step)

    def all_of(self, name: str) -> dict[str, Any]:
        """Return the counts if everything was stored."""
        return {"received": self.sizes[name], "appended": self.sizes[name]}

    def take(self, received: Received) -> Step:
        """Accept rows."""
        name = f"i-{len(self.sizes)}"
        self.sizes[name] = len(received.json["records"])
        return answer(200, {"requestId": "r", "status": "success", "ingestionId": name})

    def listing(self, *names: str, status: str = "success", total: int | None = None) -> Step:
        """Return a page of the list."""
        found = [{"ingestionId": name, "status": status} for name in names]
        pagination = {} if total is None else {"pagination": {"page": 1, "pageSize": 100, "totalItems": total}}
        return answer(200, {"requestId": "r", "status": "success", "ingestions": found, **pagination})

    def _step(self, received: Received) -> Step:
        path, _, query = received.target.partition("?")
        if received.method == "POST":
            return self.accept(received)
        self.polls += 1
        if path.endswith("/ingestions"):
            asked = dict(part.split("=") for part in query.split("&") if part)
            return self.page(int(asked.get("page", 1)))
        return self.outcome(path.rpartition("/")[2])


@pytest.fixture
def api(server: ScriptedServer) -> Api:
    return Api(server)


def ingested(driver: Driver, api: Api, count: int = 2, **options: Any) -> IngestReport:
    """Return the report on some rows, in batches of two."""
    settings = {"batch_size": 2, "verify_timeout": 5.0, "raise_on_failure": False} | options
    report: IngestReport = driver.client(base_url=api.server.url).datasets.ingest("d", rows(count), **settings)
    assert adds_up(report)
    return report


# A number is what the server counted


def test_a_list_that_calls_an_ingestion_done_counts_no_rows(driver: Driver, api: Api) -> None:
    report = ingested(driver, api, verify="status")
    assert (report.appended, report.overwritten, report.rejected, report.uncounted) == (0, 0, 0, 2)
    assert report.ok
    assert "2 uncounted: the list of ingestions calls them done; rejected ones among them would not show" in str(report)
    assert "0 rejected" not in str(report)
    assert report.batches[0].uncounted == 2


STATES = ["failed", "done"]


def test_of_a_list_with_failures_it_is_said_that_they_are_not_counted(driver: Driver, api: Api) -> None:
    api.page = lambda _: api.listing("i-0", status="failed")
    report = ingested(driver, api, verify="status")
    assert (report.rejected, report.uncounted, report.ok) == (2, 0, False)
    api.sizes.clear()
    api.page = lambda _: answer(
        200, {"status": "success", "ingestions": [{"ingestionId": f"i-{n}", "status": s} for n, s in enumerate(STATES)]}
    )
    mixed = ingested(driver, api, 4, verify="status")
    assert (mixed.rejected, mixed.uncounted, mixed.ok) == (2, 2, False)
    assert "appended" not in str(mixed)
    assert "2 rows are taken as rejected" in str(report.batches[0].error)


SAID = [
    (ingestion("i-0"), (0, 0, 0, 2), "not known after"),
    (ingestion("i-0", received=2), (0, 0, 0, 2), "not known after"),
    (ingestion("i-0", received=2, appended=1), (1, 0, 0, 1), "not known after"),
    (ingestion("i-0", received=2, appended=3), (0, 0, 0, 2), "not known after"),
    (ingestion("i-0", received=4, appended=2), (0, 0, 0, 2), "not known after"),
    (ingestion("i-0", received=2, appended=3, rejected=-1), (0, 0, 0, 2), "not known after"),
    (ingestion("i-0", errors=[{"code": "schema_mismatch"}]), (0, 0, 0, 2), "it said: schema_mismatch"),
    (ingestion("i-0", "archived", appended=1, errors=["bad row"]), (1, 0, 0, 1), "it said: bad row"),
    (ingestion("i-0", "failed"), (0, 0, 2, 0), "without counting 2 rows, which are taken as rejected"),
    (ingestion("i-0", "Failed", appended=1), (1, 0, 1, 0), "without counting 1 row, which are taken as rejected"),
    (
        ingestion("i-0", appended=1, rejected=1, errors=["bad row"]),
        (1, 0, 1, 0),
        "rejected 1 row of ingestion i-0: bad",
    ),
]


@pytest.mark.parametrize(("said", "parts", "why"), SAID)
def test_what_is_not_counted_is_not_claimed(
    driver: Driver, api: Api, said: dict[str, Any], parts: tuple[int, ...], why: str
) -> None:
    api.outcome = lambda _: answer(200, said)
    report = ingested(driver, api, verify_timeout=0.05)
    assert (report.appended, report.overwritten, report.rejected, report.unverified) == parts
    assert not report.ok
    assert why in str(report.batches[0].error)
    if report.unverified:
        assert isinstance(report.batches[0].error, IngestionTimeoutError)
        assert report.batches[0].error.ingestion.id == "i-0"


def test_counts_that_do_not_add_up_yet_are_asked_for_again(driver: Driver, api: Api) -> None:
    said = iter([dict[str, Any](received=2), {"received": 2, "appended": 1}, {"received": 1, "appended": 1}, {}])
    api.outcome = lambda name: answer(200, ingestion(name, **next(said, {"received": 2, "appended": 1, "rejected": 1})))
    report = ingested(driver, api)
    assert (report.appended, report.rejected, report.unverified) == (1, 1, 0)
    assert api.polls == 5


def test_progress_does_not_call_uncounted_rows_verified(driver: Driver, api: Api) -> None:
    told: list[Any] = []
    ingested(driver, api, 6, verify="status", progress=told.append)
    assert (told[-1].accepted, told[-1].verified, told[-1].uncounted) == (6, 0, 6)


# Ids are compared


def first_of(received: Received) -> int:
    """Return the id of the first row of a request."""
    first: int = received.json["records"][0]["id"]
    return first


def test_the_answer_to_another_batch_is_no_answer(driver: Driver, api: Api) -> None:
    """A proxy answers all further POSTs with the answer to the first one."""
    first: list[Step] = []

    def accept(received: Received) -> Step:
        first.append(first[0] if first else api.take(received))
        return first[0]

    api.accept = accept
    report = ingested(driver, api, 6)
    assert (report.appended, report.ambiguous, report.ok) == (2, 4, False)
    assert [batch.outcome for batch in report.batches] == ["accepted", "ambiguous", "ambiguous"]
    assert isinstance(report.batches[1].error, InvalidResponseError)
    assert "it has the id of an earlier ingestion, 'i-0'" in str(report.batches[1].error)


def test_with_keys_such_a_batch_is_sent_again(driver: Driver, api: Api) -> None:
    answers: list[Step] = []

    def accept(received: Received) -> Step:
        answers.append(answers[0] if len(answers) == 1 else api.take(received))  # the second one's is an old one
        return answers[-1]

    api.accept = accept
    client = driver.client(base_url=api.server.url, max_retries=1)
    report = client.datasets.ingest("d", rows(6), batch_size=2, concurrency=1, primary_keys=["id"])
    assert (report.ok, report.appended) == (True, 6)
    assert len({batch.ingestion_id for batch in report.batches}) == 3
    posted = [request.json["records"] for request in api.server.requests if request.method == "POST"]
    assert posted == [rows(2), rows(2, 2), rows(2, 2), rows(2, 4)]


def test_two_batches_under_way_that_get_one_id_are_both_in_doubt(driver: Driver, api: Api) -> None:
    """It is unknown whose it is, so neither is reported as stored."""
    both_came = threading.Barrier(2)
    shared: list[Step] = []

    def accept(received: Received) -> Step:
        if first_of(received) == 0:
            return after(0.02, api.take(received))  # slow enough for the others to be sent together
        shared.append(shared[0] if shared else api.take(received))
        return after(0, shared[0], both_came)

    api.accept = accept
    report = ingested(driver, api, 6, concurrency=2)
    assert [batch.outcome for batch in report.batches] == ["accepted", "ambiguous", "ambiguous"]
    assert "another batch, under way at the same time, got as well" in "".join(str(b.error) for b in report.batches)


def after(seconds: float, step: Step, barrier: threading.Barrier | None = None) -> Step:
    """Do something a little later, or when others have got as far."""

    def later(connection: socket.socket) -> None:
        time.sleep(seconds)
        if barrier:
            barrier.wait(60)
        step(connection)

    return later


@pytest.mark.parametrize("seeds", [range(8), *slow(range(first, first + 8) for first in range(8, 40, 8))], ids=str)
def test_whatever_a_cache_repeats_nothing_is_called_stored_that_is_not(
    driver: Driver, server: ScriptedServer, seeds: range
) -> None:
    for seed in seeds:
        one_cache(driver, Api(server), Random(seed))


def one_cache(driver: Driver, api: Api, chance: Random) -> None:
    """Some POSTs and GETs get the answer to another one, and a POST that does has not arrived."""
    often, slow, keyed = chance.choice([0.1, 0.5, 1.0]), chance.choice([0, 0.01]), chance.random() < 0.5
    receipts: list[Step] = []
    outcomes: list[Step] = []
    arrived: list[int] = []

    def accept(received: Received) -> Step:
        if receipts and chance.random() < often:
            return after(chance.random() * slow, chance.choice(receipts[-3:]))
        receipts.append(api.take(received))
        arrived.extend(row["id"] for row in received.json["records"])
        return after(chance.random() * slow, receipts[-1])

    def outcome(name: str) -> Step:
        if outcomes and chance.random() < 0.2:
            return chance.choice(outcomes)
        outcomes.append(answer(200, ingestion(name, **api.all_of(name))))
        return outcomes[-1]

    api.accept, api.outcome = accept, outcome
    client = driver.client(base_url=api.server.url, max_retries=chance.choice([0, 2]))
    report = client.datasets.ingest(
        "d",
        rows(40),
        batch_size=2,
        concurrency=chance.choice([1, 4]),
        primary_keys=["id"] if keyed else None,
        verify_timeout=0.2,
        patience=0,
        raise_on_failure=False,
    )
    assert adds_up(report)
    for batch in report.batches:
        whole = set(range(batch.first_row, batch.first_row + batch.rows))
        assert batch.outcome == "ambiguous" or whole <= set(arrived)
    assert keyed or len(arrived) == len(set(arrived))
    assert not report.ok or set(arrived) == set(range(40))


def test_an_id_of_an_earlier_run_is_not_taken_for_a_new_one(driver: Driver, api: Api, tmp_path: Path) -> None:
    """The second run's batch gets the answer to the first run's last one, from a cache in between."""
    answers: dict[int, Step] = {2: answer(400, {"status": "error"})}

    def accept(received: Received) -> Step:
        return answers.setdefault(first_of(received), api.take(received))

    api.accept = accept
    first = ingested(driver, api, 6, journal=tmp_path / "journal", on_refusal="report")
    assert (first.accepted, first.failed) == (4, 2)
    answers[2] = answers[4]
    for _ in range(2):
        again = ingested(driver, api, 6, journal=tmp_path / "journal")
        assert [batch.outcome for batch in again.batches] == ["accepted", "ambiguous", "accepted"]
        assert (again.appended, again.ambiguous) == (4, 2)


@pytest.mark.parametrize("right_after", [2, None])
def test_an_outcome_of_another_ingestion_is_not_believed(driver: Driver, api: Api, right_after: int | None) -> None:
    asked = itertools.count()

    def outcome(name: str) -> Step:
        wrong = right_after is None or next(asked) < right_after
        return answer(200, ingestion("i-9" if wrong else name, received=2, appended=2))

    api.outcome = outcome
    report = ingested(driver, api, verify_timeout=0.05 if right_after is None else 5)
    if right_after is None:
        assert (report.appended, report.unverified) == (0, 2)
        assert "it is about another ingestion, 'i-9'" in str(report.batches[0].error)
    else:
        assert (report.appended, report.ok) == (2, True)


def test_outside_of_an_ingest_ids_are_compared_too(driver: Driver, api: Api) -> None:
    api.outcome = lambda _: answer(200, ingestion("i-9", received=2, appended=2))
    datasets = driver.client(base_url=api.server.url).datasets
    for ask in (datasets.get_ingestion, datasets.wait_for_ingestion):
        with pytest.raises(InvalidResponseError, match="it is about another ingestion, 'i-9'"):
            ask("d", "i-0")
    assert datasets.get_ingestion("d", "I-9").appended == 2  # an id in upper case is the same id


# A failed poll is repeated

FAILURES: list[tuple[Step, type[Exception]]] = [
    (answer(404, {"status": "error", "errors": [{"code": "not_found"}]}), NotFoundError),
    (answer(401, {"status": "error", "errors": [{"code": "invalid_api_key"}]}), AuthenticationError),
    (answer(500, {"status": "error"}), ServerError),
    (answer(502, "<html>"), ServerError),
    (answer(200, "<html>"), InvalidResponseError),
    (answer(200, {"status": "success"}), InvalidResponseError),
]


@pytest.mark.parametrize("verify", ["counts", "status"])
@pytest.mark.parametrize(("failure", "kind"), FAILURES)
def test_one_question_that_fails_ends_nothing(
    driver: Driver, api: Api, failure: Step, kind: type[Exception], verify: str
) -> None:
    outcome, page = api.outcome, api.page
    failures = iter([failure, failure])
    api.outcome = lambda name: next(failures, None) or outcome(name)
    api.page = lambda number: next(failures, None) or page(number)
    report = ingested(driver, api, 6, verify=verify)
    assert report.ok
    assert report.unverified == 0
    assert not any(batch.error for batch in report.batches)


@pytest.mark.parametrize("verify", ["counts", "status"])
@pytest.mark.parametrize(("failure", "kind"), FAILURES)
def test_the_last_failure_is_the_reason(
    driver: Driver, api: Api, failure: Step, kind: type[Exception], verify: str
) -> None:
    api.outcome = lambda _: failure
    api.page = lambda _: failure
    report = ingested(driver, api, 6, verify=verify, verify_timeout=0.05)
    assert (report.accepted, report.unverified, report.ok) == (6, 6, False)
    assert {type(batch.error) for batch in report.batches} == {kind}
    assert "no outcome was known in time" not in str(report)


def test_the_reason_is_the_last_thing_that_was_heard(driver: Driver, api: Api) -> None:
    said = iter([answer(500, {"status": "error"})])
    api.outcome = lambda name: next(said, None) or answer(200, ingestion(name, "simmering"))
    report = ingested(driver, api, verify_timeout=2.0)  # within which it asks twice, on a busy machine as well
    assert "its status was 'simmering'" in str(report.batches[0].error)


def test_an_ingestion_that_is_in_no_list(driver: Driver, api: Api) -> None:
    api.page = lambda _: api.listing("somebody-elses")
    report = ingested(driver, api, verify="status", verify_timeout=0.05)
    assert report.unverified == 2
    assert str(report.batches[0].error) == "Ingestion i-0 was not found in the list of ingestions. Look it up later."


def test_a_server_that_asks_to_be_left_alone_is(driver: Driver, api: Api) -> None:
    """Even if no rate limit makes everything wait."""
    busy = iter([answer(429, {}, headers={"Retry-After": "0.3"})])
    outcome = api.outcome
    api.outcome = lambda name: next(busy, None) or outcome(name)
    report = ingested(driver, api)
    assert report.ok
    assert api.polls == 2


def test_nothing_is_waited_for_when_there_is_no_time(driver: Driver, api: Api) -> None:
    """But each outcome is requested, because it may already be known."""
    assert ingested(driver, api, 20, verify_timeout=0).appended == 20
    api.outcome = lambda name: answer(200, ingestion(name, "processing"))
    before = api.polls
    assert ingested(driver, api, 20, verify_timeout=0).unverified == 20
    assert api.polls == before + 10


def test_the_journal_asks_again_for_what_a_list_called_done(driver: Driver, api: Api, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    assert ingested(driver, api, verify="status", journal=journal).uncounted == 2
    api.outcome = lambda name: answer(200, ingestion(name, appended=1, rejected=1))
    counted = ingested(driver, api, journal=journal)
    assert (counted.appended, counted.rejected, counted.uncounted) == (1, 1, 0)


# The list ends, whatever the server sends


def endless(api: Api) -> Callable[[int], Step]:
    return lambda page: api.listing(*(f"{page}-{n}" for n in range(100)), total=10**12)


LISTS: dict[str, Callable[[Api], Callable[[int], Step]]] = {
    "ignores the page": lambda api: lambda _: api.listing(*(f"x-{n}" for n in range(100))),
    "ignores the page and grows": lambda api: lambda _: api.listing(*(f"x-{api.polls + n}" for n in range(120))),
    "ignores the page, promises more": lambda api: lambda _: api.listing(*map(str, range(100)), total=10**12),
    "goes round": lambda api: lambda page: api.listing(*(f"{page % 3}-{n}" for n in range(100)), total=10**12),
    "is endless": endless,
}


@pytest.mark.parametrize("kind", LISTS)
def test_reading_the_list_ends_with_the_time(driver: Driver, api: Api, kind: str) -> None:
    api.page = LISTS[kind](api)
    report = ingested(driver, api, verify="status", verify_timeout=0.2)
    assert (report.accepted, report.unverified) == (2, 2)
    assert "was not found in the list of ingestions" in str(report.batches[0].error)


def test_between_two_readings_of_the_list_it_waits(driver: Driver, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databox.ingest.settle.FIRST_POLL", 0.1)
    monkeypatch.setattr("databox.ingest.settle.LONGEST_POLL", 10.0)
    api.page = LISTS["ignores the page"](api)
    ingested(driver, api, verify="status", verify_timeout=0.5)
    assert api.polls <= 2 * 7  # two pages per pass: the second brings nothing new


def test_after_its_time_the_list_is_read_as_long_as_it_is_of_use(driver: Driver, api: Api) -> None:
    def page(number: int) -> Step:
        names = list(api.sizes)[(number - 1) * 100 : number * 100]
        return api.listing(*names, total=len(api.sizes))

    api.page = page
    report = ingested(driver, api, 500, verify="status", verify_timeout=0)
    assert (report.uncounted, report.ok, api.polls) == (500, True, 3)


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 300), max_size=120), st.booleans(), st.booleans()), max_size=30),
    st.one_of(st.none(), st.integers(-5, 10**12)),
)
def test_a_walk_ends_once_a_page_brings_nothing_new(
    pages: list[tuple[list[int], bool, bool]], total: int | None
) -> None:
    walk, seen = ListWalk(), set[int]()
    for ids, useful, in_time in pages:
        if walk.page is None:
            break
        listing = Listing(items=tuple(IngestionSummary(id=str(n)) for n in ids), total=total)
        new = set(ids) - seen
        seen |= set(ids)
        walk.read(listing, useful=useful, in_time=in_time)
        assert walk.page is None or (new and (useful or in_time))


def test_a_page_that_cannot_be_read_does_not_hide_the_others(driver: Driver, api: Api) -> None:
    def page(number: int) -> Step:
        if number > 1:
            return answer(500, {"status": "error"})
        return api.listing("i-0", status="processing" if api.polls < 5 else "done", total=150)

    api.page = page
    assert ingested(driver, api, verify="status").uncounted == 2


@pytest.mark.parametrize("kind", ["ignores the page", "ignores the page, promises more", "goes round"])
def test_walking_the_pages_of_a_list_ends(driver: Driver, api: Api, kind: str) -> None:
    api.page = LISTS[kind](api)
    pages = driver.client(base_url=api.server.url).datasets.list_ingestions("d")
    if kind == "ignores the page":
        assert len(driver.collect(pages)) == 100
    else:
        with pytest.raises(InvalidResponseError, match="same page again for page"):
            driver.collect(pages)
    assert api.polls <= 4


def test_pages_that_differ_in_their_statuses_alone_are_the_same(driver: Driver, api: Api) -> None:
    api.page = lambda _: api.listing(*map(str, range(100)), status=f"step {api.polls}")
    pages = driver.client(base_url=api.server.url).datasets.list_ingestions("d")
    assert len(driver.collect(pages)) == 100


# Whatever the answers are


@given(
    schedule=st.lists(st.lists(st.sampled_from(["failed", "open", "settled"]), max_size=6), min_size=1, max_size=12),
    timeout=st.floats(0, 60),
)
def test_asking_ends_in_time_and_asks_for_each(schedule: list[list[str]], timeout: float) -> None:
    """The last status of a schedule repeats; the clock advances by a tenth of a second per poll."""
    polls, now, asked = Polls(range(len(schedule)), 0.0, timeout), 0.0, [0] * len(schedule)
    late, in_vain, most_in_vain = 0, 0, 0
    while not polls.done:
        number = polls.due(now)
        if number is None:
            now += max(polls.wait(now), 0.001)
            continue
        words = schedule[number] or ["open"]
        word = words[min(asked[number], len(words) - 1)]
        asked[number] += 1
        late += now >= timeout
        in_vain = in_vain + 1 if word == "failed" else 0
        most_in_vain = max(most_in_vain, in_vain)
        now += 0.1
        polls.heard(number, settled=word == "settled", now=now, failed=word == "failed")
    assert late <= len(schedule)
    assert min(asked) >= 1 or most_in_vain >= IN_VAIN


SAYS: dict[str, Callable[[str, int], Step]] = {
    "404": lambda *_: FAILURES[0][0],
    "401": lambda *_: FAILURES[1][0],
    "500": lambda *_: FAILURES[2][0],
    "html": lambda *_: answer(200, "<html>"),
    "drop": lambda *_: drop,
    "open": lambda name, _: answer(200, ingestion(name, "processing")),
    "word": lambda name, _: answer(200, ingestion(name)),
    "errors": lambda name, _: answer(200, ingestion(name, errors=["bad"])),
    "part": lambda name, size: answer(200, ingestion(name, received=size, appended=size - 1)),
    "too many": lambda name, size: answer(200, ingestion(name, received=size + 1, appended=size + 1)),
    "other": lambda name, size: answer(200, ingestion(f"{name}-x", received=size, appended=size)),
    "all": lambda name, size: answer(200, ingestion(name, received=size, appended=size - 1, overwritten=1)),
    "rejected": lambda name, size: answer(200, ingestion(name, received=size, appended=0, rejected=size)),
    "failed": lambda name, _: answer(200, ingestion(name, "failed")),
}
FINAL = {"all", "rejected", "failed"}


@pytest.mark.parametrize("seeds", [range(10), *slow(range(first, first + 10) for first in range(10, 60, 10))], ids=str)
def test_nothing_is_claimed_that_the_server_did_not_say(driver: Driver, api: Api, seeds: range) -> None:
    for seed in seeds:
        one_schedule(driver, api, Random(seed))


def one_schedule(driver: Driver, api: Api, chance: Random) -> None:
    """Each ingestion answers by a schedule of its own, whose last answer repeats."""
    api.sizes.clear()
    by_status, never = chance.random() < 0.4, chance.random() < 0.4
    schedules: dict[str, list[str]] = {}
    said: dict[str, list[str]] = {}
    for n in range(30):
        words = chance.choices(list(SAYS.keys() - FINAL), k=chance.randrange(4))
        final = chance.choice([*(SAYS.keys() if never else FINAL)])
        schedules[f"i-{n}"] = [*words, final]

    def word_of(name: str) -> str:
        words = schedules[name]
        said.setdefault(name, []).append(words[0])
        return words.pop(0) if len(words) > 1 else words[0]

    def page(number: int) -> Step:
        names = list(api.sizes)
        if chance.random() < 0.2:
            return SAYS[chance.choice(["404", "401", "500", "html", "drop"])]("", 0)
        statuses = {"all": "completed", "rejected": "completed", "failed": "failed", "word": "done", "errors": "done"}
        found = []
        for name in names:
            word = word_of(name)
            if word in ("404", "other"):
                continue
            found.append({"ingestionId": name, "status": statuses.get(word, "processing")})
        return answer(200, {"status": "success", "ingestions": found})

    api.outcome = lambda name: SAYS[word_of(name)](name, api.sizes[name])
    api.page = page
    report = ingested(
        driver,
        api,
        chance.randrange(2, 25),
        batch_size=chance.choice([2, 3]),
        concurrency=chance.choice([1, 3]),
        verify="status" if by_status else "counts",
        verify_timeout=0.05 if never else 20,
    )

    for batch in report.batches:
        name = batch.ingestion_id or ""
        heard = said.get(name, [])
        shares = (batch.appended, batch.overwritten, batch.rejected)
        if by_status:
            assert shares[:2] == (0, 0)
            assert not batch.uncounted or set(heard) & {"all", "rejected", "word", "errors"}
            assert not batch.rejected or "failed" in heard
        else:
            claims = {(0, 0, 0)}
            for word in heard:
                if word in ("part", "all", "rejected", "failed"):
                    told = json.loads(_body(SAYS[word](name, batch.rows)))["metrics"]["ingestionMetrics"]
                    counts = {what.removesuffix("RecordsCount"): count for what, count in told.items()}
                    status = "failed" if word == "failed" else "success"
                    found = share_out(Ingestion(id=name, status=status, **counts), batch.rows)
                    claims.add((found.appended, found.overwritten, found.rejected))
            assert shares in claims
            assert not batch.uncounted
        assert bool(batch.error) or not (batch.unverified or batch.rejected)
        if not never:
            assert not batch.unverified


def _body(step: Step) -> bytes:
    """Return the answer to a step."""
    sent: list[bytes] = []

    class Connection:
        def sendall(self, data: bytes) -> None:
            sent.append(data)

    step(Connection())  # type: ignore[arg-type]
    return b"".join(sent).partition(b"\r\n\r\n")[2]
