"""The rate limit: as a pure decision, in one process, and shared by processes through a file."""

import asyncio
import hashlib
import heapq
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databox import AsyncDatabox, ConfigurationError, IngestError, RateLimit, RateLimitError
from databox.limit.file import StoredLog
from databox.limit.rate import SECOND, Log, RequestLog, Slot
from databox.limit.redis import RedisLog
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.locals import leaks
from tests.redis_server import NEEDS_REDIS, RedisServer
from tests.scripted import ScriptedServer, answer

KEY = "test-key-0123456789"


KINDS = ["memory", "file", pytest.param("redis", marks=NEEDS_REDIS)]


@pytest.fixture(params=KINDS)
def new_log(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return a factory of empty logs of one kind."""
    if request.param == "memory":
        return RequestLog
    return maker(request, tmp_path)


@pytest.fixture(params=KINDS[1:])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return a factory of empty logs of a kind that processes share."""
    return maker(request, tmp_path)


def maker(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "file":
        return lambda name=None: stored(tmp_path / "limit", name or uuid.uuid4().hex)
    url = request.getfixturevalue("redis_server").url
    return lambda name=None: RedisLog(url, name or uuid.uuid4().hex, lambda now: now)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis server of our own, empty."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


def stored(path: Path, name: str = "log", offset: float = 0.0) -> StoredLog:
    """A log in a file, whose clock is ahead of the caller's by this many seconds."""
    return StoredLog(path, name, lambda: offset)


# One log


FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(
    limit=st.builds(RateLimit, per_second=st.integers(1, 12), per_hour=st.integers(1, 40)),
    arrivals=st.lists(st.floats(0, 900), min_size=1, max_size=60),
)
def test_no_window_ever_holds_too_many(new_log: Any, limit: RateLimit, arrivals: list[float]) -> None:
    log: Log = new_log()
    times = [log.reserve(now, limit).at for now in sorted(arrivals)]
    assert times == sorted(times)
    assert all(at >= now for at, now in zip(times, sorted(arrivals), strict=True))
    for count, window in ((limit.per_second, 1.0), (limit.per_hour, 3600.0)):
        assert all(later - earlier >= window for earlier, later in zip(times, times[count:], strict=False))


@FEW
@given(
    limit=st.builds(RateLimit, per_second=st.integers(1, 12), per_hour=st.integers(2, 40)),
    requests=st.lists(
        st.tuples(st.floats(0, 20), st.floats(0, 1.5), st.one_of(st.just(0.0), st.floats(0, 0.9))),
        min_size=1,
        max_size=60,
    ),
)
def test_what_counts_is_when_requests_leave(
    new_log: Any, limit: RateLimit, requests: list[tuple[float, float, float]]
) -> None:
    """Each request asks at some time, wakes up late, and, once it may leave, is delayed by a new connection."""
    log, left = new_log(), []
    steps: list[tuple[float, int, str, Any]] = [(at, n, "ask", None) for n, (at, _, _) in enumerate(requests)]
    heapq.heapify(steps)
    while steps:
        now, n, what, slot = heapq.heappop(steps)
        _, late, held_up = requests[n]
        if what == "leave":
            log.correct(slot, now)
            left.append(now)
            continue
        slot = log.reserve(now, limit) if what == "ask" else log.claim(slot, now, limit)
        assert slot.granted or slot.at > now
        step = "leave" if slot.granted else "claim"
        heapq.heappush(steps, (now + held_up if slot.granted else slot.at + late, n, step, slot))
    assert len(left) == len(requests)
    for count, window in ((limit.per_second, 1.0), (limit.per_hour, 3600.0)):
        assert all(later - earlier >= window for earlier, later in zip(left, left[count:], strict=False))


@FEW
@given(
    limit=st.builds(RateLimit, per_second=st.integers(1, 12), per_hour=st.integers(2, 40), evenly=st.just(True)),
    requests=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 1.5)), min_size=1, max_size=60),
)
def test_requests_are_spread_over_the_second_whoever_wakes_late(
    new_log: Any, limit: RateLimit, requests: list[tuple[float, float]]
) -> None:
    log, left = new_log(), []
    steps: list[tuple[float, int, Slot | None]] = [(at, n, None) for n, (at, _) in enumerate(requests)]
    heapq.heapify(steps)
    while steps:
        now, n, slot = heapq.heappop(steps)
        slot = log.claim(slot, now, limit) if slot else log.reserve(now, limit)
        if slot.granted:
            left.append(now)
        else:
            heapq.heappush(steps, (slot.at + requests[n][1], n, slot))
    assert len(left) == len(requests)
    assert all(later - earlier >= 0.75 / limit.per_second for earlier, later in itertools.pairwise(left))
    assert all(later - earlier >= 3600 for earlier, later in zip(left, left[limit.per_hour :], strict=False))


@pytest.mark.parametrize(("evenly", "most"), [(False, 0.08), (True, 0.02)])
def test_threads_that_wake_late_lose_little_time(new_log: Any, evenly: bool, most: float) -> None:
    """Ten a second for ten seconds, with every wake-up up to 80 ms late, or 20 ms if requests are spread."""
    log, limit, late = new_log(), RateLimit(evenly=evenly), random.Random(1)
    steps: list[tuple[float, int, Slot | None]] = [(0.0, n, None) for n in range(8)]
    gone: list[float] = []
    while len(gone) < 100:
        now, n, slot = heapq.heappop(steps)
        slot = log.claim(slot, now, limit) if slot else log.reserve(now, limit)
        if slot.granted:
            gone.append(now)
            heapq.heappush(steps, (now + 0.15, n, None))
        else:
            heapq.heappush(steps, (slot.at + late.uniform(0, most), n, slot))
    assert gone[-1] < 9 * SECOND * 1.1


@FEW
@given(st.lists(st.one_of(st.none(), st.floats(0.1, 50)), min_size=1, max_size=40))
def test_nothing_goes_out_during_a_pause(new_log: Any, events: list[float | None]) -> None:
    """None asks to send, a number pauses for this many seconds; time advances by 0.05 s each."""
    log, limit, now = new_log(), RateLimit(10, 10_000), 0.0
    paused_until = 0.0
    for event in events:
        if event is None:
            assert log.reserve(now, limit).at >= paused_until
        else:
            log.pause(now, event)
            paused_until = max(paused_until, now + event)
        now += 0.05


def test_places_that_are_given_up_are_free_again(new_log: Any) -> None:
    log, limit = new_log(), RateLimit(per_second=2)
    slots = [log.reserve(10.0, limit) for _ in range(20)]
    assert [slot.granted for slot in slots] == [True] * 2 + [False] * 18
    for slot in slots[2:]:
        log.release(slot)
    again = log.reserve(10.0, limit)
    assert 10.0 + SECOND <= again.at < 10.1 + SECOND  # those that were sent still count
    log.pause(10.0, 5.0)
    log.release(again)  # the pause has voided it
    assert log.reserve(15.0, limit).at == pytest.approx(15.0)


def test_a_call_that_is_interrupted_while_it_waits_gives_up_its_place(
    driver: Driver, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next ones, also of the next process, wait in silence for nobody."""

    def interrupted(_: float) -> None:
        raise LookupError

    for store in (None, tmp_path / "store"):
        client = driver.client(box.api_key, box.url, rate_limit=RateLimit(per_second=1, store=store))
        client.accounts.list()
        monkeypatch.setattr(client.inner._transport, "_sleep", interrupted)
        for _ in range(30):
            with pytest.raises(LookupError):
                client.accounts.list()
        monkeypatch.undo()
        log, now = client.inner._transport._log, time.monotonic()
        assert log.reserve(now, RateLimit(per_second=1)).at < now + 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("shared", [True, False])
def test_tasks_that_are_cancelled_while_they_wait_give_up_their_places(
    box: Sandbox, tmp_path: Path, backend: str, *, shared: bool
) -> None:
    limit = RateLimit(per_second=1, store=tmp_path / "store" if shared else None)

    async def main() -> None:
        async with AsyncDatabox(box.api_key, box.url, rate_limit=limit) as client:
            await client.accounts.list()
            with anyio.move_on_after(0.2):
                async with anyio.create_task_group() as calls:
                    for _ in range(30):
                        calls.start_soon(client.accounts.list)
            now = time.monotonic()
            assert client._transport._log.reserve(now, limit).at < now + 2

    anyio.run(main, backend=backend)


def test_a_pause_voids_the_slots_ahead(new_log: Any) -> None:
    log, limit = new_log(), RateLimit(1, 100)
    log.reserve(0.0, limit)
    ahead = log.reserve(0.0, limit)
    log.pause(0.5, 10.0)
    again = log.claim(ahead, 1.5, limit)
    assert again == Slot(10.5, 1)
    assert log.claim(again, 10.5, limit) == Slot(10.5, 1, granted=True)


def test_a_slot_that_was_slept_through_harms_no_other(new_log: Any) -> None:
    """A machine was suspended for hours between planning a request and sending it."""
    log, limit = new_log(), RateLimit(1, 100)
    log.reserve(0.0, limit)
    ahead = log.reserve(0.0, limit)
    assert log.reserve(8000.0, limit).granted  # nothing is known any more of what is older than an hour
    assert 8001 <= log.claim(ahead, 8000.5, limit).at < 8002
    assert not log.reserve(8000.5, limit).granted


@pytest.mark.parametrize("limits", [(0, 1), (1, 0), (-1, 5), (1.5, 5), (True, 5)])
def test_a_limit_is_a_positive_number(limits: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="RateLimit"):
        RateLimit(*limits)


# A log in a file


@pytest.mark.parametrize("wrong", ["", 5, b"bytes", "https://user:secret@host/limit"])
def test_a_store_is_a_path_or_the_address_of_a_redis(wrong: Any) -> None:
    with pytest.raises(TypeError, match="store must be the path of a file or a redis:// address") as caught:
        RateLimit(store=wrong)
    assert "secret" not in str(caught.value)


@FEW
@given(
    limit=st.builds(RateLimit, per_second=st.integers(1, 5), per_hour=st.integers(3, 20)),
    events=st.lists(st.tuples(st.sampled_from("rrrp"), st.integers(0, 2), st.floats(0, 600)), max_size=40),
)
def test_processes_together_keep_what_one_would(
    new_store: Any, limit: RateLimit, events: list[tuple[str, int, float]]
) -> None:
    """Three logs with the same store, whichever is asked, answer like one in memory."""
    name = uuid.uuid4().hex
    alone, together, now = RequestLog(), [new_store(name) for _ in range(3)], 0.0
    for what, who, later in events:
        now += later
        if what == "p":
            alone.pause(now, later)
            together[who].pause(now, later)
        else:
            ours, other = alone.reserve(now, limit), together[who].reserve(now, limit)
            assert other == ours
            if not ours.granted:
                now = max(now, ours.at) + later / 100
                ours, other = alone.claim(ours, now, limit), together[who - 1].claim(other, now, limit)
                assert other == ours
            if ours.granted:
                now += 0.5
                alone.correct(ours, now)
                together[who - 2].correct(other, now)


def test_names_do_not_share(new_store: Any) -> None:
    one, other = new_store(), new_store()
    limit = RateLimit(1, 10)
    one.reserve(0.0, limit)
    one.pause(0.0, 60.0)
    assert other.reserve(0.0, limit).at == 0.0


@given(back=st.floats(2, 1e7))
@FEW
def test_a_clock_that_is_set_back_neither_stops_nor_hurries_anybody(
    tmp_path_factory: pytest.TempPathFactory, back: float
) -> None:
    path = tmp_path_factory.mktemp("limit") / "limit"
    limit, before, after = RateLimit(2, 100), stored(path, offset=2e7), stored(path, offset=2e7 - back)
    times = [before.reserve(100.0, limit).at for _ in range(3)]
    times += [after.reserve(100.1, limit).at for _ in range(3)]
    # The time in between is lost to the jump, but the windows still hold.
    assert all(later - earlier >= 0.89 for earlier, later in zip(times, times[2:], strict=False))
    assert times[-1] <= 104.0


SENDS = """
import json, sys, time
import httpx
from databox import Databox, RateLimit

class Noting(httpx.HTTPTransport):
    def handle_request(self, request):
        left.append(time.monotonic())
        return super().handle_request(request)

left = []
limit = RateLimit(8, 1000, store=sys.argv[1])
with Databox(rate_limit=limit, http_client=httpx.Client(transport=Noting()), max_retries=0) as client:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(10):
        client.auth.validate_key()
print(json.dumps(left))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", pytest.param("redis", marks=[NEEDS_REDIS, pytest.mark.slow])])
def test_processes_share_one_budget(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Each alone would send eight at once. What is recorded is when they leave, by a clock that all processes share."""
    with Sandbox() as box:
        environment = {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
        store = str(tmp_path / "limit") if kind == "file" else request.getfixturevalue("redis_server").url
        command = [sys.executable, "-W", "error", "-c", SENDS, store]
        processes = [
            subprocess.Popen(
                command, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        left = sorted(at for process in processes for at in json.loads(process.communicate()[0]))
        assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(left) == 30
    assert all(later - earlier >= 1.0 for earlier, later in zip(left, left[8:], strict=False))


def test_a_process_that_dies_holding_the_store_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "limit"
    log = stored(path)
    holds = f"""
import sqlite3, time
db = sqlite3.connect({str(path)!r}, isolation_level=None)
db.execute("begin immediate")
db.execute("insert into slots values (1, 'log', 1e9, 0)")
print("held", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", holds], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        killer = threading.Timer(0.2, process.kill)
        killer.start()
        assert log.reserve(5.0, RateLimit()) == Slot(5.0, 0, granted=True)  # waits, and the incomplete write is undone
    assert process.returncode == -signal.SIGKILL


def test_a_429_slows_all_who_share_the_store(driver: Driver, server: ScriptedServer, tmp_path: Path) -> None:
    limit = RateLimit(store=tmp_path / "limit")
    name = hashlib.sha256(f"{server.url.removeprefix('http://')} {KEY}".encode()).hexdigest()
    other_process = StoredLog(tmp_path / "limit", name)
    client = driver.client(KEY, server.url, rate_limit=limit)
    server.will(answer(429, {}, headers={"Retry-After": "20"}))
    before = time.monotonic()
    with pytest.raises(RateLimitError):
        client.auth.validate_key()
    assert before + 20 <= other_process.reserve(time.monotonic(), limit).at <= time.monotonic() + 20


def unusable(path: Path) -> None:
    """Replace the file with one that is not a database."""
    new = path.with_name("letter")
    new.write_bytes(b"This is a letter to my aunt. " * 100)
    new.replace(path)  # at once: a transaction that finds an empty file would make a store of it


def test_a_store_that_cannot_be_used_is_refused_at_once(driver: Driver, box: Sandbox, tmp_path: Path) -> None:
    unusable(tmp_path / "limit")
    for path in (tmp_path / "limit", tmp_path, tmp_path / "missing" / "limit"):
        with pytest.raises(ConfigurationError, match=r"store of the rate limit, .* Nothing is sent without it"):
            driver.client(box.api_key, box.url, rate_limit=RateLimit(store=path))
    client = driver.client(box.api_key, box.url)
    with pytest.raises(ConfigurationError, match="store of the rate limit"):
        client.with_options(rate_limit=RateLimit(store=tmp_path))
    assert not box.requests


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_store_that_breaks_under_way_loses_no_row(
    driver: Driver, box: Sandbox, tmp_path: Path, concurrency: int
) -> None:
    limit = RateLimit(1000, 10_000, store=tmp_path / "limit")
    client = driver.client(box.api_key, box.url, rate_limit=limit)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
    box.inject(Fault("create_ingestion", delay=0.01))

    def source() -> Iterator[dict[str, Any]]:
        for n in range(100):
            if n == 50:
                unusable(tmp_path / "limit")
            yield {"n": n}

    with pytest.raises(IngestError, match="store of the rate limit") as caught:
        client.datasets.ingest(dataset, source(), batch_size=5, concurrency=concurrency)
    report = caught.value.report
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert report.rows == report.accepted + report.unsent
    assert len(box.rows(dataset)) == report.accepted >= 50 - 5 * concurrency


def test_the_same_file_by_another_name_is_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert RateLimit(store="limit") == RateLimit(store=tmp_path / "limit")


# A log in Redis


@pytest.mark.parametrize("back", [1.5, 60.0, 1e7])
@NEEDS_REDIS
def test_a_server_whose_clock_is_set_back_neither_stops_nor_hurries_anybody(
    redis_server: RedisServer, back: float
) -> None:
    shift, limit = 0.0, RateLimit(2, 100)
    log = RedisLog(redis_server.url, uuid.uuid4().hex, lambda now: now + 2e7 - shift)
    log.pause(90.0, 5.0)
    times = [log.reserve(100.0, limit).at for _ in range(3)]
    shift = back
    times += [log.reserve(100.1, limit).at for _ in range(3)]
    assert all(later - earlier >= 0.89 for earlier, later in zip(times, times[2:], strict=False))
    assert times[-1] <= 104.0


@NEEDS_REDIS
def test_the_clock_is_the_servers_and_slots_are_never_early(redis_server: RedisServer) -> None:
    log, limit = RedisLog(redis_server.url, uuid.uuid4().hex), RateLimit(2, 100)
    slots, took = [], []
    for _ in range(5):
        before = time.monotonic()
        slots.append(log.reserve(before, limit))
        took.append(time.monotonic() - before)  # which may pass between the server's look at its clock and ours
    for earlier, later, seconds in zip(slots, slots[2:], took, strict=False):
        assert later.at - earlier.at >= 1.0 - seconds
    assert slots[-1].at - time.monotonic() <= 2.1
    before = time.monotonic()
    log.pause(before, 30)
    after = time.monotonic()
    assert before + 29.9 < log.claim(slots[-1], after, limit).at < time.monotonic() + 30.1


@NEEDS_REDIS
def test_what_is_noted_goes_away_by_itself(redis_server: RedisServer) -> None:
    log = RedisLog(redis_server.url, "expires")
    log.reserve(time.monotonic(), RateLimit())
    log.pause(time.monotonic(), 60)
    lives = [int(redis_server.ask("ttl", f"databox:{{expires}}:{part}")) for part in ("times", "gone", "state")]
    assert all(3600 < life <= 3662 for life in lives)


@pytest.mark.slow
@NEEDS_REDIS
def test_a_server_that_restarts_holds_a_run_up_and_loses_no_row(
    driver: Driver, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisServer(tmp_path) as redis:
        client = driver.client(box.api_key, box.url, rate_limit=RateLimit(1000, 10_000, store=redis.url))
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))

        starting = threading.Timer(0.3, redis.start)
        monkeypatch.setattr("databox.limit.redis._ATTEMPTS", 10)  # however long the start takes

        def source() -> Iterator[dict[str, Any]]:
            for n in range(100):
                if n == 50:
                    redis.stop()
                    starting.start()
                yield {"n": n}

        report = client.datasets.ingest(dataset, source(), batch_size=5)
        starting.join()
    assert (report.ok, report.accepted) == (True, 100)
    assert sorted(row["n"] for row in box.rows(dataset)) == list(range(100))


@NEEDS_REDIS
def test_without_its_server_nothing_is_sent_and_no_row_is_lost(
    driver: Driver, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databox.limit.redis._ATTEMPTS", 1)
    with RedisServer(tmp_path, password="secret-word") as redis:
        limit = RateLimit(1000, 10_000, store=redis.url)
        assert "secret-word" not in repr(limit)
        client = driver.client(box.api_key, box.url, rate_limit=limit)
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))

        def source() -> Iterator[dict[str, Any]]:
            for n in range(100):
                if n == 50:
                    redis.stop()
                yield {"n": n}

        with pytest.raises(IngestError, match=r"store of the rate limit, redis://127.* Nothing is sent") as caught:
            client.datasets.ingest(dataset, source(), batch_size=5)
    report = caught.value.report
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert report.rows == report.accepted + report.unsent
    assert len(box.rows(dataset)) == report.accepted >= 30  # up to four batches were in flight
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:secret-word@127.0.0.1:1/0",
        "unix:///nowhere/s?password=secret-word",
        "redis://h:port",
        "redis://user:secret-word@127.0.0.1:1/0?socket_timeout=soon",
    ],
)
def test_a_server_that_is_not_there_is_named_without_its_password(
    driver: Driver, box: Sandbox, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr("databox.limit.redis._ATTEMPTS", 1)
    with pytest.raises(ConfigurationError, match="store of the rate limit") as caught:
        driver.client(box.api_key, box.url, rate_limit=RateLimit(store=url))
    assert "secret-word" not in str(caught.value)
    assert not box.requests


@pytest.mark.parametrize(
    "url",
    [
        "redis://:otter/secret@127.0.0.1:1",
        "redis://:otter#secret@127.0.0.1:1",
        "redis://:otter?secret@127.0.0.1:1",
        "redis://:12/secret@127.0.0.1:1",
        "redis://user:12/secret@127.0.0.1:1",
        "redis://user:12#secret@127.0.0.1:1",
        "redis://:12#secret",
        "rediss://user:otter/secret@127.0.0.1",
        "unix://user:otter/secret@/nowhere/s",
        "redis://[secret]",
    ],
)
def test_a_password_that_breaks_the_address_is_not_shown_in_parts(driver: Driver, box: Sandbox, url: str) -> None:
    """Nothing is sent to the host that the first part of the address looks like, either."""
    limit = RateLimit(store=url)
    with pytest.raises(ConfigurationError, match=r"://…, cannot be used: its address .* %40 for @") as caught:
        driver.client(box.api_key, box.url, rate_limit=limit)
    for part in ("otter", "secret", "12"):
        assert part not in str(caught.value)
    assert leaks(caught.value, url) == []
    assert caught.value.__context__ is sys.exc_info()[1]


def test_a_server_that_is_not_there_leaves_its_password_in_no_frame(
    driver: Driver, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databox.limit.redis._ATTEMPTS", 1)
    limit = RateLimit(store="redis://user:secret-word@127.0.0.1:1/0")
    with pytest.raises(ConfigurationError, match=r"redis://127\.0\.0\.1:1, cannot be used") as caught:
        driver.client(box.api_key, box.url, rate_limit=limit)
    assert leaks(caught.value, "secret-word") == []


@pytest.mark.parametrize("wrong", ["redis:/:secret@host", "rediss:secret", "https://secret", b"redis://:secret@host"])
def test_a_store_that_is_refused_is_not_quoted(wrong: Any) -> None:
    with pytest.raises(TypeError, match="store must be") as caught:
        RateLimit(store=wrong)
    assert "secret" not in str(caught.value)


def test_the_missing_extra_is_named() -> None:
    program = "import sys; sys.modules['redis'] = None; import databox; "
    program += "databox.Databox('some-key-0123456789', rate_limit=databox.RateLimit(store='redis://127.0.0.1'))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert 'pip install "databox-sdk[redis]"' in done.stderr


@NEEDS_REDIS
def test_others_go_on_while_the_store_is_slow(box: Sandbox, redis_server: RedisServer) -> None:
    """Before the server answers, other tasks have had many turns; if they had to wait for it, it would never answer."""

    async def main() -> None:
        url = redis_server.url
        async with AsyncDatabox(box.api_key, box.url, rate_limit=RateLimit(store=url)) as client:
            await client.auth.validate_key()
            with redis_server.suspended():
                asked = asyncio.create_task(client.auth.validate_key())
                for _ in range(50):
                    await asyncio.sleep(0.001)
                assert not asked.done()
            await asked

    asyncio.run(main())
