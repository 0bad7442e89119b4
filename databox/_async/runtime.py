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
    """Return what httpx tells its steps to; their names are passed on."""

    async def told(event: str, info: dict[str, Any]) -> None:
        note(event)

    return told


class Source:
    """Rows of either kind, read as they are needed."""

    def __init__(self, rows: Iterable[Any] | AsyncIterable[Any]) -> None:
        self._async = aiter(rows) if isinstance(rows, AsyncIterable) else None
        self._sync = enumerate(() if isinstance(rows, AsyncIterable) else rows)
        self.item: tuple[int, Any] | None = None
        """The row that was taken last, after its place."""

    async def feed(self, take: Callable[[int, Any], T | None]) -> T | None:
        """Hand over row by row, each with its place, until that gives something, and return it; None at the end."""
        # Noted before anything is called, so that a row is never taken and unknown, whenever an interrupt comes.
        if self._async is not None:
            async for row in self._async:
                self.item = (self.item[0] + 1 if self.item else 0, row)
                if (given := take(*self.item)) is not None:
                    return given
        for self.item in self._sync:  # noqa: B020 - not self, but a place in it
            if (given := take(*self.item)) is not None:
                return given
        return None
