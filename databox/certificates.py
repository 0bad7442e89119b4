"""The certificates that secure connections are checked against, read once."""

import functools
import ssl

import httpx

__all__ = ["context"]


@functools.cache
def context() -> ssl.SSLContext:
    """Return httpx's own context; reading its certificates takes longer than many a request."""
    return httpx.create_ssl_context()
