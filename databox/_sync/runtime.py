"""What the synchronous client does its own way: waiting, time-outs, rows. Its twin is `_async/runtime.py`."""

import math
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

import httpx

from databox.hosts import is_address

__all__ = [
    "Address",
    "Deadline",
    "HttpClient",
    "Pause",
    "Source",
    "aside",
    "breathe",
    "lookup",
    "sleep",
    "until_ready",
]

T = TypeVar("T")

Address: TypeAlias = tuple[Any, Any, int, str, Any]
"""What `socket.getaddrinfo` gives: family, type, protocol, name, address."""
HttpClient: TypeAlias = httpx.Client | None
"""What the caller may bring; None for connections of our own."""
Pause = Callable[[float], None]
sleep: Pause = time.sleep


def aside(work: Callable[[], T]) -> T:
    """Return what some work gives; nobody else is held up here."""
    return work()


def breathe() -> None:
    """Nothing to do: other threads go on by themselves."""


def until_ready(stream: socket.socket, seconds: float | None, *, writing: bool) -> None:
    """Wait until there is something to read from a socket, or until it takes more, which it does once it is connected.

    Raises:
        TimeoutError: it took too long; None sets no end.
    """
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(stream, select.POLLOUT if writing else select.POLLIN)
        ready = bool(poll.poll(None if seconds is None else seconds * 1000))
    else:  # Windows, whose select tells of a failed connection in its third list
        ready = any(select.select([] if writing else [stream], [stream] if writing else [], [stream], seconds))
    if not ready:
        raise TimeoutError


def lookup(host: str, port: int, seconds: float | None) -> list[Address]:
    """Return the addresses of a host, in the order in which they are to be tried.

    Raises:
        OSError: it has none.
        TimeoutError: it took too long; None sets no end.
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
        # The system's own look-up cannot be given an end; in a thread of its own it holds up nobody.
        thread = threading.Thread(target=look, name="databox-lookup", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            raise TimeoutError
    if problems:
        raise problems[0]
    return found


class Deadline:
    """Ends what runs inside it with a TimeoutError after some seconds, by an interruption; None sets no end.

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
            self._timer.join()  # an interruption that has begun must not outlast what it is about
        if isinstance(error, Exception) and time.monotonic() >= self._end:
            raise TimeoutError from error


class Source:
    """Rows, read as they are needed."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = enumerate(rows)
        self.item: tuple[int, Any] | None = None
        """The row that was taken last, after its place."""

    def feed(self, take: Callable[[int, Any], T | None]) -> T | None:
        """Hand over row by row, each with its place, until that gives something, and return it; None at the end."""
        # Noted before anything is called, so that a row is never taken and unknown, whenever an interrupt comes.
        for self.item in self._rows:  # noqa: B020 - not self, but a place in it
            if (given := take(*self.item)) is not None:
                return given
        return None
