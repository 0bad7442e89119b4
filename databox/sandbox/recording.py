"""The requests that the sandbox received."""

import json
import threading
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["MOST", "RecordedRequest", "Recorder"]

MOST = 100_000
MOST_BYTES = 256 * 1024 * 1024


@attrs.frozen(kw_only=True)
class RecordedRequest:
    """A request as received, with all keys masked: in headers, path, query and body."""

    method: str
    path: str
    """As received, including percent-encoding."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    received_at: float
    """Seconds of the monotonic clock."""
    operation: str | None = None
    """Such as `datasets.create`; None for an unknown path."""
    status: int | None = None
    """The status of the answer; None if the connection was dropped, or is still open."""

    @property
    def json(self) -> Any:
        """The body as JSON, or None if there is none."""
        return json.loads(self.body) if self.body else None


class Recorder:
    """Keeps the latest requests in order of arrival: up to `MOST` of them, and `MOST_BYTES` of bodies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[int, RecordedRequest] = {}
        self._next = self._forgotten = 0
        self._bytes = 0

    def came(self, request: RecordedRequest) -> int:
        """Record a request; return its number."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._requests[number] = request
            self._bytes += len(request.body)
            while len(self._requests) > MOST or self._bytes > MOST_BYTES:
                self._bytes -= len(self._requests.pop(next(iter(self._requests))).body)
            return number

    def answered(self, number: int, status: int) -> None:
        """Record the status of the answer to a request."""
        with self._lock:
            if number in self._requests:  # it may have been dropped in the meantime
                self._requests[number] = attrs.evolve(self._requests[number], status=status)

    def all(self) -> tuple[RecordedRequest, ...]:
        """Return the requests."""
        with self._lock:
            return tuple(self._requests.values())

    @property
    def count(self) -> int:
        """The number of requests since the last reset."""
        return self._next - self._forgotten

    def numbered(self, after: int = -1) -> list[tuple[int, RecordedRequest]]:
        """Return the requests after a given number, with their numbers."""
        with self._lock:
            return [(number, request) for number, request in self._requests.items() if number > after]

    def clear(self) -> None:
        """Remove all requests."""
        with self._lock:
            self._requests.clear()
            self._bytes = 0
            self._forgotten = self._next
