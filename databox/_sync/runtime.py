"""What the synchronous client does its own way: clocks, time-outs, connections. Its twin is `_async/runtime.py`."""

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

import httpx

__all__ = ["Deadline", "HttpClient", "Pause", "Source", "aside", "sleep", "trace"]

T = TypeVar("T")

HttpClient: TypeAlias = httpx.Client | None
"""What the caller may bring; None for connections of our own."""
Pause = Callable[[float], None]
sleep: Pause = time.sleep


def aside(work: Callable[[], T]) -> T:
    """Return what some work gives; nobody else is held up here."""
    return work()


class Deadline:
    """Ends what runs inside it with a TimeoutError after some seconds, looked at between the parts of an answer.

    None sets no end. It is for clients of the caller's; connections of our own are in `direct`.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise TimeoutError when the time is over."""
        if self._end is not None and time.monotonic() > self._end:
            raise TimeoutError

    def __enter__(self) -> "Deadline":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to do."""


def trace(note: Callable[[str], object]) -> Callable[[str, dict[str, Any]], None]:
    """Return what httpx tells its steps to; the names of all that is not between us and a proxy are passed on."""

    def told(event: str, info: dict[str, Any]) -> None:
        if getattr(info.get("request"), "method", None) != b"CONNECT":
            note(event)

    return told


class Source:
    """Rows, read as they are needed."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = iter(rows)

    def feed(self, take: Callable[[Any], T | None]) -> T | None:
        """Hand over row by row until that gives something, and return it; None at the end."""
        for row in self._rows:
            if (given := take(row)) is not None:
                return given
        return None
