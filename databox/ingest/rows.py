"""Whatever people have their rows in, as mappings from column to value.

Tables are told by their type's name and walked through their own iterators, so that no table library has to be there.
"""

import dataclasses
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import attrs

__all__ = ["as_mapping", "rows_of"]

_AT_ONCE = 1000
"""Rows that are taken from a table at a time."""


def as_mapping(record: Any) -> Mapping[Any, Any] | None:
    """Return a row as a mapping, or None when it is nothing of the kind."""
    kind = _type(record)
    if issubclass(kind, Mapping):
        mapping: Mapping[Any, Any] = record
        return mapping
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(record, field.name) for field in dataclasses.fields(kind)}
    if attrs.has(kind):
        return {field.name: getattr(record, field.name) for field in attrs.fields(kind)}
    if hasattr(kind, "_asdict"):  # a named tuple
        return dict(kind._asdict(record))
    if hasattr(kind, "model_fields"):  # pydantic; iterating gives the fields unconverted
        return dict(record)
    return None


def rows_of(source: Any) -> Any:
    """Return the rows of a table, or the source itself when it is none.

    Raises:
        TypeError: the source is a single row or a text, or a table that has to be collected first.
    """
    if type(source) in (str, bytes, bytearray) or as_mapping(source) is not None:
        raise TypeError(f"records must be rows, not one {type(source).__name__}. Put a single row in a list.")
    kind = _type(source)
    package = kind.__module__.partition(".")[0]
    name = kind.__name__
    if package == "pandas" and name == "DataFrame":
        return _named(_unique(source.columns), source.itertuples(index=False, name=None))
    if package == "polars" and name == "LazyFrame":
        raise TypeError("records is a polars LazyFrame. Pass frame.collect().")
    if package == "polars" and name == "DataFrame":
        return source.iter_rows(named=True)
    if package == "pyarrow" and hasattr(source, "to_batches"):
        return _arrow(source.to_batches(max_chunksize=_AT_ONCE))
    if package == "pyarrow" and name == "RecordBatch":
        return _arrow(source.slice(start, _AT_ONCE) for start in range(0, source.num_rows, _AT_ONCE))
    if package == "pyarrow" and name.endswith("RecordBatchReader"):
        return _arrow(source)
    if name == "DuckDBPyRelation" and "fetchmany" in dir(kind):  # before DuckDB 2, which gives an Arrow stream
        return _named(_unique(source.columns), _fetched(source))
    if hasattr(kind, "__arrow_c_stream__") and not hasattr(kind, "__iter__"):
        return _arrow(_from_stream(source))
    return source


def _type(value: Any) -> Any:
    """The type of a value, of which a type checker is to presume nothing."""
    return cast("Any", type(value))


def _named(columns: list[str], rows: Iterable[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield dict(zip(columns, row, strict=True))


def _unique(columns: Iterable[Any]) -> list[str]:
    names = list(columns)
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise TypeError(f"records has two columns named {twice!r}. Rename one.")
    return names


def _arrow(batches: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        for start in range(0, batch.num_rows, _AT_ONCE):
            yield from batch.slice(start, _AT_ONCE).to_pylist()


def _fetched(relation: Any) -> Iterator[tuple[Any, ...]]:
    while rows := relation.fetchmany(_AT_ONCE):
        yield from rows


def _from_stream(source: Any) -> Any:
    name = type(source).__name__
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
    except ImportError:
        raise TypeError(f"records is a {name}, an Arrow stream: install pyarrow, or pass its rows.") from None
    return pyarrow.RecordBatchReader.from_stream(source)
