"""Servers that answer before they have received the request, and what their answers then mean."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest
import trustme

from databox import APIConnectionError, RequestTooLargeError, ServerError
from tests.drive import Driver
from tests.scripted import head, tls_for

EVERY_CONNECTION = True
KEY = "test-key-0123456789"
LARGE = {"large": "x" * 900_000}
SUCCESS = b'{"requestId": "r", "status": "success", "ingestionId": "i-1", "message": "Accepted."}'
REFUSAL = b'{"requestId": "r", "status": "error", "errors": [{"code": "request_too_large", "message": "%s"}]}'


def whole(status: int, body: bytes) -> bytes:
    return head(status, {"content-type": "application/json", "content-length": str(len(body))}) + body


def read_head(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (byte := connection.recv(1)):
            raise ConnectionError("the client closed the connection")
        data += byte


def read_rest(connection: socket.socket) -> int:
    """Read until the request has ended, as far as it arrives; return how much that was."""
    count = 0
    with suppress(OSError):
        connection.settimeout(30.0)
        while data := connection.recv(65_536):
            count += len(data)
            if data.endswith(b"}"):
                break
    return count


Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture(params=["http", "https"])
def serve(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[Serve]:
    """Start a server that deals with each connection as the test says, and whose system takes in little by itself."""
    with ExitStack() as stack:
        tls = tls_for(authority) if request.param == "https" else None
        yield lambda deal: f"{request.param}://127.0.0.1:{stack.enter_context(listening(tls, deal))}"


@contextmanager
def listening(tls: ssl.SSLContext | None, deal: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server's port."""

    def run(accepted: socket.socket) -> None:
        with suppress(OSError), tls.wrap_socket(accepted, server_side=True) if tls else accepted as connection:
            deal(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=run, args=listener.accept()[:1]))
                threads[-1].start()

    with closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()


# Success


def succeed_early(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(whole(200, SUCCESS))


def test_a_success_before_the_request_was_received_is_not_believed(driver: Driver, serve: Serve) -> None:
    with pytest.raises(APIConnectionError, match="may have taken effect") as caught:
        driver.client(KEY, serve(succeed_early)).request("POST", "/v1/x", json=LARGE)
    assert caught.value.request_sent


def test_rows_of_which_only_a_part_was_received_are_not_accepted(driver: Driver, serve: Serve) -> None:
    rows = [{"id": number, "text": "x" * 9000} for number in range(100)]
    client = driver.client(KEY, serve(succeed_early))
    report = client.datasets.ingest("ds", rows, verify=None, raise_on_failure=False, patience=0)
    assert (report.accepted, report.ambiguous) == (0, 100)


def test_a_success_that_begins_early_is_read_after_the_request(driver: Driver, serve: Serve) -> None:
    received: list[int] = []

    def stream(connection: socket.socket) -> None:
        read_head(connection)
        answer = whole(200, SUCCESS)
        connection.sendall(answer[:-30])
        received.append(read_rest(connection))
        connection.sendall(answer[-30:])
        read_head(connection)
        received.append(read_rest(connection))
        connection.sendall(answer)

    client = driver.client(KEY, serve(stream))
    for _ in range(1 if driver.is_httpx else 2):
        assert client.request("POST", "/v1/x", json=LARGE)["ingestionId"] == "i-1"
    assert all(count > 900_000 for count in received)


@pytest.mark.parametrize("hints", [1, 200])
def test_hints_do_not_end_the_request(driver: Driver, serve: Serve, hints: int) -> None:
    received: list[int] = []

    def hint(connection: socket.socket) -> None:
        read_head(connection)
        for _ in range(hints):
            connection.sendall(head(102, {"link": "</style.css>; rel=preload"}))
        received.append(read_rest(connection))
        connection.sendall(whole(200, SUCCESS))

    assert driver.client(KEY, serve(hint)).request("POST", "/v1/x", json=LARGE)["ingestionId"] == "i-1"
    assert received[0] > 900_000


# Refusals


@pytest.mark.parametrize("words", [b"Too large.", b"Too large." * 100_000], ids=["short", "long"])
@pytest.mark.parametrize("before", [b"", head(103, {"link": "<x>"})], ids=["at once", "after a hint"])
def test_a_refusal_by_a_server_that_reads_no_further(driver: Driver, serve: Serve, words: bytes, before: bytes) -> None:
    """Both would wait forever: the server for its answer to be read, the client for the request."""
    if driver.is_httpx:
        return  # httpx reads nothing before it has sent everything
    read = threading.Event()

    def refuse(connection: socket.socket) -> None:
        read_head(connection)
        if before:
            connection.sendall(before)
        connection.sendall(whole(413, REFUSAL % words))
        read.wait(20)

    with pytest.raises(RequestTooLargeError, match=r"Too large\."):
        driver.client(KEY, serve(refuse), timeout=10).request("POST", "/v1/x", json=LARGE)
    read.set()


def test_an_early_refusal_on_a_system_without_poll(
    driver: Driver, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has only `select`."""
    monkeypatch.delattr("select.poll")
    test_a_refusal_by_a_server_that_reads_no_further(driver, serve, b"Too large.", b"")


def test_an_early_refusal_in_single_bytes(driver: Driver, serve: Serve) -> None:
    if driver.is_httpx:
        return  # httpx reads nothing before it has sent everything
    read = threading.Event()

    def refuse(connection: socket.socket) -> None:
        read_head(connection)
        for byte in whole(500, REFUSAL % b"A fault."):
            connection.sendall(bytes([byte]))
        read.wait(20)

    with pytest.raises(ServerError, match=r"A fault\."):
        driver.client(KEY, serve(refuse), timeout=10).request("POST", "/v1/x", json=LARGE)
    read.set()


def test_a_server_that_will_not_answer_is_not_waited_for(driver: Driver, serve: Serve) -> None:
    if driver.is_httpx:
        return  # httpx reads nothing before it has sent everything
    read = threading.Event()

    def end(connection: socket.socket) -> None:
        read_head(connection)
        connection.shutdown(socket.SHUT_WR)
        read.wait(20)

    with pytest.raises(APIConnectionError, match=r"without an answer.*may have taken effect"):
        driver.client(KEY, serve(end), timeout=10).request("POST", "/v1/x", json=LARGE)
    read.set()
