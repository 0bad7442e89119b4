"""What differs in the synchronous client: waiting, time-outs, rows. The counterpart is `_async/runtime.py`."""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

import httpx

from databox.hosts import is_address
from databox.sending.readiness import is_ready

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

ASYNCHRONOUS = False
"""Whether a source may be iterated over with `async for`."""

Address: TypeAlias = tuple[Any, Any, int, str, Any]
"""A result of `socket.getaddrinfo`: family, type, protocol, name, address."""
HttpClient: TypeAlias = httpx.Client | None
"""The caller's client; None for our own connections."""
Pause = Callable[[float], None]
sleep: Pause = time.sleep


def aside(work: Callable[[], T]) -> T:
    """Return the result of work that may block; here it blocks no one else."""
    return work()


def uncancelled() -> AbstractContextManager[object]:
    """Nothing to do: nothing is cancelled."""
    return nullcontext()


def breathe() -> None:
    """Nothing to do: other threads run by themselves."""


def until_ready(stream: socket.socket, seconds: float | None, *, reading: bool = False, writing: bool = False) -> None:
    """Wait until a socket is readable, or writable, which it is once it is connected; or either.

    Raises:
        TimeoutError: it took too long; None sets no limit.
    """
    if not is_ready(stream, seconds, reading=reading, writing=writing):
        raise TimeoutError


def lookup(host: str, port: int, seconds: float | None) -> list[Address]:
    """Return the addresses of a host, in the order in which to try them.

    Raises:
        OSError: it has none.
        TimeoutError: it took too long; None sets no limit.
    """
    found: list[Address] = []
    problems: list[OSError] = []

    def look() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            problems.append(error)

    if seconds is None or is_address(host):
        look()
    else:
        # The system's look-up has no time-out; in its own thread it blocks no one.
        thread = threading.Thread(target=look, name="databox-lookup", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            raise TimeoutError
    if problems:
        raise problems[0]
    return found


class Deadline:
    """Ends its block with a TimeoutError after some seconds, by an interruption; None sets no limit.

    It is for httpx, which bounds each step by itself; connections of our own never wait for longer than they may.
    """

    def __init__(self, seconds: float | None, interrupt: Callable[[], None]) -> None:
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self._timer = None if seconds is None else threading.Timer(seconds, interrupt)

    def __enter__(self) -> None:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()  # an interruption that has begun must not outlast the block
        if isinstance(error, Exception) and time.monotonic() >= self._end:
            raise TimeoutError from error


class Source:
    """Rows, read as they are needed."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = enumerate(rows)
        self.item: tuple[int, Any] | None = None
        """The position of the row that was taken last, and the row."""

    def feed(self, take: Callable[[int, Any], T | None]) -> T | None:
        """Pass on rows, each with its position, until the call returns something, and return that; None at the end."""
        # Recorded before any call, so that a row is never taken and unknown, whenever an interrupt comes.
        for self.item in self._rows:  # noqa: B020 - not self, but a place in it
            index, row = self.item
            if (given := take(index, row)) is not None:
                return given
        return None
