"""When requests went out, kept in memory, for the threads, tasks and clients of one process."""

import threading
from bisect import bisect_left, bisect_right, insort
from functools import partial

from databox.forks import renewed_in_children
from databox.limit.rate import HOUR, RateLimit, Slot, next_time

__all__ = ["RequestLog"]


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
