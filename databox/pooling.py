"""What both kinds of connections of our own share: the address, headers, encoded answers."""

from collections.abc import Iterable

import httpx

from databox.exchange import Exchange

__all__ = ["HELD_BACK", "IDLE_SECONDS", "Origin", "finished", "headers_of"]

HELD_BACK = 4096
"""Bytes of a request's head that wait for its body, so that both go in one packet."""
IDLE_SECONDS = 5.0
"""How long a connection is kept for another request; servers close theirs sooner or later as well."""


class Origin:
    """The base URL, taken apart once."""

    def __init__(self, base_url: str) -> None:
        base = httpx.URL(base_url)
        self.scheme = base.scheme
        self.host = base.raw_host.decode("ascii")
        self.port = base.port
        self._prefix = base.raw_path.rstrip(b"/").decode("ascii")

    def target(self, target: str) -> str:
        """Return the path and query of a request below it."""
        return self._prefix + target


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers of an answer by lower-case name."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


def finished(exchange: Exchange, answer: bytes) -> bytes:
    """Return an answer's body, decoded if the server encoded it, though we ask for nothing of the kind."""
    if "content-encoding" not in exchange.headers:
        return answer
    return httpx.Response(200, headers=exchange.headers, content=answer).content
