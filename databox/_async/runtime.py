"""What the asynchronous client does its own way: clocks, time-outs, connections. Its twin is `_sync/runtime.py`."""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

import anyio
import httpx

from databox import certificates

__all__ = ["CLIENT_TYPE", "Deadline", "Pause", "SendTrace", "Source", "new_http_client", "sleep"]

T = TypeVar("T")

CLIENT_TYPE = httpx.AsyncClient
Pause = Callable[[float], Awaitable[None]]
sleep: Pause = anyio.sleep


class Deadline:
    """Ends what runs inside it with a TimeoutError after some seconds; None sets no end."""

    def __init__(self, seconds: float | None) -> None:
        self._scope = anyio.fail_after(seconds)

    def check(self) -> None:
        """Nothing to do: the scope interrupts by itself."""

    async def __aenter__(self) -> "Deadline":
        self._scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._scope.__exit__(kind, error, trace)


class SendTrace:
    """Notes how far a request got: whether anything happened, and whether it was being sent."""

    def __init__(self) -> None:
        self.seen = False
        self.sent = False

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        self.seen = True
        self.sent = self.sent or event.endswith("send_request_headers.started")


def new_http_client() -> httpx.AsyncClient:
    """Return a client of our own; proxies and certificates as the environment has them."""
    return httpx.AsyncClient(verify=certificates.context())


class Source:
    """Rows of either kind, read as they are needed."""

    def __init__(self, rows: Iterable[Any] | AsyncIterable[Any]) -> None:
        self._async = aiter(rows) if isinstance(rows, AsyncIterable) else None
        self._sync = iter(()) if isinstance(rows, AsyncIterable) else iter(rows)

    async def feed(self, take: Callable[[Any], T | None]) -> T | None:
        """Hand over row by row until that gives something, and return it; None at the end."""
        if self._async is not None:
            async for row in self._async:
                if (given := take(row)) is not None:
                    return given
        for row in self._sync:
            if (given := take(row)) is not None:
                return given
        return None
