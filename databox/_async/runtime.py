"""What the asynchronous client does its own way: clocks, time-outs, connections. Its twin is `_sync/runtime.py`."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

import anyio
import httpx

from databox import certificates

__all__ = ["CLIENT_TYPE", "Deadline", "Pause", "SendTrace", "each", "new_http_client", "sleep"]

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


async def each(source: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Walk a source of either kind."""
    if isinstance(source, AsyncIterable):
        async for item in source:
            yield item
    else:
        for item in source:
            yield item
