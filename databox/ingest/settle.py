"""What an ingestion's answer says about its rows, and which ingestion to request next.

A number is what the server counted. The API does not document the possible statuses, and several have been seen, so a
status decides in only one case: if it clearly says that the ingestion failed, uncounted rows were not stored.

The client sends as few requests as possible, because each counts towards the key's limit. While nothing settles, it
requests one ingestion at a time, at growing intervals, and another one each time, so that one that never ends does not
block the others. Once one has settled, it requests all others, because each has to be fetched. Every outcome is
requested at least once, and once more when time runs out, without further waiting.
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
"""The number of consecutive unanswered requests after which no more are sent once time has run out."""


@attrs.frozen
class Shares:
    """The counts of one accepted batch; the five add up to its rows."""

    appended: int = 0
    overwritten: int = 0
    rejected: int = 0
    unverified: int = 0
    uncounted: int = 0

    @property
    def counted(self) -> int:
        """Rows whose outcome is known."""
        return self.appended + self.overwritten + self.rejected


def is_settled(ingestion: Ingestion) -> bool:
    """Whether there is an outcome: all received rows are counted, it failed, or there are errors.

    This is for people who read the answer. Only `share_out` decides what the report says about the rows of a batch.
    """
    if ingestion.received and sum(_counts(ingestion)) >= ingestion.received:
        return True
    return _says_failed(ingestion.status) or (bool(ingestion.errors) and _word(ingestion.status) not in _OPEN)


def share_out(ingestion: Ingestion, rows: int) -> Shares:
    """Return what an answer says about the rows of a batch.

    Uncounted rows are unverified, or rejected if the status says that the ingestion failed. Counts that
    cannot be about these rows only, because they are negative or too large, are ignored.
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

    The list has no counts. Even if it calls an ingestion done, some of its rows may have been rejected.
    """
    if _says_failed(status):
        return Shares(rejected=rows)
    return Shares(uncounted=rows) if _word(status) in _DONE else None


def rejection(ingestion: Ingestion, shares: Shares) -> DataboxError | None:
    """Return why rows are reported as rejected, or None if there are none."""
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
    """Return which rows of a batch the server counts as rejected; empty if it does not say which they are."""
    rows = sum(attrs.astuple(shares))
    if ingestion.rejected == shares.rejected == rows:
        return tuple(range(rows))
    named = (_NAMED.match(entry.field or "") for entry in ingestion.errors)
    places = sorted({int(found[1]) for found in named if found})
    return tuple(places) if len(places) == shares.rejected and all(place < rows for place in places) else ()


def listed_failure(summary: IngestionSummary, rows: int) -> DataboxError:
    """Return why the rows of an ingestion that the list calls failed are reported as rejected."""
    return DataboxError(
        f"The list says of ingestion {summary.id} that it failed, {summary.status!r}, and counts no rows: "
        f"{_rows(rows)} are taken as rejected. Look up the ingestion to learn why."
    )


def still_open(ingestion: Ingestion, shares: Shares, seconds: float) -> IngestionTimeoutError:
    """Return why rows are unverified although their ingestion answered: it has not counted them in time."""
    said = _reasons(ingestion)
    return IngestionTimeoutError(
        f"What became of {_rows(shares.unverified)} of ingestion {ingestion.id} was not known after {seconds:g} "
        f"seconds; its status was {ingestion.status!r}{f', and it said: {said}' if said else ''}. Look it up later.",
        ingestion=ingestion,
    )


def poll_waits() -> Iterator[float]:
    """The growing intervals, in seconds, between requests for an ingestion."""
    wait = FIRST_POLL
    while True:
        yield wait
        wait = min(LONGEST_POLL, wait * 1.5)


class Polls:
    """The ingestions whose outcome is not known yet.

    Args:
        open_: numbers of the batches, the first accepted one first.
        now: seconds of a monotonic clock.
        timeout: seconds until the client gives up.
    """

    def __init__(self, open_: Iterable[int], now: float, timeout: float) -> None:
        self._waiting = deque(open_)
        self._asked: set[int] = set()
        self._end = now + timeout
        self._waits = poll_waits()
        self._next = now
        self._released = len(self._waiting)  # the first round requests all until one is still open
        self._last_round = False
        self._in_vain = 0

    @property
    def done(self) -> bool:
        """Whether there is nothing left to request or to wait for."""
        return not self._waiting and not self._asked

    def due(self, now: float) -> int | None:
        """Return a batch to request now, or None."""
        self._last_round = self._last_round or now >= self._end  # everything still open then gets one last chance
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
        """The seconds until the next request may be due."""
        return max(0.0, min(self._next, self._end) - now)

    def heard(self, number: int, *, settled: bool, now: float, failed: bool = False, wait: float = 0.0) -> None:
        """Record that a request was answered, or failed; `wait` is how many seconds the server asks to wait."""
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
    """One pass through the list of ingestions, page by page, which terminates whatever the server sends."""

    def __init__(self) -> None:
        self.page: int | None = 1
        """The page to read next; None if no more are needed."""
        self.whole = False
        """Whether the pass reached the end of the list."""
        self._seen: set[str] = set()
        self._count = 0

    def read(self, listing: Listing[IngestionSummary], *, useful: bool, in_time: bool) -> None:
        """Record that the page was read. Once time has run out, the pass continues only while each page is useful."""
        ids = {item.id for item in listing.items}
        news = not ids <= self._seen  # a server without pagination sends the same each time
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
