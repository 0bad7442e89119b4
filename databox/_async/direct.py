"""Connections of our own, over httpcore without the client that httpx puts around it. The twin is `_sync/direct.py`.

httpx would do the same with twice the work for each request, and its trace, which tells whether anything was sent,
costs a task switch for each step. Here the streams themselves note it.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from ssl import SSLContext
from typing import Any

import anyio
import httpcore

from databox.config import Config
from databox.exchange import Exchange
from databox.pooling import HELD_BACK, Origin, as_httpx_errors, finished, headers_of, new_pool_options

__all__ = ["AsyncDirectConnections", "own_connections"]


def own_connections(config: Config) -> "AsyncDirectConnections":
    """Return new connections; proxies and certificates as the environment has them."""
    return AsyncDirectConnections(config)


_exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._held = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._held:
            await self._send(b"", timeout)
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        exchange = _exchange.get()
        if exchange is not None:
            exchange.sent = True
        if len(buffer) <= HELD_BACK and not self._held:
            self._held = buffer  # the head of a request, which goes with its body in one packet
        else:
            await self._send(buffer, timeout)

    async def _send(self, buffer: bytes, timeout: float | None) -> None:
        buffer, self._held = self._held + buffer, b""
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self) -> None:
        backend: Any = httpcore.AnyIOBackend  # an empty stand-in, as far as type checkers see
        self._anyio: httpcore.AsyncNetworkBackend = backend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._anyio.connect_tcp(host, port, timeout, local_address, socket_options))


class AsyncDirectConnections:
    """Connections of httpcore's; each request ends in its time, whatever the server does."""

    def __init__(self, config: Config) -> None:
        self._key = config.key
        self._base = Origin(config.base_url)
        self._pool: httpcore.AsyncConnectionPool | None = None
        self.is_closed = False

    async def aclose(self) -> None:
        """Close all connections."""
        self.is_closed = True
        if self._pool is not None:
            await self._pool.aclose()

    async def run(self, exchange: Exchange) -> None:
        """Send a request and fill in its answer.

        Raises:
            httpx.RequestError: something kept the answer from arriving whole.
            TimeoutError: it did not arrive in time.
        """
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(network_backend=_Backend(), **new_pool_options(self._base))
        token = _exchange.set(exchange)
        try:
            with as_httpx_errors(), anyio.fail_after(exchange.timeout):
                async with self._pool.stream(
                    exchange.method,
                    self._base.url(exchange.target),
                    headers=[*exchange.request_headers().items(), ("x-api-key", self._key.reveal())],
                    content=exchange.body,
                ) as response:
                    exchange.status, exchange.headers = response.status, headers_of(response.headers)
                    answer = bytearray()
                    async for part in response.aiter_stream():
                        answer += part
                        exchange.check_size(len(answer))
                    exchange.answer = finished(exchange, bytes(answer))
        finally:
            _exchange.reset(token)
