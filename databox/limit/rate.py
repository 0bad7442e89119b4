"""How many requests may be sent, and when: the documented limits as a decision without I/O.

Source: the API's limits page, "10 requests per second and 10,000 per hour" for each key, and its reference.
"""

import re
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import attrs

from databox.api.documented import PER_HOUR, PER_SECOND
from databox.forks import renewed_in_children
from databox.misuse import ArgumentTypeError, ArgumentValueError
from databox.paths import is_possible
from databox.secret import Veiled

__all__ = [
    "DOCUMENTED",
    "EVEN",
    "HOUR",
    "LATE",
    "SECOND",
    "Log",
    "RateLimit",
    "RequestLog",
    "Slot",
    "least_seconds",
    "next_time",
]

SECOND = 1.014
HOUR = 3601.0
"""Both are slightly longer than documented. They govern when requests leave; most then arrive in time as well,
and a 429 for one that does not loses no row."""
LATE = 0.003
"""A request that leaves later than this many seconds after its slot is recorded again; the margins above cover less."""
EVEN = 0.75
"""The fraction of an even distance that is enforced, so that a late thread can catch up."""


def _positive(_: object, attribute: "attrs.Attribute[int]", value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        # Text is not quoted: it may be a key in the wrong place.
        shown = value if isinstance(value, int | float) else type(value).__name__
        raise ArgumentValueError(f"RateLimit.{attribute.name} must be a whole number of at least 1, not {shown}.")


_SCHEMES = ("redis://", "rediss://", "unix://")


_REFUSED = re.compile(r"|(rediss?|unix):.*|.*://.*", re.DOTALL)


def _store(value: object) -> Path | str | None:
    if value is None:
        return None
    if isinstance(value, str) and value.startswith(_SCHEMES):
        return Veiled(value)  # it may contain a password
    if isinstance(value, str | Path) and not _REFUSED.fullmatch(str(value)) and is_possible(Path(value)):
        return Path(value).absolute()
    kind = "another text" if isinstance(value, str) else type(value).__name__
    raise ArgumentTypeError(f"RateLimit.store must be the path of a file or a redis:// address, not {kind}.")


def _shown(store: Path | str | None) -> str:
    return repr(store) if not isinstance(store, str) else f"'{store.partition('://')[0]}://…'"  # it may hold a password


@attrs.frozen
class RateLimit:
    """The maximum number of requests that a key may send: in any second, and in any hour.

    Args:
        per_second: requests per second; the API allows 10.
        per_hour: requests per hour; the API allows 10,000.
        store: where to share the limit with others that name the same store; without it, the limit applies within
            one process. For processes on one machine, a file: it is created if it does not exist, and must be on a
            local disk. For several machines, the address of a Redis server: `redis://`, `rediss://` or `unix://`, as
            understood by redis-py (extra `redis`). If the store cannot be used, nothing is sent.
        evenly: spread the requests over the second, instead of sending them all at once. Use it with many threads,
            processes or machines: a request that arrives a little late then does not collide with later ones.

    The limit governs when requests leave. How close together they arrive is up to the network; if that makes
    one too many, the service answers 429, which has no effect, and the request is sent again.
    """

    per_second: int = attrs.field(default=PER_SECOND, validator=_positive)
    per_hour: int = attrs.field(default=PER_HOUR, validator=_positive)
    store: Path | str | None = attrs.field(default=None, kw_only=True, converter=_store, repr=_shown)
    evenly: bool = attrs.field(default=False, kw_only=True, validator=attrs.validators.instance_of(bool))


DOCUMENTED = RateLimit()


@attrs.frozen
class Slot:
    """A request's place in the log: when it may ask to be sent, or was sent."""

    at: float
    generation: int
    """The number of pauses so far; after another pause the slot is void."""
    granted: bool = False
    """Whether it may be sent now, and is recorded as sent."""
    id: int = attrs.field(default=0, eq=False)


class Log(Protocol):
    """When the requests of one key and host were sent, or will be. Safe to use from any thread.

    Times are seconds of one monotonic clock, passed by the caller. Slots are planned in order: first come, first
    served. But a busy machine wakes threads late, and a new connection takes time: what counts in the end is
    when requests were sent.
    """

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return a slot at the next time that both windows allow, granted if that is now."""
        ...

    def claim(self, slot: Slot, now: float, limit: RateLimit) -> Slot:
        """Return the slot, granted if the request may be sent now; otherwise the slot at which to ask again."""
        ...

    def release(self, slot: Slot) -> None:
        """Give up a slot that was not granted, because its request is no longer wanted."""
        ...

    def correct(self, slot: Slot, at: float) -> None:
        """Record that the request of a granted slot was sent later than planned."""
        ...

    def pause(self, now: float, seconds: float) -> None:
        """Pause for some seconds, because the server asked for it; later slots become void."""
        ...


def next_time(limit: RateLimit, now: float, paused_until: float, latest: Callable[[int], float | None]) -> float:
    """Return when the next request may be sent.

    `latest` returns the time of the n-th latest request; None if there are fewer. To plan, it includes future ones.
    """
    last, of_second, hour = latest(1), latest(limit.per_second), latest(limit.per_hour)
    distance = EVEN * SECOND / limit.per_second if limit.evenly else 0.0
    return max(
        now,
        paused_until,
        now if last is None else last + distance,
        now if of_second is None else of_second + SECOND,
        now if hour is None else hour + HOUR,
    )


class RequestLog:
    """The log of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: list[float] = []
        """The times of all requests, past and planned, in order."""
        self._gone: list[float] = []
        """The times of those that were sent."""
        self._paused_until = 0.0
        self._generation = 0
        renewed_in_children(self)

    def after_fork(self) -> None:
        """Keep what the parent has sent, forget what it planned, and use a lock that no thread holds."""
        self._lock = threading.Lock()
        self._times = self._gone.copy()

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return a slot at the next time that both windows allow, granted if that is now."""
        with self._lock:
            return self._reserve(now, limit)

    def claim(self, slot: Slot, now: float, limit: RateLimit) -> Slot:
        """Return the slot, granted if the request may be sent now; otherwise the slot at which to ask again."""
        with self._lock:
            if slot.generation != self._generation:
                return self._reserve(now, limit)
            _remove(self._times, slot.at)
            at = next_time(limit, now, self._paused_until, partial(_latest, self._gone))
            return self._noted(at, at <= now)

    def release(self, slot: Slot) -> None:
        """Give up a slot that was not granted, because its request is no longer wanted."""
        with self._lock:
            if slot.generation == self._generation:
                _remove(self._times, slot.at)

    def correct(self, slot: Slot, at: float) -> None:
        """Record that the request of a granted slot was sent later than planned."""
        with self._lock:
            for times in (self._times, self._gone):
                _remove(times, slot.at)
                insort(times, at)

    def pause(self, now: float, seconds: float) -> None:
        """Pause for some seconds, because the server asked for it; later slots become void."""
        with self._lock:
            self._paused_until = max(self._paused_until, now + seconds)
            self._generation += 1
            self._times = self._gone.copy()

    def _reserve(self, now: float, limit: RateLimit) -> Slot:
        for times in (self._times, self._gone):
            del times[: bisect_right(times, now - HOUR)]
        at = next_time(limit, now, self._paused_until, partial(_latest, self._times))
        return self._noted(at, at <= now)

    def _noted(self, at: float, granted: bool) -> Slot:
        insort(self._times, at)
        if granted:
            insort(self._gone, at)
        return Slot(at, self._generation, granted)


def _latest(times: list[float], count: int) -> float | None:
    return times[-count] if len(times) >= count else None


def _remove(times: list[float], time: float) -> None:
    place = bisect_left(times, time)
    if times[place : place + 1] == [time]:
        del times[place]


def least_seconds(requests: int, limit: RateLimit | None) -> float:
    """Return the minimum time that this many more requests take within the limits."""
    if limit is None or requests <= 0:
        return 0.0
    hours, rest = divmod(requests, limit.per_hour)
    return hours * 3600.0 + rest / limit.per_second
