"""Connections that keep a deadline for a request as a whole.

httpx bounds each connect, read and write by itself, so a server that drips one byte a second never times out. Here
every step gets only what is left of the time, through httpcore's public interface for network backends.
"""

import socket
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from types import TracebackType
from typing import Any, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from databox import certificates

__all__ = ["DeadlineTransport", "current"]


class _Current(threading.local):
    end: float | None = None


current = _Current()
"""The deadline of the request that this thread is sending."""

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

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
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


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class DeadlineTransport(httpx.BaseTransport):
    """A transport for httpx over connections that keep the deadline; proxies as the environment has them."""

    def __init__(self) -> None:
        self._proxies = getproxies()
        self._pools: dict[tuple[str, str | None], httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its response, the body still to be read."""
        url = request.url
        inner = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx_errors():
            response = self._pool(url.scheme, self._proxy_for(url)).handle_request(inner)
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=cast("dict[str, Any]", response.extensions),
        )

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()

    def __enter__(self) -> "DeadlineTransport":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def _proxy_for(self, url: httpx.URL) -> str | None:
        if not self._proxies or proxy_bypass(url.host):
            return None
        return self._proxies.get(url.scheme) or self._proxies.get("all")

    def _pool(self, scheme: str, proxy: str | None) -> httpcore.ConnectionPool:
        with self._lock:
            if (scheme, proxy) not in self._pools:
                self._pools[scheme, proxy] = httpcore.ConnectionPool(
                    ssl_context=certificates.context() if scheme == "https" else None,
                    proxy=_proxy(proxy) if proxy else None,
                    max_connections=100,
                    max_keepalive_connections=20,
                    keepalive_expiry=5.0,
                    network_backend=_Backend(),
                )
            return self._pools[scheme, proxy]


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
