"""What both kinds of direct connections share: addresses, proxies, certificates, errors."""

import functools
import ssl
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from databox.exchange import Exchange

__all__ = ["HELD_BACK", "Origin", "as_httpx_errors", "finished", "headers_of", "new_pool_options"]

HELD_BACK = 4096
"""Bytes of a request's head that wait for its body, so that both go in one packet."""


class Origin:
    """The base URL, taken apart once."""

    def __init__(self, base_url: str) -> None:
        base = httpx.URL(base_url)
        self.scheme, self.host = base.scheme, base.host
        self._address: dict[str, Any] = {"scheme": base.raw_scheme, "host": base.raw_host, "port": base.port}
        self._prefix = base.raw_path.rstrip(b"/")

    def url(self, target: str) -> httpcore.URL:
        """Return the address of a request below it."""
        return httpcore.URL(**self._address, target=self._prefix + target.encode("ascii"))


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers of an answer by lower-case name."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


def new_pool_options(base: Origin) -> dict[str, Any]:
    """Return how to make a connection pool; proxies and certificates as the environment has them."""
    proxy = _proxy_for(base)
    return {
        "ssl_context": _certificates() if base.scheme == "https" else None,
        "proxy": _proxy(proxy) if proxy else None,
        "max_connections": 100,
        "max_keepalive_connections": 20,
        "keepalive_expiry": 5.0,
    }


def finished(exchange: Exchange, answer: bytes) -> bytes:
    """Return an answer's body, decoded if the server encoded it, though we ask for nothing of the kind."""
    if "content-encoding" not in exchange.headers:
        return answer
    return httpx.Response(200, headers=exchange.headers, content=answer).content


@functools.cache
def _certificates() -> ssl.SSLContext:
    """httpx's own context; reading its certificates takes longer than many a request, so it is done once."""
    return httpx.create_ssl_context()


def _proxy_for(base: Origin) -> str | None:
    from urllib.request import getproxies, proxy_bypass  # slow to import, and not needed before a request

    if proxy_bypass(base.host):
        return None
    proxies = getproxies()
    return proxies.get(base.scheme) or proxies.get("all")


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
def as_httpx_errors() -> Generator[None, None, None]:
    """Let httpcore's errors out as httpx's, so that the transport knows one kind."""
    try:
        yield
    except tuple(_HTTPX_ERRORS) as error:
        kind = next(_HTTPX_ERRORS[base] for base in type(error).__mro__ if base in _HTTPX_ERRORS)
        raise kind(str(error)) from error
