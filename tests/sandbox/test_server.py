"""The sandbox as an object: recording, limits, state, starting, stopping."""

import asyncio
import gc
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from databox.sandbox import Fault, Sandbox
from databox.sandbox.throttle import Limit
from tests.sandbox.http import ask, client, create, dataset_in, get, refusal, sources


def test_requests_are_recorded_and_the_key_is_masked(box: Sandbox) -> None:
    ask(box, "POST", "/v1/data-sources?a=b", json={"title": "S"})
    get(box, "/nothing%20here")
    first, second = box.requests
    assert (first.method, first.path, first.query, first.status) == ("POST", "/v1/data-sources", {"a": "b"}, 200)
    assert (first.operation, first.json) == ("data_sources.create", {"title": "S"})
    assert first.headers["x-api-key"] == "***"
    assert (second.path, second.operation, second.json, second.status) == ("/nothing%20here", None, None, 404)
    assert box.api_key not in repr(box.requests)


def test_only_the_latest_requests_are_recorded(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databox.sandbox.recording.MOST", 3)
    for n in range(5):
        get(box, f"/{n}")
    assert [request.path for request in box.requests] == ["/2", "/3", "/4"]
    monkeypatch.setattr("databox.sandbox.recording.MOST_BYTES", 30)
    for n in range(3):
        ask(box, "POST", f"/{n}", content=b"x" * 20)
    assert [request.path for request in box.requests] == ["/2"]
    ask(box, "POST", "/large", content=b"x" * 40)
    assert len(box.requests) == 0


def test_a_state_file_that_somebody_else_changes_is_a_500(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox(state=tmp_path / "world.sqlite") as box:
        with closing(sqlite3.connect(tmp_path / "world.sqlite")) as other:
            other.execute("drop table data_sources")
        assert refusal(create(box)) == (500, "internal_error")
        assert get(box).status_code == 200
        assert box.requests[0].status == 500
    assert "no such table: data_sources" in caplog.text


def test_a_body_without_an_end_is_not_read_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databox.sandbox.asgi._DRAINED", 5000)
    with Sandbox(max_body_bytes=1000) as box, closing(connection(box)) as raw:
        head = (
            f"POST /v1/datasets HTTP/1.1\r\nHost: x\r\nx-api-key: {box.api_key}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        raw.sendall(head.encode() + b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        raw.sendall((b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 4 + b"1\r\nx\r\n")
        assert raw.recv(20).startswith(b"HTTP/1.1 413 ")


def test_resetting(box: Sandbox) -> None:
    create(box)
    box.inject(Fault("*", status=500))
    box.reset()
    assert len(box.requests) == 0
    assert sources(box) == 0


@pytest.mark.usefixtures("still")
def test_the_limit_is_kept() -> None:
    with Sandbox(rate_limit=(3, 5)) as box:
        statuses = [get(box).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = get(box)
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["errors"][0]["code"] == "rate_limited"
        box.advance(1.05)
        assert [get(box).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("limit", [0, (1, 0), (1, 2, 3), -5])
def test_limits_that_are_none(limit: Any) -> None:
    with pytest.raises(ValueError, match="rate_limit"):
        Sandbox(rate_limit=limit)


def test_a_real_key_is_refused() -> None:
    with pytest.raises(ValueError, match="real"):
        Sandbox(api_key="pak_1")


def test_it_starts_and_stops_quickly_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    started = time.monotonic()
    with Sandbox() as one, Sandbox() as two:
        assert one.url != two.url
        one.inject(Fault("*", delay=30))
        hanging = threading.Thread(target=lambda: pytest.raises(httpx.HTTPError, get, one))
        hanging.start()
        while not one.requests:
            time.sleep(0.01)
    hanging.join()
    assert time.monotonic() - started < 20  # the answer would have taken 30
    assert set(threading.enumerate()) <= before


def test_it_can_be_started_once_at_a_time() -> None:
    box = Sandbox()
    with box, pytest.raises(RuntimeError):
        box.start()
    with box:
        assert get(box).status_code == 200


def test_state_between_runs(tmp_path: Path) -> None:
    state = tmp_path / "world.sqlite"
    with Sandbox(state=state) as box:
        create(box)
    with Sandbox(state=state) as box:
        assert sources(box) == 1


def test_a_fraction_of_a_request_a_second() -> None:
    limit = Limit((0.5, 10))
    assert [limit.take(now) for now in (0.0, 0.5, 2.0, 3.9, 4.0)] == [None, 1.5, None, pytest.approx(0.1), None]


def test_a_refused_request_uses_nothing_up() -> None:
    limit = Limit((2, 3))
    assert [limit.take(now) for now in (0.0, 0.1, 0.2, 0.3, 1.05)] == [None, None, 0.8, 0.7, None]
    assert limit.take(1.2) == pytest.approx(3598.8)


@pytest.mark.usefixtures("still")
def test_a_wrong_key_uses_nothing_up() -> None:
    with Sandbox(rate_limit=1) as box:
        assert {get(box, headers={"x-api-key": "wrong"}).status_code for _ in range(5)} == {401}
        assert [get(box).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("delay", [-1, float("nan")])
def test_delays_that_are_none(delay: float) -> None:
    with pytest.raises(ValueError, match="processing_delay"):
        Sandbox(processing_delay=delay)


@pytest.mark.parametrize("key", ["", "a b", "ä", "a\n"])
def test_keys_that_no_header_can_carry(key: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        Sandbox(api_key=key)


def test_the_key_made_up_is_no_real_one() -> None:
    assert not Sandbox().api_key.startswith("pak_")
    assert Sandbox().api_key != Sandbox().api_key


def test_rows_by_id_or_by_what_has_one(box: Sandbox) -> None:
    made = dataset_in(box)
    assert box.rows(made) == box.rows(SimpleNamespace(id=made)) == []
    with pytest.raises(LookupError, match="'none'"):
        box.rows("none")


def test_one_that_is_not_running_says_so() -> None:
    box = Sandbox()
    for use in (lambda: box.rows("x"), box.reset):
        with pytest.raises(RuntimeError, match="not running"):
            use()
    box.close()


def test_a_start_that_fails_leaves_nothing_behind(box: Sandbox, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=int(box.url.rpartition(":")[2]), state=tmp_path / "world.sqlite").start()
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("create table mine (id)")
    other.close()
    (tmp_path / "text").write_text("no database " * 100)
    for name in ("none/world.sqlite", "other.sqlite", "text"):
        with pytest.raises(ValueError, match="cannot be used"):
            Sandbox(state=tmp_path / name).start()
    gc.collect()  # a socket or a connection left open would warn
    assert set(threading.enumerate()) <= before


START = """
import os, resource, sys
from databox.sandbox import Sandbox
box = Sandbox(state=sys.argv[1])
free = os.open(os.devnull, os.O_RDONLY)
os.close(free)
most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (free + 3, most[1]))  # for the database, its journal and the listener
try:
    box.start()
except RuntimeError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_NOFILE, most)
with box:
    print("started", os.path.samefile(f"/proc/self/fd/{free}", sys.argv[1]))
"""


def test_a_start_without_files_to_open_is_told_and_can_be_repeated(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START, str(tmp_path / "world.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "The sandbox could not start; the error of its thread says why.",
        "started True",
    ]
    assert "Too many open files" in done.stderr


def test_closing_is_quick_with_connections_idle_and_bodies_half_sent() -> None:
    with Sandbox() as box, client(box) as http, closing(connection(box)) as raw:
        http.get("/v1/accounts")
        raw.sendall(b"POST /v1/datasets HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf")
        time.sleep(0.05)
        started = time.monotonic()
        box.close()
        assert time.monotonic() - started < 20
        with suppress(ConnectionResetError):  # if part of the body was still unread
            assert not raw.recv(100)
    gc.collect()


def connection(box: Sandbox) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(box.url.rpartition(":")[2])), timeout=60)


def test_it_serves_tests_that_are_asynchronous() -> None:
    async def statuses() -> list[int]:
        with Sandbox() as box:
            box.inject(Fault("list", delay=1.0))
            headers = {"x-api-key": box.api_key}
            async with httpx.AsyncClient(base_url=box.url, headers=headers, verify=False, timeout=60) as http:
                answers = await asyncio.gather(*(http.get("/v1/accounts") for _ in range(20)))
                return [answer.status_code for answer in answers]

    started = time.monotonic()
    assert asyncio.run(statuses()) == [200] * 20
    assert time.monotonic() - started < 15  # 20 one after the other take 20


def test_threads_lose_no_row(box: Sandbox) -> None:
    dataset = dataset_in(box, "id")

    def send(worker: int) -> None:
        with client(box) as http:
            for number in range(10):
                records = [{"id": number * 10 + place, "by": worker} for place in range(10)]
                assert http.post(f"/v1/datasets/{dataset}/data", json={"records": records}).status_code == 200

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))
    assert sorted(row["id"] for row in box.rows(dataset)) == list(range(100))
    assert len(box.requests) == 42
