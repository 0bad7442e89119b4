"""What to pass instead of what is not rows, or not a row."""

import inspect
import io
import os
from collections.abc import Mapping
from typing import Any, cast

__all__ = ["instead_of_row", "instead_of_rows"]

_UNNAMED = (
    ", which has no names for its values. Give each row as a mapping, dict(zip(names, row)); or pass the cursor "
    "itself, which knows them."
)
_PARTS = {"pandas": 'frame.to_dict("records")', "polars": "frame.to_dicts()", "pyarrow": "frame.to_pylist()"}
"""How a table of each package gives its rows."""


_NESTED = (list, tuple, Mapping)


def _type(value: Any) -> Any:
    """The type of a value, opaque to type checkers."""
    return cast("Any", type(value))


def _has_columns(source: Any) -> bool:
    return issubclass(_type(source), Mapping) and any(issubclass(_type(value), _NESTED) for value in source.values())


def instead_of_rows(source: Any, *, is_row: bool) -> str:
    """Return why something, perhaps a single row, is not a source of rows, and what to pass instead."""
    name = _type(source).__name__
    if isinstance(source, str | os.PathLike):
        return f"records must be rows, not one {name}. To send a file, pass databox.read_records(path)."
    if isinstance(source, io.IOBase):
        return "records must be rows, not an open file. Pass databox.read_records(file)."
    if _has_columns(source):
        return f"records must be rows, not one {name} of columns. Pass pandas.DataFrame(records)."
    if is_row:
        return f"records must be rows, not one {name}. Put a single row in a list."
    if inspect.isawaitable(source):
        return f"records must be rows, not a {name}. Await it, and pass what it returns."
    if hasattr(source, "__aiter__"):
        return (
            f"records is asynchronous, a {name}, and this client is not. Use AsyncDatabox, or collect the rows first."
        )
    if callable(source):
        return f"records must be rows, not a {name}. Call it, and pass what it returns."
    return f"records must be rows, an iterable of mappings or a table, not {'None' if source is None else name}."


def instead_of_row(record: Any) -> str:
    """Return why something is not a row, after its type is named, and what to pass instead."""
    kind = _type(record)
    package = kind.__module__.partition(".")[0]
    if package in _PARTS and hasattr(record, "columns"):
        return f", a table. Pass the rows of each: (row for frame in frames for row in {_PARTS[package]})."
    if package == "pandas" and hasattr(record, "to_dict"):
        return ", not a mapping from column to value. Pass the frame itself; or of each row, row.to_dict()."
    if issubclass(kind, list | tuple) or package == "numpy":
        return _UNNAMED
    return ", not a mapping from column to value."
