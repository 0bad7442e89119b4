"""How many requests may go out, and when: the documented limits as a decision without I/O.

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
"""Both a little longer than they are. What is kept is when requests leave; most of them then arrive in time as well,
and a 429 for one that does not costs no row."""
LATE = 0.003
"""Seconds after its slot from which a request is noted anew; less is in the margins above."""
EVEN = 0.75
"""How much of an even distance is kept, so that what a late thread lost can be made up for."""


def _positive(_: object, attribute: "attrs.Attribute[int]", value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        # A text is not quoted: it may be a key in the wrong place.
        shown = value if isinstance(value, int | float) else type(value).__name__
        raise ArgumentValueError(f"RateLimit.{attribute.name} must be a whole number of at least 1, not {shown}.")


_SCHEMES = ("redis://", "rediss://", "unix://")


_REFUSED = re.compile(r"|(rediss?|unix):.*|.*://.*", re.DOTALL)


def _store(value: object) -> Path | str | None:
    if value is None:
        return None
    if isinstance(value, str) and value.startswith(_SCHEMES):
        return Veiled(value)  # it may have a password
    if isinstance(value, str | Path) and not _REFUSED.fullmatch(str(value)):
        return Path(value).absolute()
    kind = "another text" if isinstance(value, str) else type(value).__name__
    raise ArgumentTypeError(f"RateLimit.store must be the path of a file or a redis:// address, not {kind}.")


def _shown(store: Path | str | None) -> str:
    return repr(store) if not isinstance(store, str) else f"'{store.partition('://')[0]}://…'"  # it may have a password


@attrs.frozen
class RateLimit:
    """The most requests that a key may send: in any second, and in any hour.

    Args:
        per_second: 10 by the API's reference.
        per_hour: 10,000 by the API's reference.
        store: by which all who name it keep the limit together; without it the limit holds within one process.
            For the processes of a machine, a file: it is made when it is not there, and must be on a local disk.
            For several machines, the address of a Redis server: `redis://`, `rediss://` or `unix://`, as redis-py
            reads it (extra `redis`). When the store cannot be used, nothing is sent.
        evenly: spread the requests over the second, instead of letting all of them go at once. For many threads,
            processes or machines: what arrives a little late then does not meet what comes after it.

    The limit is kept by when requests leave. How close together they arrive is up to the network; where that makes
    one too many, the service says 429, which has no effect, and the request goes again.
    """

    per_second: int = attrs.field(default=PER_SECOND, validator=_positive)
    per_hour: int = attrs.field(default=PER_HOUR, validator=_positive)
    store: Path | str | None = attrs.field(default=None, kw_only=True, converter=_store, repr=_shown)
    evenly: bool = attrs.field(default=False, kw_only=True, validator=attrs.validators.instance_of(bool))


DOCUMENTED = RateLimit()


@attrs.frozen
class Slot:
    """A request's place in the log: when it may ask to go out, or has gone out."""

    at: float
    generation: int
    """How many pauses there had been; after another one the place is void."""
    granted: bool = False
    """Whether it may go out now, and is noted as gone."""
    id: int = attrs.field(default=0, eq=False)


class Log(Protocol):
    """When the requests of one key and host went, or will go, out. Safe to use from any thread.

    Times are seconds of one monotonic clock, given by the caller. Slots are planned in order, so whoever asks first
    goes first. But a busy machine wakes a thread late, and a new connection takes its time: what counts in the end is
    when requests went.
    """

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return a slot at the next time at which a request keeps within both windows, granted if that is now."""
        ...

    def claim(self, slot: Slot, now: float, limit: RateLimit) -> Slot:
        """Return the slot, granted if the request may go out now; otherwise the one at which to ask again."""
        ...

    def correct(self, slot: Slot, at: float) -> None:
        """Note that the request of a granted slot went out later than that."""
        ...

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing go out for some seconds, because the server asked for it; slots ahead are void."""
        ...


def next_time(limit: RateLimit, now: float, paused_until: float, latest: Callable[[int], float | None]) -> float:
    """Return when the next request may go out.

    `latest` gives the time of the n-th latest request; None when there are less. To plan, it includes those to come.
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
        """Of all requests, gone and to come, in order."""
        self._gone: list[float] = []
        """Of those among them that went out."""
        self._paused_until = 0.0
        self._generation = 0
        renewed_in_children(self)

    def after_fork(self) -> None:
        """Know what the parent has sent, and nothing of what it was about to; no thread holds the lock."""
        self._lock = threading.Lock()
        self._times = self._gone.copy()

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return a slot at the next time at which a request keeps within both windows, granted if that is now."""
        with self._lock:
            return self._reserve(now, limit)

    def claim(self, slot: Slot, now: float, limit: RateLimit) -> Slot:
        """Return the slot, granted if the request may go out now; otherwise the one at which to ask again."""
        with self._lock:
            if slot.generation != self._generation:
                return self._reserve(now, limit)
            _remove(self._times, slot.at)
            at = next_time(limit, now, self._paused_until, partial(_latest, self._gone))
            return self._noted(at, at <= now)

    def correct(self, slot: Slot, at: float) -> None:
        """Note that the request of a granted slot went out later than that."""
        with self._lock:
            for times in (self._times, self._gone):
                _remove(times, slot.at)
                insort(times, at)

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing go out for some seconds, because the server asked for it; slots ahead are void."""
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
    """Return the least time that so many more requests take by the limits."""
    if limit is None or requests <= 0:
        return 0.0
    hours, rest = divmod(requests, limit.per_hour)
    return hours * 3600.0 + rest / limit.per_second
