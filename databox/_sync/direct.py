"""Connections that keep a deadline for a request as a whole.

httpx bounds each connect, read and write by itself, so a server that drips one byte a second never times out. Here
every step gets only what is left of the time, through httpcore's public interface for network backends.
"""

import socket
import threading
import time
from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore

from databox.config import Config
from databox.exchange import Exchange
from databox.pooling import HELD_BACK, Origin, as_httpx_errors, finished, headers_of, new_pool_options

__all__ = ["DirectConnections", "own_connections"]


def own_connections(config: Config) -> "DirectConnections":
    """Return new connections; proxies and certificates as the environment has them."""
    return DirectConnections(config)


class _Current(threading.local):
    end: float | None = None
    exchange: Exchange | None = None


current = _Current()
"""The request that this thread is sending, and when it has to end."""

_WRITE_CHUNK = 65_536


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    """What a step may take: its own time-out, or what is left of the whole."""
    if current.end is None:
        return timeout
    left = current.end - time.monotonic()
    if left <= 0:
        raise error("The time for the whole request is over.")
    return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._held = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._held:
            self._send(b"", timeout)
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if current.exchange is not None:
            current.exchange.sent = True
        if len(buffer) <= HELD_BACK and not self._held:
            self._held = buffer  # the head of a request, which goes with its body in one packet
        else:
            self._send(buffer, timeout)

    def _send(self, buffer: bytes, timeout: float | None) -> None:
        buffer, self._held = self._held + buffer, b""
        # In parts, because the inner stream applies the time-out to each of its own writes.
        for start in range(0, len(buffer), _WRITE_CHUNK):
            part = buffer[start : start + _WRITE_CHUNK]
            self._inner.write(part, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        # Address by address, since the inner backend would give each of them the whole time.
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            try:
                left = _left(timeout, httpcore.ConnectTimeout)
                return _Stream(self._inner.connect_tcp(address, port, left, local_address, socket_options))
            except httpcore.ConnectError:
                if address == addresses[-1]:
                    raise
        raise httpcore.ConnectError(f"{host} has no address.")


class DirectConnections:
    """Connections of httpcore's; each request ends in its time, whatever the server does."""

    def __init__(self, config: Config) -> None:
        self._key = config.key
        self._base = Origin(config.base_url)
        self._pool: httpcore.ConnectionPool | None = None
        self._lock = threading.Lock()
        self.is_closed = False

    def close(self) -> None:
        """Close all connections."""
        self.is_closed = True
        if self._pool is not None:
            self._pool.close()

    def run(self, exchange: Exchange) -> None:
        """Send a request and fill in its answer.

        Raises:
            httpx.RequestError: something kept the answer from arriving whole, in time or at all.
        """
        limit = exchange.timeout
        current.end = None if limit is None else time.monotonic() + limit
        current.exchange = exchange
        try:
            with (
                as_httpx_errors(),
                self._connections().stream(
                    exchange.method,
                    self._base.url(exchange.target),
                    headers=[*exchange.request_headers().items(), ("x-api-key", self._key.reveal())],
                    content=exchange.body,
                    extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), limit)},
                ) as response,
            ):
                exchange.status, exchange.headers = response.status, headers_of(response.headers)
                answer = bytearray()
                for part in response.iter_stream():
                    answer += part
                    exchange.check_size(len(answer))
                exchange.answer = finished(exchange, bytes(answer))
        finally:
            current.end = current.exchange = None

    def _connections(self) -> httpcore.ConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = httpcore.ConnectionPool(network_backend=_Backend(), **new_pool_options(self._base))
            return self._pool
