"""Converts rows of any supported kind to mappings from column to value.

Tables are recognised by their type's name and read through their own iterators, so that no table library is required.
"""

import dataclasses
import importlib
import io
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import attrs

from databox.display import logger
from databox.ingest.instead import instead_of_rows

__all__ = ["as_mapping", "files_of", "identity_of", "length_of", "rows_of"]

log = logger("databox")

_AT_ONCE = 1000
"""The number of rows that are read from a table at a time."""
_APART = "Name them apart in the query: select … as …"


def as_mapping(record: Any) -> Mapping[Any, Any] | None:
    """Return a row as a mapping, or None if it is not a row."""
    kind = _type(record)
    if issubclass(kind, Mapping):
        mapping: Mapping[Any, Any] = record
        return mapping
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(record, field.name) for field in dataclasses.fields(kind)}
    if attrs.has(kind):
        return {field.name: getattr(record, field.name) for field in attrs.fields(kind)}
    if hasattr(kind, "_asdict"):  # a named tuple, or a row of SQLAlchemy
        return _once(record._fields, record)
    if kind.__module__ == "sqlite3" and kind.__name__ == "Row":
        return _once(list(record.keys()), record)
    if kind is SimpleNamespace:
        return cast("dict[str, Any]", record.__dict__)
    if hasattr(kind, "__struct_fields__"):  # msgspec
        return {name: getattr(record, name) for name in kind.__struct_fields__}
    if hasattr(kind, "model_fields"):  # pydantic; iterating gives the fields unconverted
        return dict(record)
    return None


def rows_of(source: Any, *, asynchronous: bool = False) -> Any:
    """Return the rows of a table, or the source itself if it is not a table.

    Args:
        source: what the caller gave.
        asynchronous: whether it may be iterated over with `async for`.

    Raises:
        TypeError: the source is a single row, text or a file, or cannot be iterated over; or a table that has to be
            collected first, or whose columns have no unique names.
    """
    kind = _type(source)
    is_row = as_mapping(source) is not None
    if is_row or issubclass(kind, str | bytes | bytearray | io.IOBase):
        raise TypeError(instead_of_rows(source, is_row=is_row))
    package = kind.__module__.partition(".")[0]
    name = kind.__name__
    if _is_frame(kind):
        index = ", ".join(repr(each) for each in source.index.names if each is not None)
        if index:
            log.warning("The frame's index (%s) is not sent. To send it as columns, pass frame.reset_index().", index)
        return _named(_names(source.columns), source.itertuples(index=False, name=None))
    if package == "polars" and name == "LazyFrame":
        raise TypeError("records is a polars LazyFrame. Pass frame.collect().")
    if package == "polars" and name == "DataFrame":
        return source.iter_rows(named=True)
    if package == "pyarrow" and hasattr(source, "to_batches"):
        return _arrow(source, source.to_batches(max_chunksize=_AT_ONCE))
    if package == "pyarrow" and name == "RecordBatch":
        return _arrow(source, [source])
    if package == "pyarrow" and name.endswith("RecordBatchReader"):
        return _arrow(source, source)
    if package == "sqlalchemy" and hasattr(kind, "keys") and not hasattr(kind, "__aiter__"):
        names = _names(source.keys(), _APART)
        return _named(names, source) if hasattr(kind, "mappings") else source
    if hasattr(kind, "fetchmany") and hasattr(kind, "description"):  # a relation before DuckDB 2 as well
        return _of_cursor(source)
    if hasattr(kind, "__arrow_c_stream__") and not hasattr(kind, "__iter__"):
        reader = _from_stream(source)
        return _arrow(reader, reader)
    if not any(hasattr(kind, each) for each in ("__iter__", "__getitem__", *(["__aiter__"] if asynchronous else []))):
        raise TypeError(instead_of_rows(source, is_row=False))
    return source


def identity_of(source: Any) -> str:
    """Return the identity of the query that a source comes from; empty if it is not a query."""
    identity = getattr(source, "identity", "")
    return identity if isinstance(identity, str) else ""


def files_of(source: Any) -> list[str]:
    """Return the files that a source reads; unknown unless the source is ours."""
    if not type(source).__module__.startswith("databox."):
        return []
    return getattr(source, "names", None) or [getattr(source, "name", "")]


def length_of(source: Any) -> int | None:
    """Return how many rows a source has, or None if it does not say, or not without cost."""
    kind = _type(source)
    if kind.__name__ == "DuckDBPyRelation":  # it would run the query, which cannot run twice at a time
        return None
    try:
        return len(source) if hasattr(kind, "__len__") else None
    except Exception:  # noqa: BLE001 - it is only for the progress, and the source is anybody's
        return None


def _type(value: Any) -> Any:
    """The type of a value, opaque to type checkers."""
    return cast("Any", type(value))


def _is_frame(kind: Any) -> bool:
    """Whether a type is the pandas DataFrame, or derives from it, as a GeoDataFrame does."""
    return any(each.__name__ == "DataFrame" and each.__module__.partition(".")[0] == "pandas" for each in kind.__mro__)


def _named(columns: list[str], rows: Iterable[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield dict(zip(columns, row, strict=True))


def _names(columns: Iterable[Any], remedy: str = "Rename one") -> list[str]:
    """The names of a table's columns, which must be unique, because a row would lose one of two with the same name."""
    names = list(columns)
    for name in names:
        if isinstance(name, tuple):
            raise TypeError(
                'records has columns of several levels. Join them: frame.columns = frame.columns.map("_".join)'
            )
        if not isinstance(name, str):
            raise TypeError(
                f"records has a column named {name!r}, not text. Name it: frame.columns = frame.columns.map(str)"
            )
    if twice := _twice(names):
        raise TypeError(f"records has two columns named {twice[0]!r}. {remedy}.")
    return names


def _twice(names: Iterable[str]) -> list[str]:
    """The names that occur more than once."""
    return [name for name, times in Counter(names).items() if times > 1]


def _arrow(table: Any, batches: Iterable[Any]) -> Iterator[dict[str, Any]]:
    _names(table.schema.names)
    return _pieces(batches)


def _pieces(batches: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        for start in range(0, batch.num_rows, _AT_ONCE):
            yield from batch.slice(start, _AT_ONCE).to_pylist()


def _once(names: Sequence[str], values: Iterable[Any]) -> Mapping[str, Any]:
    """A row as a mapping.

    Raises:
        TypeError: two columns have the same name, so one of them would be lost.
    """
    row = dict(zip(names, values, strict=True))
    if len(row) < len(names):
        raise TypeError(f"a row has two columns named {_twice(names)[0]!r}. {_APART}.")
    return row


def _of_cursor(cursor: Any) -> Iterator[Any] | AsyncIterator[Any]:
    """The rows of a DB-API cursor, under the names in its description."""
    if cursor.description is None:
        raise TypeError("records is a cursor without rows. Execute a query with it first.")
    names = _names((entry[0] for entry in cursor.description), _APART)
    if hasattr(_type(cursor), "__aiter__"):
        return _from_async_cursor(names, cursor)
    return (_under(names, row) for row in _fetched(cursor))


async def _from_async_cursor(names: list[str], cursor: Any) -> AsyncIterator[Any]:
    async for row in cursor:
        yield _under(names, row)


def _under(names: list[str], row: Any) -> Any:
    """A row with the names of a cursor, or in the form that the cursor was configured for."""
    if type(row) is not tuple:
        fields = as_mapping(row)
        if fields is not None:
            return dict(fields)
        if isinstance(row, str | bytes) or not hasattr(_type(row), "__len__"):
            return row  # for example a single value, which is refused like any row without names
    return dict(zip(names, cast("Iterable[Any]", row), strict=True))


def _fetched(cursor: Any) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(_AT_ONCE):
        yield from rows


def _from_stream(source: Any) -> Any:
    name = type(source).__name__
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
    except ImportError:
        raise TypeError(f"records is a {name}, an Arrow stream: install pyarrow, or pass its rows.") from None
    return pyarrow.RecordBatchReader.from_stream(source)
