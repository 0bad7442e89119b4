"""Answers that end the connection and answers that do not, with any framing and in any pieces."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise

import pytest

from databox import APIConnectionError, APIError, RateLimitError
from tests.drive import Driver
from tests.scripted import ScriptedServer, Step, answer, drop, farewell, one_packet, pieces, wire

EVERY_CONNECTION = True
KEY = "test-key-0123456789"
BODY = json.dumps({"requestId": "r", "status": "success", "accounts": [], "padding": "x" * 300}).encode()
TYPE = b"content-type: application/json\r\n"
LENGTH = b"content-length: %d\r\n" % len(BODY)
CLOSE = b"connection: close\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
IN_CHUNKS = b"%x\r\n%b\r\n%x;last=yes\r\n%b\r\n0\r\ntrailer: yes\r\n\r\n" % (
    100,
    BODY[:100],
    len(BODY) - 100,
    BODY[100:],
)

ENDINGS = {
    "1.0 without a length": (b"HTTP/1.0 200 OK\r\n" + TYPE, BODY),
    "1.0 with a length": (b"HTTP/1.0 200 OK\r\n" + TYPE + LENGTH, BODY),
    "1.1, close, without a length": (b"HTTP/1.1 200 OK\r\n" + TYPE + CLOSE, BODY),
    "1.1 without a length or a word": (b"HTTP/1.1 200 OK\r\n" + TYPE, BODY),
    "1.1, close, with a length": (b"HTTP/1.1 200 OK\r\n" + TYPE + CLOSE + LENGTH, BODY),
    "1.1, close, chunked": (b"HTTP/1.1 200 OK\r\n" + TYPE + CLOSE + CHUNKED, IN_CHUNKS),
}


def in_thirds(data: bytes) -> list[bytes]:
    places = [0, len(data) // 3, 2 * len(data) // 3, len(data)]
    return [data[start:end] for start, end in pairwise(places)]


CUTS: dict[str, Callable[[bytes, bytes], Step]] = {
    "whole": lambda head, body: wire(head + body, close=True),
    "head, then body": lambda head, body: pieces(head, body, pause=0.005, close=True),
    "head and body as records of one packet": lambda head, body: one_packet(head, body, close=True),
    "line by line": lambda head, body: pieces(*head.splitlines(True), body, pause=0.002, close=True),
    "the body in pieces": lambda head, body: pieces(head, *in_thirds(body), pause=0.005, close=True),
    "byte by byte": lambda head, body: pieces(*((head + body)[n : n + 1] for n in range(len(head + body))), close=True),
    "a farewell first": lambda head, body: farewell(head + body, 0.05),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_answers_that_end_the_connection(driver: Driver, any_server: ScriptedServer, ending: str, cut: str) -> None:
    """One after the other on one client: each is read like any other, and sent once."""
    head, body = ENDINGS[ending]
    any_server.will(CUTS[cut](head + b"\r\n", body))
    client = driver.client(KEY, any_server.url, timeout=20.0)
    for number in range(1, 3):
        assert client.accounts.list().items == ()
        assert len(any_server.requests) == number


@pytest.mark.parametrize("status", [401, 429, 503])
def test_refusals_that_end_the_connection(driver: Driver, any_server: ScriptedServer, status: int) -> None:
    body = b'{"requestId": "r-1", "status": "error", "errors": [{"code": "said_so", "message": "No."}]}'
    any_server.will(pieces(b"HTTP/1.0 %d No\r\n" % status + TYPE + b"\r\n", body, pause=0.01, close=True))
    with pytest.raises(Exception, match=f"status {status}: said_so: No"):
        driver.client(KEY, any_server.url).data_sources.create("t")
    assert len(any_server.requests) == 1


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_leave_the_connection_in_order(
    driver: Driver, any_server: ScriptedServer, status: int
) -> None:
    """Their `content-length` says what a body would have, so the client must not wait for one."""
    ok = answer(200, {"requestId": "r", "status": "success", "accounts": []})
    any_server.will(wire(b"HTTP/1.1 %d Nothing\r\ncontent-length: 0\r\n\r\n" % status), ok)
    client = driver.client(KEY, any_server.url)
    with suppress(APIError):  # what that means to the caller does not matter here
        client.request("GET", "/v1/x")
    assert client.accounts.list().items == ()


class OfTheStandardLibrary(http.server.BaseHTTPRequestHandler):
    """Answers like `http.server`: HTTP/1.0, head and body in separate packets, then closes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class LeavesBodies(OfTheStandardLibrary):
    """Refuses what has a body without reading it, and keeps the connection, on which the body is then in the way."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_POST(self) -> None:
        self.send_response(429)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of an `http.server`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_standard_librarys_server(driver: Driver) -> None:
    with serving(OfTheStandardLibrary) as standard:
        client = driver.client(KEY, standard)
        for _ in range(30):
            assert client.accounts.list().items == ()


def test_a_body_that_a_refusing_server_leaves_does_not_begin_the_next_request(driver: Driver) -> None:
    with serving(LeavesBodies) as careless:
        client = driver.client(KEY, careless)
        for _ in range(5):
            with pytest.raises(RateLimitError):
                client.request("POST", "/v1/x", json={"a": 1})
            assert client.accounts.list().items == ()
        driver.close()  # which ends the threads of the server


def test_rows_are_accepted_once_by_a_server_that_closes(driver: Driver, any_server: ScriptedServer) -> None:
    """What a server does that is restarted, and nginx at the last request of every connection."""
    for number in range(3):
        body = json.dumps({"requestId": "r", "status": "success", "ingestionId": f"i-{number}"}).encode()
        head = b"HTTP/1.1 200 OK\r\n" + TYPE + CLOSE + b"content-length: %d\r\n\r\n" % len(body)
        any_server.will(pieces(head, body, pause=0.01, close=True))
        client = driver.client(KEY, any_server.url, max_retries=2)
        report = client.datasets.ingest("d", [{"n": n} for n in range(100)], verify=None, on_ambiguous="resend")
        assert (report.accepted, report.ambiguous, report.requests) == (100, 0, 1)
        assert len(any_server.requests) == number + 1


def test_an_end_without_an_answer_is_called_that(driver: Driver, any_server: ScriptedServer) -> None:
    any_server.will(drop)
    words = "isconnected without sending" if driver.is_httpx else "closed the connection without an answer"
    with pytest.raises(APIConnectionError, match=words):
        driver.client(KEY, any_server.url).data_sources.create("t")
