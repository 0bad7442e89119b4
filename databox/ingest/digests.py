"""What stands for rows and keys in a journal."""

import hashlib
from itertools import takewhile

from databox.ingest.batch import Batch

__all__ = ["difference", "digest_of_key", "digest_of_rows"]

_ROW_DIGEST = 8


def difference(batch: Batch, given: bytes, noted: bytes) -> str:
    """Say which row is not what it was, by the digests of then and now."""
    places = range(0, min(len(given), len(noted)), _ROW_DIGEST)
    same = sum(1 for _ in takewhile(lambda at: given[at : at + _ROW_DIGEST] == noted[at : at + _ROW_DIGEST], places))
    if same < len(batch.indexes):
        return f"row {batch.indexes[same]:,} is not what it was"
    return f"there is a row after row {batch.indexes[-1]:,} that is missing now"


def digest_of_rows(batch: Batch) -> bytes:
    """Return the digests of a batch's rows, one after the other."""
    return b"".join(hashlib.blake2b(row, digest_size=_ROW_DIGEST).digest() for row in batch.rows)


def digest_of_key(key: bytes) -> bytes:
    """Return what stands for a key."""
    return hashlib.blake2b(key, digest_size=16).digest()
