"""Encoded rows to request bodies, cut by count and by exact bytes."""

from collections.abc import Sequence

import attrs

from databox.errors import InvalidRecordError

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

    first_row: int
    rows: tuple[bytes, ...]


class Batcher:
    """Collects rows until no more fit in one request.

    Args:
        batch_size: rows in one request, 1 to 100.
        max_batch_bytes: bytes of one request's whole body at most.
    """

    def __init__(self, batch_size: int, max_batch_bytes: int) -> None:
        for name, value in (("batch_size", batch_size), ("max_batch_bytes", max_batch_bytes)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}.")
        if not 1 <= batch_size <= MAX_RECORDS:
            raise ValueError(f"batch_size must be 1 to {MAX_RECORDS}, the API's limit, not {batch_size}.")
        if max_batch_bytes < 64:
            raise ValueError(f"max_batch_bytes must be at least 64, not {max_batch_bytes}.")
        self._size = batch_size
        self._max_bytes = max_batch_bytes
        self._rows: list[bytes] = []
        self._first_row = 0
        self._bytes = 0

    def add(self, row: bytes, index: int) -> Batch | None:
        """Take a row; return the batch that is complete without it or with it, if one is.

        Raises:
            InvalidRecordError: the row alone is larger than a request may be.
        """
        alone = len(_HEAD) + len(row) + len(_TAIL)
        if alone > self._max_bytes:
            raise InvalidRecordError(
                f"Row {index} takes {alone:,} bytes, and a request at most {self._max_bytes:,}. "
                "Shorten its texts, or raise max_batch_bytes.",
                index=index,
            )
        complete = self.flush() if self._bytes + len(row) + 1 > self._max_bytes else None
        if not self._rows:
            self._first_row = index
            self._bytes = alone
        else:
            self._bytes += len(row) + 1
        self._rows.append(row)
        # A row that overflowed is now the only one, so at most one batch completes at a time.
        if complete is None and len(self._rows) >= self._size:
            complete = self.flush()
        return complete

    def flush(self) -> Batch | None:
        """Return what has been collected, or None."""
        if not self._rows:
            return None
        batch = Batch(self._first_row, tuple(self._rows))
        self._rows = []
        self._bytes = 0
        return batch
