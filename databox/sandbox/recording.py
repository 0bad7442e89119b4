"""What the sandbox was asked."""

import json
import threading
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["RecordedRequest", "Recorder"]


@attrs.frozen(kw_only=True)
class RecordedRequest:
    """One request as it came, the key masked."""

    method: str
    path: str
    """As it stood on the wire, percent-encoding included."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    received_at: float
    """Seconds of the monotonic clock."""
    operation: str | None = None
    """Such as `datasets.create`; None for a path that is none."""
    status: int | None = None
    """What it was answered with; None when the connection was dropped, or is still open."""

    @property
    def json(self) -> Any:
        """The body as JSON, or None when there is none."""
        return json.loads(self.body) if self.body else None


class Recorder:
    """Keeps requests in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[int, RecordedRequest] = {}
        self._next = 0

    def came(self, request: RecordedRequest) -> int:
        """Note a request; return its number."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._requests[number] = request
            return number

    def answered(self, number: int, status: int) -> None:
        """Note what a request was answered with."""
        with self._lock:
            if number in self._requests:  # it may have been forgotten meanwhile
                self._requests[number] = attrs.evolve(self._requests[number], status=status)

    def all(self) -> tuple[RecordedRequest, ...]:
        """Return the requests."""
        with self._lock:
            return tuple(self._requests.values())

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._requests.clear()
