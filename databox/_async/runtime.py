"""What the asynchronous client does its own way: clocks, time-outs, connections. Its twin is `_sync/runtime.py`."""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    import aiohttp
    import httpx

__all__ = ["Deadline", "HttpClient", "Pause", "Source", "aside", "sleep", "trace"]

T = TypeVar("T")

HttpClient: TypeAlias = "httpx.AsyncClient | aiohttp.ClientSession | None"
"""What the caller may bring; None for connections of our own."""
Pause = Callable[[float], Awaitable[None]]
sleep: Pause = anyio.sleep


async def aside(work: Callable[[], T]) -> T:
    """Return what some work gives that may block; others go on meanwhile."""
    return await anyio.to_thread.run_sync(work)


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


def trace(note: Callable[[str], object]) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
    """Return what httpx tells its steps to; the names of all that is not between us and a proxy are passed on."""

    async def told(event: str, info: dict[str, Any]) -> None:
        if getattr(info.get("request"), "method", None) != b"CONNECT":
            note(event)

    return told


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
