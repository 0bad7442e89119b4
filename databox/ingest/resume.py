"""How a run that resumes with a journal handles a batch that an earlier run sent: decisions without I/O."""

from collections.abc import Mapping

import attrs

from databox.errors import DataboxError
from databox.ingest.batch import Batch
from databox.ingest.settle import Shares
from databox.ingest.totals import Purged
from databox.report import Outcome
from databox.wording import Message, message, row_at, setting

__all__ = ["Before", "Earlier", "Entry", "LeftOut", "Newer", "Refused", "plan"]

_UNANSWERED = "An earlier run ended after this was sent, before an answer was noted: it may be stored."
_BOTH = Message(' With on_ambiguous="resend" both go again, in their order.', "")
_APART = message(
    " With this journal they cannot go again in their order. Run once more with ",
    setting("dead_letter"),
    ", which gets all rows that may go again, in their order; then ingest that file without this journal.",
)


@attrs.frozen
class LeftOut:
    """A row that is not sent again because a later row with its key was accepted. Its outcome is unchanged."""

    index: int
    outcome: Outcome
    error: str | None
    """Why it was not accepted."""
    by: int
    """The position of the row that was accepted."""


@attrs.frozen
class Entry:
    """What a journal knows of a batch. `state` is `sending` if no answer was recorded."""

    number: int
    rows: int
    """The rows of the whole batch."""
    state: str
    ingestion_id: str | None
    error: str | None
    shares: Shares | None
    """The counts of its accepted rows; None until all are known."""
    rejected: frozenset[int] = frozenset()
    """The positions of the rejected rows, if the server says which they are."""
    left_out: tuple[LeftOut, ...] = ()
    ordered: bool = True
    """Whether the journal knows which later rows have its keys."""
    lost: str | None = None
    """Why its rows may no longer exist, although they were accepted."""

    @property
    def may_be_stored(self) -> bool:
        """Whether it was sent without a known answer."""
        return self.state in ("sending", "ambiguous")


@attrs.frozen
class Newer:
    """The last row with a key that an earlier run sent, if any."""

    accepted: int | None = None
    possible: int | None = None
    """The last one whose answer was lost."""


@attrs.frozen
class Before:
    """The outcome of rows in earlier runs. It applies unless they are sent again."""

    outcome: Outcome
    ingestion_id: str | None = None
    error: DataboxError | None = None
    shares: Shares | None = None
    rejected: frozenset[int] = frozenset()
    ask: bool = True
    """Whether the ingestion's counts apply to these rows."""

    def to_be_counted(self) -> "Before":
        """Return a copy in which rows that an earlier run only saw in the list are unverified."""
        if self.shares is None or not self.shares.uncounted:
            return self
        unverified = self.shares.unverified + self.shares.uncounted
        return attrs.evolve(self, shares=attrs.evolve(self.shares, uncounted=0, unverified=unverified))


@attrs.frozen
class Earlier:
    """What earlier runs left to do for a batch.

    `rows` are those with a common outcome; `left_out` are the others of the batch.
    """

    rows: Batch
    send: bool
    before: Before | None = None
    left_out: tuple[LeftOut, ...] = ()


@attrs.frozen
class Refused:
    """The row from which on a journal refused the input, so that its outcome in earlier runs is unknown."""

    row: int
    why: str


def plan(
    entry: Entry | None, batch: Batch, newer: Mapping[int, Newer], *, resend: bool, whole: bool, in_order: bool = True
) -> Earlier:
    """Return what to do about a batch.

    An old value never overwrites a newer one that was accepted. Superseded rows are left out; and a batch is held back
    while a later one whose answer was lost may have superseded it, unless that is sent again too.
    If one batch cannot be sent again, none relies on a later one, which may have to be held back itself.

    Args:
        entry: what the journal knows of it.
        batch: its rows, as far as they were read.
        newer: by position, the last later rows with the same keys.
        resend: whether batches whose answer was lost are sent again.
        whole: whether all its rows were read.
        in_order: whether every batch whose answer was lost can be sent again.
    """
    if entry is None:
        return Earlier(batch, send=True)
    known = {left.index: left for left in entry.left_out}
    if entry.state == "accepted":
        left_out = [known[index] for index in batch.indexes if index in known]
        rest = _without(batch, left_out)
        return Earlier(rest, send=False, before=_accepted(entry, rest, whole=whole), left_out=tuple(left_out))
    outcome: Outcome = "ambiguous" if entry.may_be_stored else "unsent" if entry.state == "unsent" else "failed"
    # Left-out rows may be sent after all, if the newer row turned out to be rejected.
    left_out = [
        attrs.evolve(known.get(index) or LeftOut(index, outcome, entry.error, by), by=by)
        for index in batch.indexes
        if (by := newer.get(index, Newer()).accepted) is not None
    ]
    rest = _without(batch, left_out)
    said = _UNANSWERED if entry.state == "sending" else entry.error
    before = Before(outcome, error=DataboxError(said) if said else None)
    if not rest.rows or not whole or not entry.ordered or (entry.may_be_stored and not resend):
        return Earlier(rest, send=False, before=before, left_out=tuple(left_out))
    possible = [by for index in rest.indexes if (by := newer.get(index, Newer()).possible) is not None]
    if possible and not (resend and in_order):
        held = DataboxError(
            message(
                "Not sent again: ",
                row_at(possible[0]),
                ", which is newer and has the key of one of these, was sent, but its answer was lost.",
                _BOTH if in_order else _APART,
                _before(entry.error),
            )
        )
        return Earlier(rest, send=False, before=attrs.evolve(before, error=held), left_out=tuple(left_out))
    return Earlier(rest, send=True, before=before, left_out=tuple(left_out))


def _part_of(shares: Shares, rows: int, rejected: int) -> Shares:
    """The counts for some of an ingestion's rows, as far as they are known."""
    kinds = [name for name, count in attrs.asdict(shares).items() if count and (name != "rejected" or not rejected)]
    kind = kinds[0] if len(kinds) == 1 else "unverified"
    return Shares(**{"rejected": rejected, kind: rows - rejected})


def _accepted(entry: Entry, batch: Batch, *, whole: bool) -> Before:
    if entry.lost:
        return Before("accepted", entry.ingestion_id, Purged(entry.lost), ask=False)
    shares, rejected = entry.shares, entry.rejected
    if not whole:
        rejected &= set(batch.indexes)
        shares = _part_of(shares, len(batch.rows), len(rejected)) if shares else None
    error = DataboxError(entry.error) if entry.error else None
    return Before("accepted", entry.ingestion_id, error, shares, rejected, ask=whole)


def _without(batch: Batch, left_out: list[LeftOut]) -> Batch:
    if not left_out:
        return batch
    return batch.only(set(batch.indexes) - {left.index for left in left_out})


def _before(error: str | None) -> str:
    return f" Before: {error}" if error else ""
