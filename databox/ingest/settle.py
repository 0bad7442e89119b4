"""What an ingestion's answer says about its rows, and which ingestion to ask about next.

A number is what the server counted. The API documents no list of statuses, and programs have seen several, so a word
decides in one case alone: where it says plainly that the ingestion failed, rows without a count did not make it.

As few questions are asked as it takes, since each costs a request of the key's limit. While nothing settles, one
question at a time is asked, at growing intervals, and of another ingestion each time, so that one that never ends holds
up nobody. Once one has settled, all others are asked about at once, for each has to be fetched. Every outcome is asked
for at least once, and once more when the time is over; then nothing is waited for.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator

import attrs

from databox.api.answers import Listing
from databox.api.documented import PAGE_SIZE
from databox.errors import DataboxError, IngestionTimeoutError
from databox.models import Ingestion, IngestionSummary

__all__ = [
    "ListWalk",
    "Polls",
    "Shares",
    "is_settled",
    "listed_failure",
    "poll_waits",
    "rejected_places",
    "rejection",
    "share_out",
    "shares_by_status",
    "still_open",
]

_FAILED = {"failed", "failure", "error", "errored", "rejected", "cancelled", "canceled", "aborted"}
_DONE = {"success", "succeeded", "completed", "complete", "processed", "finished", "done"}
_OPEN = {"processing", "in progress", "in_progress", "pending", "queued", "accepted", "received", "running"}

_NAMED = re.compile(r"records\[(\d{1,3})\]", re.ASCII)

FIRST_POLL = 0.25
LONGEST_POLL = 10.0
IN_VAIN = 3
"""Questions in a row that get no answer, after which no more are asked once the time is over."""


@attrs.frozen
class Shares:
    """How the rows of one accepted batch are shared out; the five add up to its rows."""

    appended: int = 0
    overwritten: int = 0
    rejected: int = 0
    unverified: int = 0
    uncounted: int = 0

    @property
    def counted(self) -> int:
        """Rows of which it is known what became of them."""
        return self.appended + self.overwritten + self.rejected


def is_settled(ingestion: Ingestion) -> bool:
    """Whether there is an outcome to look at: all received rows are counted, it failed, or there are errors.

    That is for whoever reads the answer. What is claimed of the rows of a batch is `share_out`'s alone.
    """
    if ingestion.received and sum(_counts(ingestion)) >= ingestion.received:
        return True
    return _says_failed(ingestion.status) or (bool(ingestion.errors) and _word(ingestion.status) not in _OPEN)


def share_out(ingestion: Ingestion, rows: int) -> Shares:
    """Return what an answer says about a batch of some rows.

    Rows without a count are unverified, or rejected where the status says that the ingestion failed. Counts that
    cannot be about these rows alone, as they are negative or too many, say nothing.
    """
    appended, overwritten, rejected = counts = _counts(ingestion)
    left = rows - sum(counts)
    if min(counts) < 0 or left < 0 or (ingestion.received or 0) > rows:
        return Shares(unverified=rows)
    if left and _says_failed(ingestion.status):
        return Shares(appended, overwritten, rejected + left)
    return Shares(appended, overwritten, rejected, left)


def shares_by_status(status: str | None, rows: int) -> Shares | None:
    """Return what the list of ingestions says about a batch, or None while it says nothing.

    The list has no counts. Of an ingestion that it calls done some rows may have been rejected all the same.
    """
    if _says_failed(status):
        return Shares(rejected=rows)
    return Shares(uncounted=rows) if _word(status) in _DONE else None


def rejection(ingestion: Ingestion, shares: Shares) -> DataboxError | None:
    """Return why rows are shown as rejected, or None when there are none."""
    if not shares.rejected:
        return None
    said = _reasons(ingestion) or "it does not say why"
    counted = _counts(ingestion)[2]
    if shares.rejected == counted:
        return DataboxError(f"The API rejected {_rows(counted)} of ingestion {ingestion.id}: {said}.")
    return DataboxError(
        f"Ingestion {ingestion.id} failed by its status, {ingestion.status!r}, without counting "
        f"{_rows(shares.rejected - counted)}, which are taken as rejected: {said}."
    )


def rejected_places(ingestion: Ingestion, shares: Shares) -> tuple[int, ...]:
    """Return which rows of a batch the server counts as rejected; nothing where it does not say which they are."""
    rows = sum(attrs.astuple(shares))
    if ingestion.rejected == shares.rejected == rows:
        return tuple(range(rows))
    named = (_NAMED.match(entry.field or "") for entry in ingestion.errors)
    places = sorted({int(found[1]) for found in named if found})
    return tuple(places) if len(places) == shares.rejected and all(place < rows for place in places) else ()


def listed_failure(summary: IngestionSummary, rows: int) -> DataboxError:
    """Return why the rows of an ingestion are shown as rejected that the list calls failed."""
    return DataboxError(
        f"The list says of ingestion {summary.id} that it failed, {summary.status!r}, and counts no rows: "
        f"{_rows(rows)} are taken as rejected. Look up the ingestion to learn why."
    )


def still_open(ingestion: Ingestion, shares: Shares, seconds: float) -> IngestionTimeoutError:
    """Return why rows are unverified whose ingestion answered, and has not counted them in time."""
    said = _reasons(ingestion)
    return IngestionTimeoutError(
        f"What became of {_rows(shares.unverified)} of ingestion {ingestion.id} was not known after {seconds:g} "
        f"seconds; its status was {ingestion.status!r}{f', and it said: {said}' if said else ''}. Look it up later.",
        ingestion=ingestion,
    )


def poll_waits() -> Iterator[float]:
    """The seconds between one question about an ingestion and the next: growing, since each costs a request."""
    wait = FIRST_POLL
    while True:
        yield wait
        wait = min(LONGEST_POLL, wait * 1.5)


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


def _word(status: str | None) -> str:
    return (status or "").strip().lower()


def _says_failed(status: str | None) -> bool:
    return _word(status) in _FAILED


def _counts(ingestion: Ingestion) -> tuple[int, int, int]:
    return ingestion.appended or 0, ingestion.overwritten or 0, ingestion.rejected or 0


def _reasons(ingestion: Ingestion) -> str:
    reasons = dict.fromkeys(": ".join(filter(None, (entry.code, entry.message))) for entry in ingestion.errors)
    return "; ".join(reason.rstrip(".") for reason in list(reasons)[:3])


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
