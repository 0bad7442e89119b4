"""Connections of our own, over the standard library's `http.client`. The twin is `_async/direct.py`.

httpx costs three times as much for each request, and bounds each connect, read and write by itself, so that a server
that drips one byte a second never times out. Here every step gets only what is left of the time for the whole.
"""

import http.client
import io
import select
import socket
import ssl
import time
from collections import deque
from contextlib import suppress
from typing import Any

import httpx

from databox._sync.connections import HttpxConnections
from databox.config import KEY_HEADER, Config
from databox.environment import certificates_for, proxy_for
from databox.exchange import Exchange
from databox.pooling import HELD_BACK, IDLE_SECONDS, Origin, finished

__all__ = ["DirectConnections", "connections_for"]

MOST_IDLE = 20
READ_AT_ONCE = 65_536


def connections_for(config: Config, http_client: httpx.Client | None) -> "DirectConnections | HttpxConnections":
    """Return connections: the caller's, or new ones with proxies and certificates as the environment has them.

    Raises:
        ConfigurationError: the environment names a proxy or certificates that cannot be used.
        TypeError: what the caller gave has none.
    """
    if isinstance(http_client, httpx.Client):
        return HttpxConnections(config, http_client)
    if http_client is not None:
        raise TypeError(f"http_client must be an httpx.Client, not {type(http_client).__name__}.")
    proxy, trusted = proxy_for(config.base_url), certificates_for(config.base_url)
    if proxy is not None:
        through = httpx.Client(proxy=proxy, verify=trusted, trust_env=False)
        return HttpxConnections(config, through, closes=True)
    return DirectConnections(config, trusted)


class _Socket:
    """A connected socket, as far as `http.client` needs one, for one exchange after another."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._exchange: Exchange | None = None
        self._held = b""

    def begin(self, exchange: Exchange) -> None:
        """From now on all that is sent and read belongs to this exchange."""
        self._exchange = exchange
        self._held = b""

    def sendall(self, data: bytes) -> None:
        if self._exchange is not None:
            self._exchange.leaves()
        if len(data) <= HELD_BACK and not self._held:
            self._held = data  # the head of a request, which goes with its body in one packet
        else:
            self._send(data)

    def recv_into(self, buffer: Any) -> int:
        if self._held:
            self._send(b"")
        self._inner.settimeout(_left(self._exchange))
        return self._inner.recv_into(buffer)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def is_readable(self) -> bool:
        """Whether something came, be it the end: on an idle connection nothing good."""
        if not hasattr(select, "poll"):
            return bool(select.select([self._inner], [], [], 0)[0])
        poll = select.poll()
        poll.register(self._inner, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self._inner.close()

    def _send(self, data: bytes) -> None:
        rest, self._held = memoryview(self._held + data), b""
        while rest:
            self._inner.settimeout(_left(self._exchange))
            rest = rest[self._inner.send(rest) :]


class _Reader(io.RawIOBase):
    def __init__(self, source: _Socket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.recv_into(buffer)


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        super().begin()
        while 101 < self.status < 200:  # such as 103 Early Hints, after which the answer comes
            no_headers: Any = None
            self.headers = no_headers
            super().begin()


class _Connection(http.client.HTTPConnection):
    response_class = _Response
    debuglevel = 0  # whoever sets that of all connections, to see requests, would see the key

    def __init__(self, origin: Origin, trusted: ssl.SSLContext) -> None:
        self._tls = trusted if origin.scheme == "https" else None
        self.default_port = 443 if self._tls else 80
        super().__init__(origin.host, origin.port or self.default_port)
        self.idle_since = 0.0

    def open_for(self, exchange: Exchange) -> None:
        """Connect, unless that was done for an earlier exchange.

        Raises:
            httpx.ConnectError: that failed; nothing of the exchange was sent.
            TimeoutError: it took too long.
        """
        if self.sock is None:
            try:
                stream: Any = _Socket(self._connected(exchange))
            except TimeoutError:
                raise
            except OSError as error:
                raise httpx.ConnectError(str(error)) from error
            self.sock = stream
        self.stream.begin(exchange)

    @property
    def stream(self) -> _Socket:
        """What is sent through and read from."""
        stream: Any = self.sock
        assert isinstance(stream, _Socket)
        return stream

    def _connected(self, exchange: Exchange) -> socket.socket:
        # Address by address, since create_connection would give each of them the whole time.
        problem: OSError = OSError(f"{self.host} has no address.")
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            found = None
            try:
                found = socket.socket(family, kind, protocol)
                found.settimeout(_left(exchange))
                found.connect(address)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                problem = error
                if found is not None:
                    found.close()
            else:
                return self._secured(found, exchange)
        raise problem

    def _secured(self, found: socket.socket, exchange: Exchange) -> socket.socket:
        if self._tls is None:
            return found
        try:
            found.settimeout(_left(exchange))
            return self._tls.wrap_socket(found, server_hostname=self.host)
        except BaseException:
            found.close()
            raise


class DirectConnections:
    """A pool of connections; each request ends in its time, whatever the server does."""

    def __init__(self, config: Config, trusted: ssl.SSLContext) -> None:
        self._key = config.key
        self._origin = Origin(config.base_url)
        self._trusted = trusted
        self._idle: deque[_Connection] = deque()
        self.is_closed = False

    def close(self) -> None:
        """Close all connections; those in use, when their request has ended."""
        self.is_closed = True
        while self._idle:
            self._idle.pop().close()

    def run(self, exchange: Exchange) -> None:
        """Send a request and fill in its answer.

        Raises:
            httpx.RequestError: something kept the answer from arriving whole.
            TimeoutError: it did not arrive in time.
        """
        exchange.begin()
        connection = self._idle_connection() or _Connection(self._origin, self._trusted)
        try:
            connection.open_for(exchange)
            self._talk(connection, exchange)
        except TimeoutError:
            connection.close()
            raise
        except http.client.HTTPException as error:
            connection.close()
            raise httpx.RemoteProtocolError(str(error) or type(error).__name__) from error
        except OSError as error:
            connection.close()
            raise httpx.ReadError(str(error)) from error
        except BaseException:
            connection.close()
            raise
        connection.idle_since = time.monotonic()
        if connection.sock is not None:  # a server that does not keep it open has had it closed
            self._idle.append(connection)
        if self.is_closed or len(self._idle) > MOST_IDLE:
            self._close_oldest()

    def _talk(self, connection: _Connection, exchange: Exchange) -> None:
        headers = exchange.request_headers()
        headers[KEY_HEADER] = self._key.reveal()
        with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read all, as with 413
            connection.request(exchange.method, self._origin.target(exchange.target), exchange.body, headers)
        response = connection.getresponse()
        if response.status < 200:
            raise http.client.UnknownProtocol(f"an answer that says {response.status} and nothing after it")
        exchange.status = response.status
        exchange.headers = {name.lower(): value for name, value in response.getheaders()}
        announced = response.length
        answer = bytearray()
        while part := response.read(READ_AT_ONCE):
            answer += part
            exchange.check_size(len(answer))
        if announced is not None and len(answer) < announced:
            raise http.client.IncompleteRead(bytes(answer), announced - len(answer))
        exchange.answer = finished(exchange, bytes(answer))

    def _idle_connection(self) -> _Connection | None:
        """The connection that was used last, if it still is one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - connection.idle_since < IDLE_SECONDS and not connection.stream.is_readable():
                return connection
            connection.close()

    def _close_oldest(self) -> None:
        with suppress(IndexError):  # another thread was quicker
            self._idle.popleft().close()


def _left(exchange: Exchange | None) -> float | None:
    """The seconds that are left for an exchange, which is what its next step may take."""
    end = exchange.end if exchange is not None else None
    if end is None:
        return None
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("The time for the whole request is over.")
    return left
