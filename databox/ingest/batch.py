"""Encoded rows to request bodies, cut by count and by exact bytes."""

from collections.abc import Iterable, Sequence

import attrs

from databox.errors import InvalidRecordError
from databox.ingest.encode import EncodedRow

__all__ = ["MAX_RECORDS", "Batch", "Batcher", "body_of"]

MAX_RECORDS = 100
"""Rows in one ingestion at most, by the API's reference."""

_HEAD, _TAIL = b'{"records":[', b"]}"


def body_of(rows: Sequence[bytes]) -> bytes:
    """Return the request body for some encoded rows."""
    return _HEAD + b",".join(rows) + _TAIL


@attrs.frozen
class Batch:
    """Rows that go in one request."""

    rows: tuple[EncodedRow, ...]

    @property
    def first_row(self) -> int:
        """The place of its first row in the input."""
        return self.rows[0].index

    @property
    def body(self) -> bytes:
        """The request's body."""
        return body_of([row.data for row in self.rows])

    @property
    def keys(self) -> frozenset[bytes]:
        """What identifies its rows; empty without primary keys."""
        return frozenset(row.key for row in self.rows if row.key is not None)


class Batcher:
    """Collects rows until no more fit in one request.

    Args:
        batch_size: rows in one request, 1 to 100.
        max_batch_bytes: bytes of one request's whole body at most.
        ends: where batches of an earlier run ended: the place of the first row after each. They are kept to.
    """

    def __init__(self, batch_size: int, max_batch_bytes: int, ends: Iterable[int] = ()) -> None:
        for name, value in (("batch_size", batch_size), ("max_batch_bytes", max_batch_bytes)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}.")
        if not 1 <= batch_size <= MAX_RECORDS:
            raise ValueError(f"batch_size must be 1 to {MAX_RECORDS}, the API's limit, not {batch_size}.")
        if max_batch_bytes < 64:
            raise ValueError(f"max_batch_bytes must be at least 64, not {max_batch_bytes}.")
        self._size = batch_size
        self._max_bytes = max_batch_bytes
        self._rows: list[EncodedRow] = []
        self._bytes = 0
        self._ends = iter(ends)
        self._end = next(self._ends, None)

    def add(self, row: EncodedRow) -> Batch | None:
        """Take a row; return the batch that is complete without it or with it, if one is.

        Raises:
            InvalidRecordError: the row alone is larger than a request may be.
        """
        size = len(row.data)
        alone = len(_HEAD) + size + len(_TAIL)
        if alone > self._max_bytes and self._end is None:
            raise InvalidRecordError(
                f"Row {row.index} takes {alone:,} bytes, and a request at most {self._max_bytes:,}. "
                "Shorten its texts, or raise max_batch_bytes.",
                index=row.index,
            )
        complete = self.flush() if self._is_full_without(row) else None
        self._bytes = self._bytes + size + 1 if self._rows else alone
        self._rows.append(row)
        # A row that overflowed is now the only one, so at most one batch completes at a time.
        if complete is None and self._end is None and len(self._rows) >= self._size:
            complete = self.flush()
        return complete

    def flush(self) -> Batch | None:
        """Return what has been collected, or None."""
        if not self._rows:
            return None
        batch = Batch(tuple(self._rows))
        self._rows = []
        self._bytes = 0
        return batch

    def _is_full_without(self, row: EncodedRow) -> bool:
        if self._end is None:
            return bool(self._rows) and self._bytes + len(row.data) + 1 > self._max_bytes
        if row.index < self._end:
            return False
        self._end = next(self._ends, None)
        return True
