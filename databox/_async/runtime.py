"""What differs in the asynchronous client: waiting, time-outs, rows. The counterpart is `_sync/runtime.py`."""

import socket
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx

from databox.forks import undivided
from databox.hosts import is_address

__all__ = [
    "ASYNCHRONOUS",
    "Address",
    "Deadline",
    "HttpClient",
    "Pause",
    "Source",
    "aside",
    "breathe",
    "lookup",
    "sleep",
    "uncancelled",
    "until_ready",
]

T = TypeVar("T")

ASYNCHRONOUS = True
"""Whether a source may be iterated over with `async for`."""

Address: TypeAlias = tuple[Any, Any, int, str, Any]
"""A result of `socket.getaddrinfo`: family, type, protocol, name, address."""
HttpClient: TypeAlias = httpx.AsyncClient | None
"""The caller's client; None for our own connections."""
Pause = Callable[[float], Awaitable[None]]
sleep: Pause = anyio.sleep


async def aside(work: Callable[[], T]) -> T:
    """Return the result of work that may block, while other tasks continue."""
    _begin()
    return await anyio.to_thread.run_sync(work)


def uncancelled() -> AbstractContextManager[object]:
    """Let a block that must still be done wait, although its task is cancelled."""
    return anyio.CancelScope(shield=True)


async def breathe() -> None:
    """Give other tasks a turn, and a pending cancellation a chance, where nothing else would."""
    _begin()
    await anyio.lowlevel.checkpoint()


def _begin() -> None:
    """Let anyio import what it needs for this kind of event loop, which it does on first use."""
    with undivided:
        anyio.get_cancelled_exc_class()


async def until_ready(
    stream: socket.socket, seconds: float | None, *, reading: bool = False, writing: bool = False
) -> None:
    """Wait until a socket is readable, or writable, which it is once it is connected; or either.

    Raises:
        TimeoutError: it took too long; None sets no limit.
    """
    with anyio.fail_after(seconds):
        if reading and writing:
            await _until_either(stream)
        else:
            await (anyio.wait_writable(stream) if writing else anyio.wait_readable(stream))


async def _until_either(stream: socket.socket) -> None:
    async def wait(until: Callable[[socket.socket], Awaitable[None]]) -> None:
        await until(stream)
        waits.cancel_scope.cancel()

    async with anyio.create_task_group() as waits:
        waits.start_soon(wait, anyio.wait_readable)
        waits.start_soon(wait, anyio.wait_writable)


async def lookup(host: str, port: int, seconds: float | None) -> list[Address]:
    """Return the addresses of a host, in the order in which to try them.

    Raises:
        OSError: it has none.
        TimeoutError: it took too long; None sets no limit.
    """
    look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    if is_address(host):
        return list(look())
    # Each in its own thread: one that hangs delays neither other look-ups nor the end of the event loop.
    with anyio.fail_after(seconds):
        return list(await anyio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)))


class Deadline:
    """Ends its block with a TimeoutError after some seconds; None sets no limit. Nothing else interrupts it."""

    def __init__(self, seconds: float | None, interrupt: Callable[[], None]) -> None:
        self._scope = anyio.fail_after(seconds)

    async def __aenter__(self) -> None:
        self._scope.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._scope.__exit__(kind, error, trace)


class Source:
    """Rows of a synchronous or asynchronous source, read as they are needed."""

    def __init__(self, rows: Iterable[Any] | AsyncIterable[Any]) -> None:
        self._async = aiter(rows) if isinstance(rows, AsyncIterable) else None
        self._sync = enumerate(() if isinstance(rows, AsyncIterable) else rows)
        self.item: tuple[int, Any] | None = None
        """The position of the row that was taken last, and the row."""

    async def feed(self, take: Callable[[int, Any], T | None]) -> T | None:
        """Pass on rows, each with its position, until the call returns something, and return that; None at the end."""
        # Recorded before any call, so that a row is never taken and unknown, whenever an interrupt comes.
        if self._async is not None:
            async for row in self._async:
                self.item = (self.item[0] + 1 if self.item else 0, row)
                if (given := take(*self.item)) is not None:
                    return given
        for self.item in self._sync:  # noqa: B020 - not self, but a place in it
            index, row = self.item
            if (given := take(index, row)) is not None:
                return given
        return None
