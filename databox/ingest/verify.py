"""Which outcomes to ask for, and when: as few questions as it takes, since each costs a request of the key's limit.

While nothing settles, one question at a time is asked, at growing intervals, and of another ingestion each time, so
that one that never ends holds up nobody. Once one has settled, all others are asked about at once, for each has to be
fetched.
"""

from collections import deque
from collections.abc import Iterable

from databox.ingest.settle import poll_waits

__all__ = ["Polls"]


class Polls:
    """The ingestions of which the outcome is not known yet.

    Args:
        open_: numbers of the batches, the first accepted one first.
        now: seconds of a monotonic clock.
        timeout: seconds until it is given up.
    """

    def __init__(self, open_: Iterable[int], now: float, timeout: float) -> None:
        self._waiting = deque(open_)
        self._asked: set[int] = set()
        self._end = now + timeout
        self._waits = poll_waits()
        self._next = now
        self._released = len(self._waiting)  # the first round asks about all until one is still open
        self._last_round = False

    @property
    def done(self) -> bool:
        """Whether there is nothing left to ask or to hear."""
        return not self._waiting and not self._asked

    def due(self, now: float) -> int | None:
        """Return a batch to ask about now, or None."""
        if now >= self._end and not self._last_round:
            # Whatever was not asked about lately gets one last chance.
            self._last_round = True
            self._released = len(self._waiting)
        if self._released:
            self._released -= 1
        elif self._last_round:
            self._waiting.clear()
            return None
        elif self._asked or now < self._next:
            return None
        if not self._waiting:
            return None
        number = self._waiting.popleft()
        self._asked.add(number)
        return number

    def wait(self, now: float) -> float:
        """The seconds until something may be due."""
        return max(0.0, min(self._next, self._end) - now)

    def heard(self, number: int, *, settled: bool, now: float) -> None:
        """An answer came."""
        self._asked.discard(number)
        if settled:
            self._waits = poll_waits()
            self._next = now
            self._released = max(self._released, len(self._waiting))
            return
        self._waiting.append(number)
        if not self._last_round:
            self._released = 0
        self._next = max(self._next, now + next(self._waits))
