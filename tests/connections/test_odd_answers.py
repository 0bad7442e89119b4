"""Every client applies the same limits and rules to irregular answers."""

import gzip
import time
import tracemalloc
import zlib
from functools import cache

import pytest

from databox import APIConnectionError, APIError, InvalidResponseError
from databox.sending.exchange import LARGEST_ANSWER
from tests.drive import Driver
from tests.scripted import ScriptedServer, answer, wire

EVERY_CONNECTION = True
KEY = "test-key-0123456789"
BODY = b'{"requestId": "r", "status": "success", "accounts": []}'
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


def ok(headers: bytes, body: bytes = BODY, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return first + b"\r\ncontent-type: application/json\r\n" + headers + b"\r\n" + body


NESTED = gzip.compress(zlib.compress(BODY))
READ = {
    "100 headers": ok(LENGTH + b"".join(b"x-%d: y\r\n" % n for n in range(98))),
    "60 kB in one header": ok(LENGTH + b"x: " + b"y" * 60_000 + b"\r\n"),
    "the same length twice": ok(LENGTH + LENGTH),
    "the same length in a list": ok(b"content-length: %d, %d\r\n" % (len(BODY), len(BODY))),
    "a length with zeros before it": ok(b"content-length: 000%d\r\n" % len(BODY)),
    "obsolete folding": ok(LENGTH + b"x-long: one\r\n two\r\n\tthree\r\n"),
    "both a length and chunks": ok(LENGTH + b"transfer-encoding: chunked\r\n", CHUNKS),
    "chunked in capitals": ok(b"Transfer-Encoding: CHUNKED\r\n", CHUNKS),
    "a chunk with extensions and trailers": ok(
        b"transfer-encoding: chunked\r\n", CHUNKS.replace(b"0\r\n\r\n", b"0;a=b\r\nx: y\r\n\r\n")
    ),
    "no reason phrase": ok(LENGTH, first=b"HTTP/1.1 200 "),
    "no reason phrase and no space": ok(LENGTH, first=b"HTTP/1.1 200"),
    "bytes beyond ASCII in a header": ok(LENGTH + b"x-name: K\xc3\xb6ln\r\n"),
    "hints before it": b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 20 + ok(LENGTH),
    "gzip that nobody asked for": ok(
        b"content-encoding: gzip\r\ncontent-length: %d\r\n" % len(gzip.compress(BODY)), gzip.compress(BODY)
    ),
    "gzip in two members": ok(
        b"content-encoding: x-gzip\r\nconnection: close\r\n", gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])
    ),
    "deflate, as zlib writes it": ok(b"content-encoding: deflate\r\nconnection: close\r\n", zlib.compress(BODY)),
    "deflate, raw": ok(b"content-encoding: deflate\r\nconnection: close\r\n", zlib.compress(BODY)[2:-4]),
    "gzip of deflate": ok(b"content-encoding: deflate, gzip\r\nconnection: close\r\n", NESTED),
    "two lines of codings": ok(
        b"content-encoding: deflate\r\nx: y\r\ncontent-encoding: gzip\r\nconnection: close\r\n", NESTED
    ),
    "gzip and much padding": ok(
        b"content-encoding: gzip\r\nconnection: close\r\n", gzip.compress(BODY) + b"\0" * 40_000
    ),
    "an identity": ok(b"content-encoding: identity\r\n" + LENGTH),
}
REFUSED = {
    "101 headers": ok(LENGTH + b"".join(b"x-%d: y\r\n" % n for n in range(99))),
    "70 kB in one header": ok(LENGTH + b"x: " + b"y" * 70_000 + b"\r\n"),
    "70 kB in many headers": ok(LENGTH + b"".join(b"x-%d: %b\r\n" % (n, b"y" * 1000) for n in range(70))),
    "lengths that differ": ok(LENGTH + b"content-length: 7\r\n"),
    "lengths that differ in a list": ok(b"content-length: %d, 7\r\n" % len(BODY)),
    "a length with a plus": ok(b"content-length: +%d\r\n" % len(BODY)),
    "a length with a minus": ok(b"content-length: -1\r\n"),
    "a length in hexadecimal": ok(b"content-length: 0x37\r\n"),
    "a length with a space in it": ok(b"content-length: 5 5\r\n"),
    "an empty length": ok(b"content-length: \r\n"),
    "a length of 30 digits": ok(b"content-length: " + b"9" * 30 + b"\r\n"),
    "a length of 20 digits": ok(b"content-length: " + b"9" * 20 + b"\r\n"),
    "a length beyond all reason": ok(b"content-length: %d\r\n" % (LARGEST_ANSWER + 1)),
    "identity as transfer encoding": ok(LENGTH + b"transfer-encoding: identity\r\n"),
    "gzip as transfer encoding": ok(b"transfer-encoding: gzip, chunked\r\n", CHUNKS),
    "a chunk with a minus": ok(b"transfer-encoding: chunked\r\n", b"-1\r\n\r\n"),
    "a chunk of 30 digits": ok(b"transfer-encoding: chunked\r\n", b"f" * 30 + b"\r\n"),
    "101": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "a header without a colon": ok(LENGTH + b"nonsense\r\n"),
    "a header with a space before the colon": ok(LENGTH + b"x : y\r\n"),
    "a zero byte in a header": ok(LENGTH + b"x: a\0b\r\n"),
    "a status of four digits": ok(LENGTH, first=b"HTTP/1.1 2000 OK"),
    "HTTP/2 in clear text": b"HTTP/2 200\r\n" + LENGTH + b"\r\n" + BODY,
    "a preamble": b"hello\r\n" + ok(LENGTH),
    "nothing but line breaks": b"\r\n" * 50_000,
    "gzip that is cut": ok(b"content-encoding: gzip\r\nconnection: close\r\n", gzip.compress(BODY)[:-12]),
    "gzip that is none": ok(b"content-encoding: gzip\r\n" + LENGTH),
    "a thousand codings": ok(b"content-encoding: " + b", ".join([b"gzip"] * 1000) + b"\r\n" + LENGTH),
    "more objects than anybody reads": ok(b"connection: close\r\n", b'{"id": 1, "x": [' + b"{}," * 1_000_000 + b"{}]}"),
    "a coding that nobody asked for": ok(b"content-encoding: br\r\n" + LENGTH),
}


@pytest.mark.parametrize("name", READ)
def test_odd_answers_that_are_read(driver: Driver, any_server: ScriptedServer, name: str) -> None:
    any_server.will(wire(READ[name], close=b"connection: close" in READ[name]), answer(500))
    assert driver.client(KEY, any_server.url, timeout=10.0).accounts.list().items == ()


@pytest.mark.parametrize("name", REFUSED)
def test_odd_answers_that_are_refused(driver: Driver, any_server: ScriptedServer, name: str) -> None:
    any_server.will(wire(REFUSED[name], close=True), answer(200, {"requestId": "r", "status": "success"}))
    with pytest.raises(APIError) as caught:
        driver.client(KEY, any_server.url, timeout=10.0).data_sources.create("t")
    assert isinstance(caught.value, APIConnectionError | InvalidResponseError)
    assert "may have taken effect" in str(caught.value)
    assert len(any_server.requests) == 1


@cache
def spaces(megabytes: int) -> bytes:
    """Return this many bytes as gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * 1_000_000) for _ in range(megabytes)) + packer.flush()


@pytest.mark.slow
def test_a_little_that_stands_for_very_much(driver: Driver, any_server: ScriptedServer) -> None:
    """260 kB of gzip that would become half a gigabyte: the client gives up as soon as an answer is too large."""
    any_server.will(answer(200, spaces(260), {"content-encoding": "gzip"}))
    client = driver.client(KEY, any_server.url)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidResponseError, match="larger than 64 MiB"):
            client.accounts.list()
        assert tracemalloc.get_traced_memory()[1] < 3 * LARGEST_ANSWER
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_bomb_in_a_bomb(driver: Driver, any_server: ScriptedServer) -> None:
    any_server.will(answer(200, gzip.compress(spaces(260)), {"content-encoding": "gzip, gzip"}))
    with pytest.raises(APIError):
        driver.client(KEY, any_server.url).accounts.list()


@pytest.mark.slow
def test_padding_in_a_bomb(driver: Driver, any_server: ScriptedServer) -> None:
    """The padding after compressed data gives nothing, and still takes time."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    padded = packer.compress(gzip.compress(BODY)) + b"".join(packer.compress(bytes(1_000_000)) for _ in range(300))
    bomb = gzip.compress(padded + packer.flush())
    any_server.will(answer(200, bomb, {"content-encoding": "gzip, gzip, gzip"}))
    with pytest.raises(InvalidResponseError, match="larger than 64 MiB"):
        driver.client(KEY, any_server.url).accounts.list()


def test_what_is_empty_needs_no_decoding(driver: Driver, any_server: ScriptedServer) -> None:
    any_server.will(wire(b"HTTP/1.1 204 No Content\r\ncontent-encoding: br\r\n\r\n"))
    assert driver.client(KEY, any_server.url).datasets.delete("d") is None
    assert len(any_server.requests) == 1


def test_decoding_keeps_to_the_time(driver: Driver, any_server: ScriptedServer) -> None:
    """However little time is left, it ends with it."""
    any_server.will(answer(200, spaces(60), {"content-encoding": "gzip"}))
    started = time.monotonic()
    with pytest.raises(APIError):
        driver.client(KEY, any_server.url, timeout=0.05).accounts.list()
    assert time.monotonic() - started < 20
