"""Builds request bodies from encoded rows, split by count and by exact bytes; and the digests of rows for a journal."""

import hashlib
from collections.abc import Container, Iterable, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any

import attrs
from orjson import dumps

from databox.api.documented import MAX_RECORDS
from databox.errors import InvalidRecordError
from databox.ingest.encode import are_finite, are_simple, encode, key_of
from databox.ingest.rows import rows_of
from databox.misuse import ArgumentTypeError, ArgumentValueError
from databox.wording import Message, message, row_at

__all__ = [
    "Batch",
    "Batcher",
    "End",
    "body_of",
    "body_of_one_request",
    "difference",
    "digest_of_key",
    "digest_of_rows",
]

_HEAD, _TAIL = b'{"records":[', b"]}"
_AROUND = len(_HEAD) + len(_TAIL) - 1
"""Bytes of a body in addition to its rows with a comma each; the last row has no comma."""
_ROW_DIGEST = 8


def body_of(rows: Sequence[bytes]) -> bytes:
    """Return the request body for encoded rows."""
    return _HEAD + b",".join(rows) + _TAIL


def body_of_one_request(records: Iterable[object]) -> bytes:
    """Return the request body for rows that are sent in one request.

    Raises:
        InvalidRecordError: a row cannot be encoded, or there are no or too many rows.
        TypeError: these are no rows.
    """
    rows = [encode(record, index)[0] for index, record in enumerate(rows_of(records))]
    if not 1 <= len(rows) <= MAX_RECORDS:
        message = f"One ingestion takes 1 to {MAX_RECORDS} records, not {len(rows)}. Use ingest for any number."
        raise InvalidRecordError(message)
    return body_of(rows)


@attrs.frozen
class Batch:
    """Rows that are sent in one request."""

    indexes: tuple[int, ...]
    """Their positions in the input, starting at 0."""
    rows: tuple[bytes, ...]
    row_keys: tuple[bytes | None, ...]
    """The key of each row; None without primary keys."""

    def only(self, wanted: Container[int]) -> "Batch":
        """Return the rows at the given positions."""
        kept = [n for n, index in enumerate(self.indexes) if index in wanted]
        return Batch(
            tuple(self.indexes[n] for n in kept),
            tuple(self.rows[n] for n in kept),
            tuple(self.row_keys[n] for n in kept),
        )

    def between(self, start: int, end: int) -> "Batch":
        """Return the rows with positions from `start` up to but not including `end`."""
        return self.only(range(start, end))

    @property
    def first_row(self) -> int:
        """The position of its first row in the input."""
        return self.indexes[0]

    @property
    def body(self) -> bytes:
        """The request's body."""
        return body_of(self.rows)

    @cached_property
    def keys(self) -> frozenset[bytes]:
        """The keys of its rows; empty without primary keys."""
        return frozenset(filter(None, self.row_keys))


@attrs.frozen
class End:
    """Where a batch of an earlier run ended, and what limited it."""

    row: int
    """The position of the first row after it."""
    max_batch_bytes: int


class Batcher:
    """Encodes rows, and collects them until no more fit in one request.

    Args:
        batch_size: rows per request, 1 to 100.
        max_batch_bytes: the maximum size of a request body, in bytes.
        ends: where the batches of earlier runs ended; these boundaries are kept.
        primary_keys: the columns that identify a row.
    """

    def __init__(
        self, batch_size: int, max_batch_bytes: int, ends: Iterable[End] = (), primary_keys: Sequence[str] = ()
    ) -> None:
        for name, value in (("batch_size", batch_size), ("max_batch_bytes", max_batch_bytes)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise ArgumentTypeError(f"{name} must be an int, not {type(value).__name__}.")
        if not 1 <= batch_size <= MAX_RECORDS:
            raise ArgumentValueError(f"batch_size must be 1 to {MAX_RECORDS}, the API's limit, not {batch_size}.")
        if max_batch_bytes < 64:
            raise ArgumentValueError(f"max_batch_bytes must be at least 64, not {max_batch_bytes}.")
        self._primary_keys = primary_keys
        self._size = batch_size
        self._max_bytes = max_batch_bytes
        self._held: list[_Row] = []
        self._given: list[_Row] = []
        self._bytes = _AROUND
        self._ends = iter(ends)
        self._end = next(self._ends, None)
        self._complete = False

    def add(self, index: int, record: object) -> Batch | None:
        """Encode a row and add it; return the batch that it completes, with or without the row, if any.

        Raises:
            InvalidRecordError: the row cannot be encoded, or is larger than the maximum on its own.
        """
        # Nearly every row has only values that orjson encodes as intended. It is encoded here, since a further call for
        # each would take noticeably longer.
        row: dict[Any, Any] | None = record if type(record) is dict else None  # pyright: ignore[reportUnknownVariableType]
        data: bytes | None = None
        if row:
            values = row.values()
            try:
                if are_simple(map(type, values)) and are_finite(values):
                    data = dumps(row)
            except (TypeError, ValueError, AttributeError, RuntimeError):
                data = None  # `encode` converts it or says why it cannot; errors of signal handlers are not for it
        if row and data is not None:
            key = key_of(row, index, self._primary_keys) if self._primary_keys else None
        else:
            data, key = encode(record, index, self._primary_keys)  # pyright: ignore[reportUnknownArgumentType]
        if self._end is None and not self._complete:  # as for nearly every row: there is room for it and for more
            total = self._bytes + len(data) + 1
            if total <= self._max_bytes and len(self._held) < self._size - 1:
                self._bytes = total
                self._held.append((index, data, key))
                return None
        return self._added(index, data, key)

    def _added(self, index: int, row: bytes, key: bytes | None) -> Batch | None:
        while self._end is not None and index >= self._end.row:
            self._end = next(self._ends, None)
            self._complete = True
        size = len(row) + 1
        most = self._end.max_batch_bytes if self._end else self._max_bytes
        if _AROUND + size > most:
            remedy = Message("Shorten its texts, or raise max_batch_bytes.", "Shorten its texts.")
            if self._end:
                kept = " An earlier run with this journal had that max_batch_bytes, which is kept."
                remedy = Message(f"Shorten its texts.{kept}", "Shorten its texts.")
            raise InvalidRecordError(
                message(
                    row_at(index, "Row"),
                    f" makes a request of {_AROUND + size:,} bytes, but at most {most:,} are allowed. ",
                    remedy,
                ),
                index=index,
            )
        full = self._end is None and (self._bytes + size > most or len(self._held) >= self._size)
        complete = self.flush() if full or self._complete else None
        self._bytes += size
        self._held.append((index, row, key))
        # A row that overflowed is now the only one, so at most one batch completes at a time.
        if complete is None and len(self._held) >= self._size and self._end is None:
            complete = self.flush()
        return complete

    def flush(self) -> Batch | None:
        """Return the collected rows as a batch, or None."""
        if self._held:
            self._given = self._held  # first, so that after an interrupt each row is in one of them
            self._held, self._bytes = [], _AROUND
            self._complete = False
            return _batch(self._given)
        self._complete = False
        return None

    def rest(self, start: int, more: tuple[int, bytes, bytes | None] | None = None) -> list[Batch]:
        """Return the added rows from a position on, including those of the last batch, and perhaps one more.

        For use after an interrupt, when it is unknown whether the last batch was received.
        """
        groups = [self._given, self._held]
        if more and all(row[0] < more[0] for group in groups for row in group):
            crosses = self._complete or (self._end is not None and more[0] >= self._end.row)
            groups = [*groups, [more]] if crosses else [self._given, [*self._held, more]]
        rest = ([row for row in group if row[0] >= start] for group in groups)
        return [_batch(rows) for rows in rest if rows]


_Row = tuple[int, bytes, bytes | None]


def _batch(rows: Sequence[_Row]) -> Batch:
    indexes, encoded, keys = zip(*rows, strict=True)
    return Batch(indexes, encoded, keys)


def difference(batch: Batch, given: bytes, noted: bytes) -> str:
    """Say which row has changed, by comparing old and new digests."""
    places = range(0, min(len(given), len(noted)), _ROW_DIGEST)
    same = sum(1 for _ in takewhile(lambda at: given[at : at + _ROW_DIGEST] == noted[at : at + _ROW_DIGEST], places))
    if same < len(batch.indexes):
        return message(row_at(batch.indexes[same]), " has changed")
    return message("there was a row after ", row_at(batch.indexes[-1]), " that is missing now")


def digest_of_rows(batch: Batch) -> bytes:
    """Return the concatenated digests of a batch's rows."""
    return b"".join(hashlib.blake2b(row, digest_size=_ROW_DIGEST).digest() for row in batch.rows)


def digest_of_key(key: bytes) -> bytes:
    """Return the digest of a key."""
    return hashlib.blake2b(key, digest_size=16).digest()
