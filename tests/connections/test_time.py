"""One deadline limits an attempt as a whole: name resolution, connecting, TLS, every byte of the answer, decoding."""

import gzip
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import Any

import anyio
import pytest

from databox import APIConnectionError, APITimeoutError
from databox._async.http1 import READ_AT_ONCE, AsyncConnection
from databox.secret import Secret
from databox.sending.exchange import Exchange, Origin
from databox.sending.readiness import Look
from tests.drive import Driver
from tests.scripted import ScriptedServer, Step, answer, head, silence

EVERY_CONNECTION = True
KEY = "test-key-0123456789"
OK = answer(200, {"requestId": "r", "status": "success", "accounts": []})


@pytest.fixture
def dead() -> Iterator[tuple[str, int]]:
    """An address at which nothing answers: its queue of connections is full, so that no other one gets in."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0), backlog=0)))
        for _ in range(3):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        probe = stack.enter_context(closing(socket.socket()))
        probe.settimeout(0.1)
        with pytest.raises(TimeoutError):
            probe.connect(listener.getsockname())
        yield listener.getsockname()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Make every name resolve to these addresses, in this order."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        return found if host in ("api.example", b"api.example") else real(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def address_of(server: ScriptedServer) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rpartition(":")[2])


@pytest.mark.slow
def test_a_dead_address_leaves_time_for_the_next(
    driver: Driver, server: ScriptedServer, dead: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if driver.is_httpx:
        return  # httpx has its own way of connecting
    resolve_to(monkeypatch, dead, dead, address_of(server))
    server.will(OK)
    assert driver.client(KEY, "http://api.example:80", timeout=9.0).accounts.list().items == ()


@pytest.mark.slow
def test_dead_addresses_end_with_the_time(
    driver: Driver, dead: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if driver.is_httpx:
        return  # httpx has its own way of connecting
    resolve_to(monkeypatch, dead, dead)
    started = time.monotonic()
    with pytest.raises(APITimeoutError, match="Nothing was sent"):
        driver.client(KEY, "http://api.example:80", timeout=0.5).data_sources.create("t")
    assert 0.3 < time.monotonic() - started < 60  # the system alone tries for two minutes


def test_addresses_are_tried_in_the_order_of_the_system(
    driver: Driver, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if driver.is_httpx:
        return  # httpx has its own way of connecting
    with ScriptedServer() as second:
        resolve_to(monkeypatch, address_of(server), address_of(second))
        server.will(OK)
        driver.client(KEY, "http://api.example:80").accounts.list()
        assert (len(server.requests), len(second.requests)) == (1, 0)


def test_a_name_without_an_address(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(APIConnectionError, match="Name or service not known"):
        driver.client(KEY, "http://api.example:80").data_sources.create("t")


def test_a_look_up_that_never_ends(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    if driver.kind == "sync-httpx":
        return  # nothing interrupts the name resolution of a synchronous httpx client
    end = threading.Event()

    def getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        if not flags & socket.AI_NUMERICHOST:
            end.wait(120)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    started = time.monotonic()
    try:
        with pytest.raises(APITimeoutError, match="Nothing was sent"):
            driver.client(KEY, "http://api.example:80", timeout=0.3).data_sources.create("t")
        assert time.monotonic() - started < 60
    finally:
        end.set()


def test_a_look_up_that_outlasts_the_time(
    driver: Driver, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing interrupts that of a synchronous httpx client; but then nothing is sent any more."""
    resolve_to(monkeypatch, address_of(server))
    resolved = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        time.sleep(0.3)
        return resolved(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(APITimeoutError, match="Nothing was sent"):
        driver.client(KEY, "http://api.example:80", timeout=0.1).data_sources.create("t")
    assert server.requests == []


def test_without_a_limit_an_answer_is_waited_for(driver: Driver, any_server: ScriptedServer) -> None:
    def later(connection: socket.socket) -> None:
        time.sleep(0.1)
        OK(connection)

    any_server.will(later)
    assert driver.client(KEY, any_server.url, timeout=None).accounts.list().items == ()


def test_an_address_that_the_system_refuses(driver: Driver) -> None:
    """At once, without waiting for anybody."""
    with pytest.raises(APIConnectionError, match=r"could not connect to .* Nothing was sent"):
        driver.client(KEY, "https://255.255.255.255").data_sources.create("t")


def for_ever(data: bytes, first: bytes = b"") -> Step:
    """Send the same again and again, as fast as possible."""

    def step(connection: socket.socket) -> None:
        connection.sendall(first)
        end = time.monotonic() + 120
        connection.settimeout(2.0)  # a client that has shut down its side reads nothing more, and need not say so
        while time.monotonic() < end:
            connection.sendall(data)

    return step


ENDLESS = {
    "1xx": for_ever(head(103, {"link": "</x>"}) * 500),
    "1xx, now and then": for_ever(head(100, {})),
    "chunks of a byte": for_ever(b"1\r\nx\r\n" * 500, head(200, {"transfer-encoding": "chunked"})),
    "spaces before an answer": for_ever(b"\r\n" * 500),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_ends_with_the_time(driver: Driver, any_server: ScriptedServer, name: str) -> None:
    """Even if there is always something to read, so that nothing ever waits."""
    any_server.will(ENDLESS[name])
    started = time.monotonic()
    with pytest.raises((APITimeoutError, APIConnectionError)):
        driver.client(KEY, any_server.url, timeout=0.5).accounts.list()
    assert time.monotonic() - started < 60


def test_an_answer_that_the_deadline_ends_is_not_whole(driver: Driver, any_server: ScriptedServer) -> None:
    """It has no length, so that only the end of the connection tells where it ends."""

    def begins(connection: socket.socket) -> None:
        connection.sendall(head(200, {"content-type": "application/json"}) + b'{"requestId": "r", "acc')
        silence(connection)

    any_server.will(begins)
    with pytest.raises(APITimeoutError):
        driver.client(KEY, any_server.url, timeout=2.0).accounts.list()


@pytest.mark.slow
def test_a_server_that_reads_nothing(driver: Driver, authority: Any) -> None:
    """The request does not fit into the system's buffers, and waits."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(APITimeoutError, match="may have taken effect"):
            driver.client(KEY, url, timeout=3.0).request("POST", "/v1/x", json={"x": "y" * 20_000_000})
        assert time.monotonic() - started < 60


def test_a_server_that_never_finishes_the_handshake_is_let_go(driver: Driver) -> None:
    """The server learns that the client is gone, however little of the connection was established."""
    gone = threading.Event()

    def greeted_by_nobody(listener: socket.socket) -> None:
        with suppress(OSError), closing(listener.accept()[0]) as connection:
            connection.settimeout(30)
            with suppress(ConnectionResetError):
                while connection.recv(65_536):
                    pass
            gone.set()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=greeted_by_nobody, args=(listener,), daemon=True)
        thread.start()
        client = driver.client(KEY, f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5, max_retries=0)
        with pytest.raises(APITimeoutError):
            client.accounts.list()
        assert gone.wait(20)
        thread.join()


async def turns_beside(call: Callable[[], Awaitable[object]]) -> int:
    """Return how often another task of the same event loop gets its turn while a call runs."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0)
            turns += 1

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        await call()
        group.cancel_scope.cancel()
    return turns


def test_others_go_on_while_an_answer_comes_without_a_pause(driver: Driver, server: ScriptedServer) -> None:
    """In an event loop, a task that never has to wait must still let others have their turn."""
    if not driver.is_async:
        return  # threads get their turn anyway
    server.will(for_ever(head(103, {"link": "</x>"}) * 500))
    client = driver.client(KEY, server.url, timeout=50.0).inner
    turns = 0

    async def count(scope: anyio.CancelScope) -> None:
        nonlocal turns
        while turns < 10:
            await anyio.sleep(0)
            turns += 1
        scope.cancel()

    async def call() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(count, group.cancel_scope)
            with pytest.raises(APITimeoutError):  # if the others never get their turn
                await client.accounts.list()

    driver.run(call())
    assert turns == 10


def test_others_go_on_while_an_answer_is_decoded(driver: Driver, server: ScriptedServer) -> None:
    """Decompressing takes a while, and is done in steps."""
    if not driver.is_async:
        return  # threads get their turn anyway
    server.will(answer(200, gzip.compress(b'{"accounts": [' + b" " * 30_000_000 + b"]}"), {"content-encoding": "gzip"}))
    client = driver.client(KEY, server.url).inner
    assert driver.run(turns_beside(client.accounts.list)) > 30_000_000 / 16_384 / 2


def test_others_go_on_while_there_is_always_something_to_read() -> None:
    """The asynchronous client's connection alone, with all of a long answer available before it reads."""
    here, there = socket.socketpair()
    there.setblocking(False)
    here.setblocking(False)
    exchange = Exchange("GET", "/", None, timeout=60.0)
    exchange.begin()
    connection = AsyncConnection(here, Origin("http://localhost"))
    with here, there:
        hints = head(103, {"link": "</x>"}) * 2000
        assert there.send(hints + head(200, {"content-length": "2"}) + b"{}") > READ_AT_ONCE
        assert anyio.run(turns_beside, partial(connection.talk, exchange, Secret(KEY)))
    assert exchange.answer == b"{}"


def test_look_ups_that_hang_hold_up_nobody_else(
    driver: Driver, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than an event loop has threads for such work."""
    if driver.is_httpx:
        return  # httpx has its own way of connecting
    end = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "hangs.example":
            end.wait(120)
        return real("127.0.0.1" if str(host).endswith(".example") else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    server.will(OK)
    port = address_of(server)[1]
    try:
        hanging = driver.client(KEY, f"http://hangs.example:{port}", timeout=0.001)
        for _ in range(50):
            with pytest.raises(APITimeoutError):
                hanging.accounts.list()
        for host in ("127.0.0.1", "answers.example"):
            assert driver.client(KEY, f"http://{host}:{port}", timeout=60.0).accounts.list().items == ()
    finally:
        end.set()


def test_answers_that_take_long_are_not_looked_for() -> None:
    """Otherwise many tasks that wait for a distant server would block their event loop by turns."""
    look = Look()
    here, there = socket.socketpair()
    with closing(there):
        look.begin(here)
        time.sleep(0.01)
        look.end()
        here.close()
    look.begin(here)

    def answered_at_once() -> None:
        for _ in range(1000):  # one that takes less is enough to look again
            look.end()
            look.begin(here)

    with pytest.raises(ValueError, match="descriptor"):
        answered_at_once()
