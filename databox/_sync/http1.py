# Derived from databox/_async/http1.py by tools/unasync.py; edit that one.
"""One HTTP/1.1 connection of our own: h11 knows the protocol, and a non-blocking socket does the rest.

Nothing is read ahead. What a server has sent is either in h11, or a read returns it immediately from the socket or the
TLS layer above it. So the connection knows whether anything followed an answer, which the next request must not get.
"""

import errno
import os
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TypeVar

import h11
import httpx

from databox._sync.runtime import Address, breathe, lookup, until_ready
from databox.config import KEY_HEADER
from databox.secret import Secret
from databox.sending.exchange import LARGEST_HEAD, Exchange, Origin
from databox.sending.readiness import Look

__all__ = ["Connection", "open_connection"]

T = TypeVar("T")
Opened = Callable[[socket.socket], None]

READ_AT_ONCE = 16_384
EVENTS_AT_ONCE = 50
_KEY_HEADER = f"{KEY_HEADER}: ".encode()
_END = h11.EndOfMessage()
_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK)}


class Connection:
    """A connection to the API, for one exchange at a time."""

    def __init__(self, stream: socket.socket, origin: Origin) -> None:
        self._stream = stream
        self._origin = origin
        self._look = Look()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
        self.idle_since = 0.0
        """When its last exchange ended, on the monotonic clock."""

    def close(self) -> None:
        """Close it immediately; in a forked child, the parent's stays open."""
        self._stream.close()

    def is_quiet(self) -> bool:
        """Whether nothing has arrived since the last answer, not even the end of the connection."""
        try:
            self._stream.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def may_serve_again(self, last: Exchange) -> bool:
        """Whether the last exchange is over, and left nothing that the next one could take for its answer."""
        http = self._http
        if last.body and (last.status or 0) >= 300:
            # Some servers refuse a request without reading its body, and take that for the beginning of the next.
            return False
        # Data left in h11 is visible nowhere else. h11 also records the end of a connection, which under TLS arrives
        # before that of the socket, where it would not be visible yet.
        is_over = http.our_state is h11.DONE and http.their_state is h11.DONE and http.trailing_data == (b"", False)
        if is_over:
            http.start_next_cycle()
        return is_over

    def talk(self, exchange: Exchange, key: Secret[str]) -> None:
        """Send a request and fill in its answer.

        Raises:
            httpx.RemoteProtocolError: the answer is not HTTP, or is incomplete.
            httpx.ReadError: the connection broke.
            TimeoutError: the exchange timed out.
        """
        with _told_as(httpx.ReadError):
            try:
                self._send(exchange, key)
            except OSError as error:
                if _is_over(error):
                    raise
                # A server may answer before it has read everything, as with 413, and close.
                exchange.truncated = True
            if exchange.truncated:
                self._http.send_failed()
            self._receive(exchange)

    def _send(self, exchange: Exchange, key: Secret[str]) -> None:
        body = exchange.body or b""
        request = _request(exchange.method, self._origin, exchange.target, tuple(exchange.request_headers().items()))
        head = (self._http.send(request) or b"").removesuffix(b"\r\n")
        self._http.send(_END)
        if body or exchange.method in ("POST", "PUT", "PATCH"):
            head += b"content-length: %d\r\n" % len(body)
        # Head and body go in one packet. The key is inserted last, in a view whose repr does not show it.
        rest = memoryview(b"".join((head, _KEY_HEADER, key.reveal().encode("ascii"), b"\r\n\r\n", body)))
        exchange.leaves()
        while rest and not exchange.truncated:
            left = exchange.time_left()
            try:
                rest = rest[self._stream.send(rest) :]
            except ssl.SSLWantReadError:  # pragma: no cover - it renegotiates, which no server in Python can ask for
                until_ready(self._stream, left, reading=True)
            except (ssl.SSLWantWriteError, BlockingIOError):
                # A server that has refused the request may have stopped reading it, and keep the connection open.
                exchange.truncated = exchange.status is None and self._is_refused(exchange)
                if not exchange.truncated:
                    until_ready(self._stream, left, reading=exchange.status is None, writing=True)

    def _is_refused(self, exchange: Exchange) -> bool:
        """Whether a refusal has arrived, so that nobody needs the rest of the request."""
        try:
            self._take(self._stream.recv(READ_AT_ONCE))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        while isinstance(event := self._http.next_event(), h11.InformationalResponse):
            pass
        if isinstance(event, h11.Response):
            exchange.begin_answer(event.status_code, event.headers.raw_items())
        return exchange.status is not None and exchange.status >= 300

    def _receive(self, exchange: Exchange) -> None:
        answer, count = bytearray(), 0
        if exchange.status is None:
            self._look.begin(self._stream)
            self._read(exchange)
            self._look.end()
        while type(event := self._http.next_event()) is not h11.EndOfMessage:
            count += 1
            if not count % EVENTS_AT_ONCE:  # if data never runs out, nothing ever waits, but other tasks need a turn
                exchange.time_left()
                breathe()
            if event is h11.NEED_DATA:
                self._read(exchange)
            elif isinstance(event, h11.Data):
                answer += event.data
                exchange.check_size(len(answer))
            elif isinstance(event, h11.Response):
                exchange.begin_answer(event.status_code, event.headers.raw_items())
        exchange.answer = bytes(answer)

    def _read(self, exchange: Exchange) -> None:
        self._take(_done(self._stream, exchange, partial(self._stream.recv, READ_AT_ONCE)))

    def _take(self, data: bytes) -> None:
        if not data and self._http.their_state is h11.SEND_RESPONSE:
            raise h11.RemoteProtocolError("the server closed the connection without an answer")
        self._http.receive_data(data)


@lru_cache(maxsize=16)
def _request(method: str, origin: Origin, target: str, headers: tuple[tuple[str, str], ...]) -> h11.Request:
    """The head of a request as far as h11 checks it: without the key, and the length, which is that of the body.

    A run sends the same head again and again, and h11 needs longer to check one than to write it.
    """
    return h11.Request(method=method, target=origin.target(target), headers=[("host", origin.authority), *headers])


def open_connection(origin: Origin, trusted: ssl.SSLContext, exchange: Exchange, opened: Opened) -> Connection:
    """Return a new connection; no part of the exchange has been sent yet.

    `opened` gets each socket before anything is done with it.

    Raises:
        httpx.ConnectError: the connection or TLS failed.
        TimeoutError: connecting timed out.
    """
    with _told_as(httpx.ConnectError):
        stream = _connected(origin, exchange, opened)
        try:
            if origin.scheme == "https":
                stream = trusted.wrap_socket(stream, server_hostname=origin.host, do_handshake_on_connect=False)
                opened(stream)
                _done(stream, exchange, stream.do_handshake)
        except BaseException:
            stream.close()
            raise
    return Connection(stream, origin)


def _connected(origin: Origin, exchange: Exchange, opened: Opened) -> socket.socket:
    """A socket to the first address that accepts a connection, in the order given by the system."""
    problem = OSError(f"{origin.host} has no address")
    addresses = lookup(origin.host, origin.port, exchange.time_left())
    for place, address in enumerate(addresses):
        # Each address gets a share of the time, so that a dead one leaves time for the others.
        left = exchange.time_left()
        try:
            return _connected_to(address, left and left / (len(addresses) - place), opened)
        except OSError as error:
            problem = error
    raise problem


def _connected_to(address: Address, seconds: float | None, opened: Opened) -> socket.socket:
    family, kind, protocol, _, place = address
    stream = socket.socket(family, kind, protocol)
    try:
        opened(stream)
        stream.setblocking(False)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = stream.connect_ex(place)
        if code in _UNDER_WAY:
            until_ready(stream, seconds, writing=True)
            code = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        stream.close()
        raise
    return stream


def _done(stream: socket.socket, exchange: Exchange, step: Callable[[], T]) -> T:
    """Return the result of a step that reads from a socket, once it can be done without blocking."""
    while True:
        left = exchange.time_left()
        try:
            return step()
        except (ssl.SSLWantReadError, BlockingIOError):
            until_ready(stream, left, reading=True)
        except ssl.SSLWantWriteError:  # pragma: no cover - it renegotiates while it cannot write
            until_ready(stream, left, writing=True)


@contextmanager
def _told_as(kind: type[httpx.TransportError]) -> Generator[None, None, None]:
    """Raise errors as httpx would, so that the transport handles one kind of errors."""
    try:
        yield
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except OSError as error:
        if _is_over(error):
            raise
        raise kind(str(error)) from error


def _is_over(error: OSError) -> bool:
    """Whether the exchange timed out. A time-out from the system has an errno, and is about a single step."""
    return isinstance(error, TimeoutError) and error.errno is None
