"""What the synchronous client does its own way: clocks, time-outs, connections. Its twin is `_async/runtime.py`."""

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

import httpx

from databox._sync.deadline import DeadlineTransport, current

__all__ = ["CLIENT_TYPE", "Deadline", "Pause", "SendTrace", "Source", "new_http_client", "sleep"]

T = TypeVar("T")

CLIENT_TYPE = httpx.Client
Pause = Callable[[float], None]
sleep: Pause = time.sleep


class Deadline:
    """Ends what runs inside it with a TimeoutError after some seconds; None sets no end.

    Connections of our own watch it at each read and write. Through a client of the caller's it is looked at between
    the parts of an answer.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise TimeoutError when the time is over."""
        if self._end is not None and time.monotonic() > self._end:
            raise TimeoutError

    def __enter__(self) -> "Deadline":
        current.end = self._end
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current.end = None


class SendTrace:
    """Notes how far a request got: whether anything happened, and whether it was being sent."""

    def __init__(self) -> None:
        self.seen = False
        self.sent = False

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        self.seen = True
        self.sent = self.sent or event.endswith("send_request_headers.started")


def new_http_client() -> httpx.Client:
    """Return a client of our own; proxies and certificates as the environment has them."""
    return httpx.Client(transport=DeadlineTransport())


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
