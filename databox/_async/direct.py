"""Connections of our own, over httpcore without the client that httpx puts around it. The twin is `_sync/direct.py`.

httpx would do the same with twice the work for each request, and its trace, which tells whether anything was sent,
costs a task switch for each step. Here the streams themselves note it.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, cast

import anyio
import httpcore
import httpx

from databox._async.aiohttp import AiohttpConnections
from databox._async.connections import AsyncHttpxConnections
from databox.config import KEY_HEADER, Config
from databox.environment import certificates_for, proxy_for
from databox.exchange import Exchange
from databox.pooling import HELD_BACK, IDLE_SECONDS, Origin, finished, headers_of

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["AsyncDirectConnections", "connections_for"]


def connections_for(
    config: Config, http_client: "httpx.AsyncClient | ClientSession | None"
) -> "AsyncDirectConnections | AsyncHttpxConnections | AiohttpConnections":
    """Return connections: the caller's, or new ones with proxies and certificates as the environment has them.

    Raises:
        ConfigurationError: the environment names a proxy or certificates that cannot be used.
        TypeError: what the caller gave has none.
    """
    if isinstance(http_client, httpx.AsyncClient):
        return AsyncHttpxConnections(config, http_client)
    if http_client is not None:
        return _aiohttp_connections(config, http_client)
    proxy, trusted = proxy_for(config.base_url), certificates_for(config.base_url)
    if proxy is not None:
        through = httpx.AsyncClient(proxy=proxy, verify=trusted, trust_env=False)
        return AsyncHttpxConnections(config, through, closes=True)
    return AsyncDirectConnections(config, trusted)


def _aiohttp_connections(config: Config, session: object) -> AiohttpConnections:
    kind = type(session)
    # Without importing aiohttp, which may not be there.
    if any(base.__name__ == "ClientSession" and base.__module__.startswith("aiohttp.") for base in kind.__mro__):
        return AiohttpConnections(config, cast("ClientSession", session))
    raise TypeError(f"http_client must be an httpx.AsyncClient or an aiohttp.ClientSession, not {kind.__name__}.")


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
            exchange.leaves()
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
        try:
            return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            # httpcore closes the connection after a failure, but not when it is cancelled.
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()
            raise

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

    def __init__(self, config: Config, trusted: SSLContext) -> None:
        self._key = config.key
        self._origin = Origin(config.base_url)
        self._trusted = trusted
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
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._trusted,
                max_connections=100,
                max_keepalive_connections=20,
                keepalive_expiry=IDLE_SECONDS,
                network_backend=_Backend(),
            )
        token = _exchange.set(exchange)
        try:
            with _as_httpx_errors(), anyio.fail_after(exchange.timeout):
                async with self._pool.stream(
                    exchange.method,
                    self._url(exchange.target),
                    headers=[*exchange.request_headers().items(), (KEY_HEADER, self._key.reveal())],
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

    def _url(self, target: str) -> httpcore.URL:
        origin = self._origin
        return httpcore.URL(
            scheme=origin.scheme.encode(),
            host=origin.host.encode(),
            port=origin.port,
            target=origin.target(target).encode("ascii"),
        )


_HTTPX_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
}


@contextmanager
def _as_httpx_errors() -> Generator[None, None, None]:
    """Let httpcore's errors out as httpx's, so that the transport knows one kind."""
    try:
        yield
    except tuple(_HTTPX_ERRORS) as error:
        kind = next(_HTTPX_ERRORS[base] for base in type(error).__mro__ if base in _HTTPX_ERRORS)
        raise kind(str(error)) from error
