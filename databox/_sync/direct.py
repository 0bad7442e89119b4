"""Connections that keep a deadline for a request as a whole.

httpx bounds each connect, read and write by itself, so a server that drips one byte a second never times out. Here
every step gets only what is left of the time, through httpcore's public interface for network backends.
"""

import socket
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from databox import certificates
from databox.config import Config
from databox.exchange import LARGEST_ANSWER, Exchange

__all__ = ["DirectConnections", "own_connections"]


def own_connections(config: Config) -> "DirectConnections":
    """Return new connections; proxies and certificates as the environment has them."""
    return DirectConnections(config)


class _Current(threading.local):
    end: float | None = None
    wrote = False


current = _Current()
"""The request that this thread is sending: when it has to end, and whether any of it went out."""

_WRITE_CHUNK = 65_536
_HELD_BACK = 4096


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
        self._send(b"", timeout)
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        current.wrote = True
        if len(buffer) <= _HELD_BACK and not self._held:
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
    """Connections of httpcore's, without the client that httpx puts around them: half the work for each request."""

    def __init__(self, config: Config) -> None:
        self._key = config.key
        self._base = httpx.URL(config.base_url)
        self._prefix = self._base.raw_path.rstrip(b"/")
        self._proxies = getproxies()
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
        current.wrote = False
        base = self._base
        url = httpcore.URL(
            scheme=base.raw_scheme,
            host=base.raw_host,
            port=base.port,
            target=self._prefix + exchange.target.encode("ascii"),
        )
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), limit)
        try:
            with (
                _as_httpx_errors(),
                self._connections().stream(
                    exchange.method,
                    url,
                    headers=[*exchange.request_headers().items(), ("x-api-key", self._key.reveal())],
                    content=exchange.body,
                    extensions={"timeout": timeouts},
                ) as response,
            ):
                self._read(response, exchange)
        finally:
            exchange.sent = current.wrote
            current.end = None

    def _read(self, response: httpcore.Response, exchange: Exchange) -> None:
        exchange.status = response.status
        exchange.headers = httpx.Headers(response.headers)
        answer = bytearray()
        for part in response.iter_stream():
            answer += part
            if len(answer) > LARGEST_ANSWER:
                raise httpx.DecodingError("the answer is larger than 64 MiB")
        exchange.answer = bytes(answer)
        if "content-encoding" in exchange.headers:  # we do not ask for any
            exchange.answer = httpx.Response(200, headers=exchange.headers, content=exchange.answer).content

    def _connections(self) -> httpcore.ConnectionPool:
        with self._lock:
            if self._pool is None:
                proxy = self._proxy_for(self._base)
                self._pool = httpcore.ConnectionPool(
                    ssl_context=certificates.context() if self._base.scheme == "https" else None,
                    proxy=_proxy(proxy) if proxy else None,
                    max_connections=100,
                    max_keepalive_connections=20,
                    keepalive_expiry=5.0,
                    network_backend=_Backend(),
                )
            return self._pool

    def _proxy_for(self, url: httpx.URL) -> str | None:
        if not self._proxies or proxy_bypass(url.host):
            return None
        return self._proxies.get(url.scheme) or self._proxies.get("all")


def _proxy(address: str) -> httpcore.Proxy:
    parts = urlsplit(address if "://" in address else f"http://{address}")
    user = unquote(parts.username or "")
    auth = (user, unquote(parts.password or "")) if user else None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return httpcore.Proxy(f"{parts.scheme}://{host}{port}", auth=auth)


_HTTPX_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
}


@contextmanager
def _as_httpx_errors() -> Generator[None, None, None]:
    try:
        yield
    except tuple(_HTTPX_ERRORS) as error:
        kind = next(_HTTPX_ERRORS[base] for base in type(error).__mro__ if base in _HTTPX_ERRORS)
        raise kind(str(error)) from error
