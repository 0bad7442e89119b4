"""How many requests may go out, and when: the documented limits as a decision without I/O.

Source: the API's limits page, "10 requests per second and 10,000 per hour" for each key.
"""

import hashlib
import threading
from collections import deque

import attrs

__all__ = ["DOCUMENTED", "RateLimit", "RequestLog", "Slot", "shared_log"]

SECOND = 1.015
HOUR = 3601.0
"""Both as we count them: a little longer, since requests may arrive closer together than they were sent."""


def _positive(_: object, attribute: "attrs.Attribute[int]", value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"RateLimit.{attribute.name} must be a whole number of at least 1, not {value!r}.")


@attrs.frozen
class RateLimit:
    """The most requests that a key may send: in any second, and in any hour."""

    per_second: int = attrs.field(default=10, validator=_positive)
    per_hour: int = attrs.field(default=10_000, validator=_positive)


DOCUMENTED = RateLimit()


@attrs.frozen
class Slot:
    """Leave to send one request at the time `at`, unless the log was paused meanwhile."""

    at: float
    generation: int


class RequestLog:
    """When the requests of one key and host went, or will go, out. Safe to use from any thread.

    Times are seconds of one monotonic clock, given by the caller. Slots are handed out in order, so whoever asks
    first goes first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: deque[float] = deque()
        self._paused_until = 0.0
        self._generation = 0

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return the next time at which a request keeps within both windows, and note it as taken."""
        with self._lock:
            while self._times and self._times[0] <= now - HOUR:
                self._times.popleft()
            at = max(
                now,
                self._paused_until,
                self._times[-1] if self._times else now,
                self._earliest(limit.per_second, SECOND),
                self._earliest(limit.per_hour, HOUR),
            )
            self._times.append(at)
            return Slot(at, self._generation)

    def holds(self, slot: Slot) -> bool:
        """Return whether the slot still counts; after a pause a new one has to be reserved."""
        with self._lock:
            return slot.generation == self._generation

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing go out for some seconds, because the server asked for it; slots ahead are void."""
        with self._lock:
            self._paused_until = max(self._paused_until, now + seconds)
            self._generation += 1
            while self._times and self._times[-1] > now:
                self._times.pop()

    def _earliest(self, count: int, window: float) -> float:
        """The time at which the count-th latest request leaves the window."""
        if len(self._times) < count:
            return 0.0
        return self._times[-count] + window


_logs: dict[tuple[str, str], RequestLog] = {}
_logs_lock = threading.Lock()


def shared_log(key: str, host: str) -> RequestLog:
    """Return the log that all clients of this process with the same key and host share."""
    name = (hashlib.sha256(key.encode()).hexdigest(), host)
    with _logs_lock:
        return _logs.setdefault(name, RequestLog())
