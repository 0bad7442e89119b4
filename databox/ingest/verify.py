"""Which outcomes to ask for, and when: as few questions as it takes, since each costs a request of the key's limit.

While nothing settles, one question at a time is asked, at growing intervals, and of another ingestion each time, so
that one that never ends holds up nobody. Once one has settled, all others are asked about at once, for each has to be
fetched. Every outcome is asked for at least once, and once more when the time is over; then nothing is waited for.
"""

from collections import deque
from collections.abc import Iterable

from databox.api.answers import Listing
from databox.api.documented import PAGE_SIZE
from databox.ingest.settle import poll_waits
from databox.models import IngestionSummary

__all__ = ["ListWalk", "Polls"]

IN_VAIN = 3
"""Questions in a row that get no answer, after which no more are asked once the time is over."""


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
        self._in_vain = 0

    @property
    def done(self) -> bool:
        """Whether there is nothing left to ask or to hear."""
        return not self._waiting and not self._asked

    def due(self, now: float) -> int | None:
        """Return a batch to ask about now, or None."""
        self._last_round = self._last_round or now >= self._end  # whatever waits then gets one last chance
        if self._last_round:
            if self._in_vain >= IN_VAIN:
                self._waiting.clear()
        elif self._released:
            self._released -= 1
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

    def heard(self, number: int, *, settled: bool, now: float, failed: bool = False, wait: float = 0.0) -> None:
        """A question was answered, or failed; `wait` is how many seconds the server asks to be left alone."""
        self._asked.discard(number)
        self._in_vain = self._in_vain + 1 if failed else 0
        if self._last_round:
            return
        if settled:
            self._waits = poll_waits()
            self._next = now
            self._released = len(self._waiting)
        else:
            self._waiting.append(number)
            self._next = max(self._next, now + max(wait, next(self._waits)))
            self._released = 0


class ListWalk:
    """One walk through the list of ingestions, a page at a time, which ends whatever the server sends."""

    def __init__(self) -> None:
        self.page: int | None = 1
        """The page to read next; None once there is nothing more to learn."""
        self.whole = False
        """Whether the walk came to the list's end."""
        self._seen: set[str] = set()
        self._count = 0

    def read(self, listing: Listing[IngestionSummary], *, useful: bool, in_time: bool) -> None:
        """The page was read. Once the time is over it goes on only as long as each page is of use."""
        ids = {item.id for item in listing.items}
        news = not ids <= self._seen  # a server that does not page sends the same each time
        self._seen |= ids
        self._count += len(listing.items)
        self.whole = not (news and listing.more_after(self._count, PAGE_SIZE))
        more = not self.whole and (in_time or useful)
        self.page = self.page + 1 if self.page and more else None
