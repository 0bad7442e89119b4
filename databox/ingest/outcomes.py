"""The outcome of the rows of a batch, and of rows that could not be encoded, as entries of the report."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import attrs

from databox.errors import DataboxError, InvalidRecordError
from databox.ingest.resume import Before, LeftOut
from databox.ingest.settle import Shares
from databox.report import BatchOutcome, Outcome
from databox.wording import message, words_of

__all__ = ["LISTED", "Entry", "Invalid", "Overtaken", "Sent", "compact", "without_frames"]

_OVERTAKEN = "Not sent again, because newer rows with the same keys were accepted."
_NOT_SHARED_OUT = Shares()
LISTED = 1000
"""The maximum number of entries for rows that could not be encoded; further ones are counted in a single entry."""


class Entry(NamedTuple):
    """An entry of the report, before it is known which one."""

    first_row: int
    rows: int
    outcome: Outcome
    error: DataboxError | None
    ingestion_id: str | None = None
    shares: Shares = _NOT_SHARED_OUT

    def at(self, index: int) -> BatchOutcome:
        """Return it for a position in the report."""
        shares = self.shares
        return BatchOutcome(
            index=index,
            first_row=self.first_row,
            rows=self.rows,
            outcome=self.outcome,
            ingestion_id=self.ingestion_id,
            error=self.error,
            appended=shares.appended,
            overwritten=shares.overwritten,
            rejected=shares.rejected,
            uncounted=shares.uncounted,
            unverified=shares.unverified,
        )


class Overtaken(DataboxError):
    """Why rows are not sent again: newer ones with their keys were accepted."""


@attrs.define
class Sent:
    """What is kept of a batch."""

    indexes: Sequence[int]
    """The positions of its rows in the source."""
    end_row: int
    """The position after its last row, or after the last row that was left out of it."""
    keys: frozenset[bytes]
    apart: bool = True
    """Whether it has an entry for each run of rows, because other rows separate them."""
    before: Before | None = None
    left_out: tuple[LeftOut, ...] = ()
    outcome: Outcome | None = None
    ingestion_id: str | None = None
    error: DataboxError | None = None
    shares: Shares = _NOT_SHARED_OUT
    rejected: frozenset[int] = frozenset()
    ask: bool = True
    """Whether the ingestion's counts apply to its rows."""
    parts: tuple[int, ...] = ()
    """The numbers of its parts, if it was split; they have the outcomes of its rows."""

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.indexes)

    def entries(self) -> Iterator[Entry]:
        """Yield its entries in the report, so that no entry covers rows that it is not about."""
        own = () if self.parts else self.indexes
        spans = _stretches(own) if self.apart else [own][: len(own)]
        for span, shares in zip(spans, self._dealt(spans), strict=True):
            yield Entry(span[0], len(span), self.outcome or "unsent", self.error, self.ingestion_id, shares)
        for group in _alike(self.left_out):
            error = Overtaken(f"{_OVERTAKEN} {group[0].error or ''}".rstrip())
            yield Entry(group[0].index, len(group), group[0].outcome, error)

    def _dealt(self, spans: Sequence[Sequence[int]]) -> Iterator[Shares]:
        """Distribute the counts among the runs of rows. The API gives them for the whole batch, and does not say which
        rows it appended, so they are distributed in order."""
        if len(spans) < 2:
            yield from [self.shares][: len(spans)]
            return
        left = attrs.asdict(self.shares)
        left["rejected"] = left.pop("rejected") - len(self.rejected)  # last, if their positions are unknown
        for span in spans:
            here = {"rejected": len(self.rejected.intersection(span))}
            for kind, count in left.items():
                dealt = min(count, len(span) - sum(here.values()))
                left[kind] -= dealt
                here[kind] = here.get(kind, 0) + dealt
            yield Shares(**here)


@attrs.frozen
class _Invalid:
    """Rows that could not be encoded: consecutive ones with the same reason, or those that are too many to list."""

    first_row: int
    end_row: int
    rows: int
    reason: str
    error: DataboxError

    def and_one_more(self, index: int) -> "_Invalid":
        """Return a copy with a later row."""
        return attrs.evolve(self, end_row=index + 1, rows=self.rows + 1)


class Invalid:
    """The rows that could not be encoded, each with its position and column, up to a maximum number of entries."""

    def __init__(self) -> None:
        self._listed: list[_Invalid] = []
        self._unlisted: _Invalid | None = None

    @property
    def unlisted(self) -> bool:
        """Whether there are more than are listed one by one."""
        return self._unlisted is not None

    @property
    def last(self) -> int:
        """The position of the last one; -1 if there are none."""
        return self._last.end_row - 1 if self._last else -1

    @property
    def _last(self) -> _Invalid | None:
        return self._unlisted or (self._listed[-1] if self._listed else None)

    def add(self, error: InvalidRecordError, index: int) -> None:
        """Add a row."""
        last = self._last
        reason = str(without_frames(error)).replace(f"Row {index}", "Row", 1)
        if self._unlisted:
            self._unlisted = self._unlisted.and_one_more(index)
        elif last and (last.end_row, last.reason) == (index, reason):
            self._listed[-1] = last.and_one_more(index)
        elif len(self._listed) < LISTED:
            self._listed.append(_Invalid(index, index + 1, 1, reason, error))
        else:
            self._unlisted = _Invalid(index, index + 1, 1, reason, error)

    def entries(self) -> Iterator[Entry]:
        """Yield their entries in the report."""
        for group in self._listed:
            yield Entry(group.first_row, group.rows, "invalid", group.error)
        if self._unlisted:
            rows, error = self._unlisted.rows, self._unlisted.error
            words = message(
                f"{rows:,} more rows could not be encoded, and are not listed one by one. ", words_of(error)
            )
            column = getattr(error, "column", None)
            first = self._unlisted.first_row
            yield Entry(first, rows, "invalid", InvalidRecordError(words, index=first, column=column))


Error = TypeVar("Error", bound=DataboxError)


def without_frames(error: Error) -> Error:
    """Return an error without its frames, which hold whole batches, because a report may be kept for long."""
    links: list[BaseException] = [error]
    for link in links:
        link.__traceback__ = None
        links += (each for each in (link.__cause__, link.__context__) if each and each not in links)
    return error


def compact(indexes: Sequence[int]) -> Sequence[int]:
    """Return the positions of a batch's rows in a compact form."""
    if indexes and indexes[-1] - indexes[0] + 1 == len(indexes):
        return range(indexes[0], indexes[-1] + 1)
    return array("q", indexes)


def _stretches(indexes: Sequence[int]) -> Sequence[Sequence[int]]:
    """The runs of consecutive rows."""
    if isinstance(indexes, range):
        return [indexes][: len(indexes)]
    starts = [n for n, index in enumerate(indexes) if not n or index != indexes[n - 1] + 1]
    return [indexes[start:end] for start, end in pairwise([*starts, len(indexes)])] if indexes else []


def _alike(left_out: Iterable[LeftOut]) -> list[list[LeftOut]]:
    """Consecutive rows that were left out for the same reason, together."""
    groups: list[list[LeftOut]] = []
    for row in left_out:
        last = groups[-1][-1] if groups else None
        if last and (last.index + 1, last.outcome, last.error) == (row.index, row.outcome, row.error):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
