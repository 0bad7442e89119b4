"""The rows of a dlt load package: read, looked at before the first one is sent, and picked."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

import attrs
from dlt.common.json import json
from dlt.common.storages import FileStorage

from databox import InvalidRecordError
from databox.ingest.encode import encode  # what would be refused is found by what refuses it
from databox.integrations.dlt_memory import DIGEST
from databox.integrations.dlt_schema import lasting_keys, newest_first, primary_keys, shown

__all__ = ["File", "Look", "look", "rows_of"]


def rows_of(path: Path, columns: Iterable[str], left_out: Iterable[int] = ()) -> Iterator[dict[str, Any]]:
    """Walk the rows of a file, with some columns alone, and without those at some places."""
    columns, without = tuple(columns), frozenset(left_out)
    rows = _of_parquet(path) if path.suffix == ".parquet" else _of_json(path)
    for place, row in enumerate(rows):
        if place not in without:
            yield {name: _plain(row[name]) for name in columns if name in row}


def _of_json(path: Path) -> Iterator[dict[str, Any]]:
    with FileStorage.open_zipsafe_ro(str(path)) as file:
        for line in file:
            found = json.typed_loads(line)
            yield from found if isinstance(found, list) else [found]


def _of_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """What sources of Arrow tables and data frames leave in the package."""
    import pyarrow.parquet as parquet  # whoever has Arrow tables has it

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1000):
            yield from batch.to_pylist()


def _plain(value: Any) -> Any:
    """A time of day, for which the API has no type, becomes text."""
    return value.isoformat() if isinstance(value, time) else value


@attrs.frozen
class File:
    """A file of a package: dlt's id of its job, and where it is."""

    job_id: str
    path: Path


@attrs.define
class Look:
    """What was seen of the rows of a table."""

    left_out: dict[str, "array[int]"] = attrs.field(factory=dict)
    """The places of the rows of each file that are not to be sent: newer ones, or stored ones, stand for them."""
    digests: dict[str, bytearray] = attrs.field(factory=dict)
    """What the other rows of a table without lasting keys are known again by, `DIGEST` bytes each."""
    problems: list[str] = attrs.field(factory=list)
    """What has to be changed first."""


def look(table: Mapping[str, Any], files: Sequence[File], *, stored: Mapping[bytes, int], lenient: bool) -> Look:
    """Return what there is to know of a table's rows before any is sent.

    It keeps a digest of each row's key where a key may come twice, and of each row where there are no keys.

    Args:
        table: as dlt prepares it.
        files: all of the package's.
        stored: how many rows of a digest are stored already, and are to be left out.
        lenient: whether rows that cannot be sent are no problem.
    """
    keys, lasting = primary_keys(table), lasting_keys(table)
    seen, invalid = Look(), _Invalid()
    columns = sorted(table["columns"])  # the next package may find them in another order
    newest = newest_first(table)
    once = _Newest(newest[0], seen.left_out, largest=newest[1]) if newest else _Once(table, len(files))
    remaining = Counter(stored)
    for file in files:
        without = seen.left_out.setdefault(file.job_id, array("Q"))
        digests = bytearray()
        for place, row in enumerate(rows_of(file.path, columns)):
            try:
                data, key = encode(row, place, keys)
            except InvalidRecordError as error:
                invalid.add(error)
                digests += bytes(DIGEST)  # it has its place in the report as well
                continue
            if key is not None:
                once.add(file.job_id, place, row, _digest(key))
            if lasting:
                continue
            if remaining[digest := _digest(data)] > 0:
                remaining[digest] -= 1
                without.append(place)
            else:
                digests += digest
        if not lasting:
            seen.digests[file.job_id] = digests
    reasons = [*once.problems(), *([] if lenient else invalid.problems())]
    seen.problems = [f"Table {shown(table['name'])}: {reason}" for reason in reasons]
    return seen


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST).digest()


class _Invalid:
    """Rows that cannot be sent."""

    def __init__(self) -> None:
        self._first: InvalidRecordError | None = None
        self._more = 0

    def add(self, error: InvalidRecordError) -> None:
        self._more += self._first is not None
        self._first = self._first or error

    def problems(self) -> Iterator[str]:
        if self._first:
            more = f" So it is with {self._more:,} more rows." if self._more else ""
            yield f"{self._first} Change or filter such rows with add_map or add_filter.{more}"


class _Once:
    """Sees that no key comes twice where that would leave it to chance which row is kept."""

    def __init__(self, table: Mapping[str, Any], files: int) -> None:
        columns = table["columns"].values()
        self._keys = ", ".join(primary_keys(table))
        self._apart = not any(column.get("primary_key") for column in columns)
        self._apart &= any(column.get("merge_key") for column in columns)
        self._looks = self._apart or files > 1
        self._files: dict[bytes, str] = {}
        self._found = False

    def add(self, job_id: str, place: int, row: Mapping[str, Any], key: bytes) -> None:
        """A row of a key comes; `place` and `row` are for those that pick one of several."""
        if self._looks and not self._found:
            earlier = self._files.get(key)
            self._found = earlier is not None and (self._apart or earlier != job_id)
            self._files[key] = job_id

    def problems(self) -> Iterator[str]:
        """Walk what is wrong with the keys."""
        if self._found and self._apart:
            yield (
                f"several rows have the same merge_key ({self._keys}), and the API keeps one row of a key. Name a "
                "primary_key, which tells them apart."
            )
        elif self._found:
            yield (
                f"several files of the package have rows of one key ({self._keys}), and dlt loads files in no order. "
                'Say which row is the newest with the hint dedup_sort="desc" on a column that tells.'
            )


class _Newest:
    """Leaves out all rows of a key but the newest, as the table's `dedup_sort` says."""

    def __init__(self, column: str, left_out: Mapping[str, "array[int]"], *, largest: bool) -> None:
        self._column = column
        self._largest = largest
        self._left_out = left_out
        self._newest: dict[bytes, tuple[Any, str, int]] = {}

    def add(self, job_id: str, place: int, row: Mapping[str, Any], key: bytes) -> None:
        """A row of a key comes."""
        this, other = (row.get(self._column), job_id, place), self._newest.get(key)
        if other and self._is_older(this[0], other[0]):
            this, other = other, this
        self._newest[key] = this
        if other:
            self._left_out[other[1]].append(other[2])

    def _is_older(self, value: Any, than: Any) -> bool:
        if value is None or than is None:
            return than is not None
        return bool(value < than if self._largest else value > than)

    def problems(self) -> Iterator[str]:
        """Walk what is wrong with the keys: nothing."""
        return iter(())
