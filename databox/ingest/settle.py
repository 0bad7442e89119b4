"""What an ingestion's answer says about its rows.

The API documents no list of statuses, and programs have seen several. So counts and errors decide; a status is
believed only when it says plainly that it failed.
"""

from collections.abc import Iterator

import attrs

from databox.errors import DataboxError
from databox.models import Ingestion

__all__ = [
    "Shares",
    "is_settled",
    "poll_waits",
    "rejection",
    "share_out",
    "shares_by_status",
]

_FAILED = {"failed", "failure", "error", "errored", "rejected", "cancelled", "canceled", "aborted"}
_DONE = {"success", "succeeded", "completed", "complete", "processed", "finished", "done"}
_OPEN = {"processing", "in progress", "in_progress", "pending", "queued", "accepted", "received", "running"}

FIRST_POLL = 0.25
LONGEST_POLL = 10.0


@attrs.frozen
class Shares:
    """How the rows of one accepted batch are shared out; the five add up to its rows."""

    appended: int = 0
    overwritten: int = 0
    rejected: int = 0
    unverified: int = 0
    uncounted: int = 0


def is_settled(ingestion: Ingestion) -> bool:
    """Whether the outcome of every row is known."""
    status = (ingestion.status or "").strip().lower()
    counted = _counted(ingestion)
    if ingestion.received and counted >= ingestion.received:
        return True
    return status in _FAILED or (bool(ingestion.errors) and status not in _OPEN)


def share_out(ingestion: Ingestion | None, rows: int) -> Shares:
    """Return what an answer says about a batch of some rows.

    Rows that a failed ingestion does not count are rejected. Counts that exceed what was sent cannot be about these
    rows alone, so nothing is claimed from them.
    """
    if ingestion is None or not 0 <= _counted(ingestion) <= rows or _nonsense(ingestion):
        return Shares(unverified=rows)
    appended, overwritten = ingestion.appended or 0, ingestion.overwritten or 0
    rejected = ingestion.rejected or 0
    left = rows - _counted(ingestion)
    if left and is_settled(ingestion) and not (ingestion.received and _counted(ingestion) >= ingestion.received):
        return Shares(appended, overwritten, rejected + left)
    return Shares(appended, overwritten, rejected, left)


def shares_by_status(status: str | None, rows: int) -> Shares | None:
    """Return what a status alone says about a batch, or None while it says nothing.

    A listing has no counts. Rows of an ingestion that it calls done are shown as appended; whether some of them
    replaced others, or were rejected one by one, it does not tell.
    """
    word = (status or "").strip().lower()
    if word in _FAILED:
        return Shares(rejected=rows)
    return Shares(appended=rows) if word in _DONE else None


def rejection(ingestion: Ingestion, shares: Shares) -> DataboxError | None:
    """Return the API's reasons for rejected rows, or None when there are none."""
    if not shares.rejected:
        return None
    reasons = dict.fromkeys(": ".join(filter(None, (entry.code, entry.message))) for entry in ingestion.errors)
    said = "; ".join(reason.rstrip(".") for reason in list(reasons)[:3]) or "it does not say why"
    rows = "1 row" if shares.rejected == 1 else f"{shares.rejected} rows"
    return DataboxError(f"The API rejected {rows} of ingestion {ingestion.id}: {said}.")


def poll_waits() -> Iterator[float]:
    """The seconds between one question about an ingestion and the next: growing, since each costs a request."""
    wait = FIRST_POLL
    while True:
        yield wait
        wait = min(LONGEST_POLL, wait * 1.5)


def _counted(ingestion: Ingestion) -> int:
    return sum(count or 0 for count in (ingestion.appended, ingestion.overwritten, ingestion.rejected))


def _nonsense(ingestion: Ingestion) -> bool:
    counts = (ingestion.appended, ingestion.overwritten, ingestion.rejected)
    return any(count is not None and count < 0 for count in counts)
