"""What became of the rows of a batch, and of those that could not be encoded, as the report tells it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import attrs

from databox.errors import DataboxError, InvalidRecordError
from databox.ingest.resume import Before, LeftOut
from databox.ingest.settle import Shares
from databox.report import BatchOutcome, Outcome

__all__ = ["LISTED", "Invalid", "Overtaken", "Sent", "stretches"]

_OVERTAKEN = "Not sent again, since newer rows of the same keys were accepted."
LISTED = 1000
"""Entries of rows that could not be encoded; what comes after is counted in one."""


class Overtaken(DataboxError):
    """Why rows are not sent again: newer ones of their keys were accepted."""


@attrs.define
class Sent:
    """A batch as far as it has to be remembered."""

    spans: tuple[tuple[int, int], ...]
    """Where its rows are: the first place of each stretch, and how many there are."""
    rows: int
    end_row: int
    """The place after its last row, or the last one that was left out of it."""
    keys: frozenset[bytes]
    before: Before | None = None
    left_out: tuple[LeftOut, ...] = ()
    outcome: Outcome | None = None
    ingestion_id: str | None = None
    error: DataboxError | None = None
    shares: Shares = attrs.field(factory=Shares)
    rejected: frozenset[int] = frozenset()
    ask: bool = True
    """Whether the ingestion's counts tell what holds for its rows."""

    def place(self, number: int) -> int:
        """Return the place in the source of one of its rows."""
        for first, rows in self.spans:
            if number < rows:
                return first + number
            number -= rows
        raise IndexError

    def outcomes(self) -> Iterator[BatchOutcome]:
        """Walk what became of it, stretch by stretch, so that no entry covers rows that it is not about."""
        for (first, rows), shares in zip(self.spans, self._dealt(), strict=True):
            yield _outcome(first, rows, self.outcome or "unsent", self.error, self.ingestion_id, shares)
        for group in _alike(self.left_out):
            error = Overtaken(f"{_OVERTAKEN} {group[0].error or ''}".rstrip())
            yield _outcome(group[0].index, len(group), group[0].outcome, error)

    def _dealt(self) -> Iterator[Shares]:
        """Deal the counts out among the stretches. The API gives them for the whole; which rows it appended, it does
        not say, so that they are dealt out in order."""
        left = attrs.asdict(self.shares)
        left["rejected"] = left.pop("rejected") - len(self.rejected)  # last, where they are not known by place
        for first, rows in self.spans:
            here = {"rejected": sum(first <= place < first + rows for place in self.rejected)}
            for kind, count in left.items():
                dealt = min(count, rows - sum(here.values()))
                left[kind] -= dealt
                here[kind] = here.get(kind, 0) + dealt
            yield Shares(**here)


@attrs.frozen
class _Invalid:
    """Rows that could not be encoded: one after the other for the same reason, or those that are too many to list."""

    first_row: int
    end_row: int
    rows: int
    reason: str
    error: DataboxError

    def and_one_more(self, index: int) -> "_Invalid":
        """Return it with a later row."""
        return attrs.evolve(self, end_row=index + 1, rows=self.rows + 1)


class Invalid:
    """The rows that could not be encoded, each told by its place and column, up to some number of entries."""

    def __init__(self) -> None:
        self._listed: list[_Invalid] = []
        self._unlisted: _Invalid | None = None

    @property
    def unlisted(self) -> bool:
        """Whether there are more than are listed one by one."""
        return self._unlisted is not None

    @property
    def last(self) -> int:
        """The place of the last one; -1 without any."""
        return self._last.end_row - 1 if self._last else -1

    @property
    def _last(self) -> _Invalid | None:
        return self._unlisted or (self._listed[-1] if self._listed else None)

    def add(self, error: InvalidRecordError, index: int) -> bool:
        """Add a row; return whether it was not there already, as after an interrupt at the wrong moment."""
        if index <= self.last:
            return False
        last = self._last
        reason = str(error).replace(f"Row {index}", "Row", 1)
        if self._unlisted:
            self._unlisted = self._unlisted.and_one_more(index)
        elif last and (last.end_row, last.reason) == (index, reason):
            self._listed[-1] = last.and_one_more(index)
        elif len(self._listed) < LISTED:
            self._listed.append(_Invalid(index, index + 1, 1, reason, error))
        else:
            self._unlisted = _Invalid(index, index + 1, 1, reason, error)
        return True

    def outcomes(self) -> Iterator[BatchOutcome]:
        """Walk the entries of the report."""
        for group in self._listed:
            yield _outcome(group.first_row, group.rows, "invalid", group.error)
        if self._unlisted:
            rows, error = self._unlisted.rows, self._unlisted.error
            words = f"{rows:,} more rows could not be encoded, which are not listed one by one. {error}"
            yield _outcome(self._unlisted.first_row, rows, "invalid", DataboxError(words))


def stretches(indexes: Sequence[int], *, apart: bool) -> tuple[tuple[int, int], ...]:
    """Return the stretches of rows that follow one another: where each begins, and how many rows it has."""
    if not indexes:
        return ()
    if not apart or indexes[-1] - indexes[0] + 1 == len(indexes):
        return ((indexes[0], len(indexes)),)
    starts = [n for n, index in enumerate(indexes) if not n or index != indexes[n - 1] + 1]
    return tuple((indexes[start], end - start) for start, end in pairwise([*starts, len(indexes)]))


def _alike(left_out: Iterable[LeftOut]) -> list[list[LeftOut]]:
    """Rows that follow one another and were left out alike, together."""
    groups: list[list[LeftOut]] = []
    for row in left_out:
        last = groups[-1][-1] if groups else None
        if last and (last.index + 1, last.outcome, last.error) == (row.index, row.outcome, row.error):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _outcome(
    first_row: int,
    rows: int,
    outcome: Outcome,
    error: DataboxError | None,
    ingestion_id: str | None = None,
    shares: Shares | None = None,
) -> BatchOutcome:
    counts = attrs.asdict(shares or Shares())
    return BatchOutcome(
        index=0, first_row=first_row, rows=rows, outcome=outcome, error=error, ingestion_id=ingestion_id, **counts
    )
