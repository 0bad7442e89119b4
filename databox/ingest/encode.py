"""One row to JSON bytes, once.

Values of the JSON types pass through to orjson; what has a plain meaning is converted; the rest is refused with the
column's name and a remedy, since what a server makes of it is anybody's guess.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from databox.errors import InvalidRecordError
from databox.ingest.rows import as_mapping

__all__ = ["encode", "plain"]

_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_PLAIN = frozenset({str, int, float, bool, type(None), datetime, date, UUID})
_INFINITIES = frozenset({math.inf, -math.inf})
_INFINITE = "is infinite, which JSON cannot say. Send None or a finite number"
_NO_TYPE = "is {}, for which the API has no type. Send seconds, or text"
_LARGEST_INT = 2**64 - 1
_SMALLEST_INT = -(2**63)


def encode(record: object, index: int, primary_keys: Sequence[str] = ()) -> tuple[bytes, bytes | None]:
    """Return a row as a JSON object, and what identifies it; None without primary keys.

    Args:
        record: a mapping from column to value, or an object with fields.
        index: the row's place in the input, for the error.
        primary_keys: the columns that identify it.

    Raises:
        InvalidRecordError: the row is no row, has no columns, or holds a value that cannot be sent.
    """
    row: dict[Any, Any] = record if type(record) is dict else _fields(record, index)  # pyright: ignore[reportUnknownVariableType]
    values = row.values()
    # Nearly all rows hold nothing but what orjson takes as it is, and need no look at each value by itself. Infinity
    # it would make null.
    if not (row and _PLAIN.issuperset(map(type, values)) and _INFINITIES.isdisjoint(values)):
        row = _plain_row(row, index)
    try:
        data = orjson.dumps(row, None, _OPTIONS)
    except (TypeError, ValueError):
        row = _plain_row(row, index)
        try:
            data = orjson.dumps(row, None, _OPTIONS)
        except (TypeError, ValueError):
            # Only text can still be at fault: half of a surrogate pair, which UTF-8 cannot carry.
            column = next((name for name, value in row.items() if not _is_unicode(name, value)), None)
            raise _invalid(index, column, "is text that is not valid Unicode. Decode it rightly first") from None
    if not primary_keys:
        return data, None
    return data, orjson.dumps([_as_key(row.get(name)) for name in primary_keys], option=_OPTIONS)


def _fields(record: object, index: int) -> dict[Any, Any]:
    fields = as_mapping(record)
    if fields is None:
        message = f"Row {index} is {_kind(record)}, not a mapping from column to value."
        raise InvalidRecordError(message, index=index)
    return dict(fields)


def _plain_row(given: dict[Any, Any], index: int) -> dict[str, Any]:
    """The row with all values as orjson takes them."""
    if not given:
        raise InvalidRecordError(f"Row {index} has no columns.", index=index)
    row: dict[str, Any] = {}
    for column, value in given.items():
        if not isinstance(column, str):
            message = f"Row {index}: the column name {column!r} is {_kind(column)}. Make it a str."
            raise InvalidRecordError(message, index=index)
        try:
            row[str.__str__(column)] = _converted(value)  # as plain text, should it be of NumPy or an enumeration
        except ValueError as problem:
            raise _invalid(index, column, str(problem)) from None
    return row


def plain(record: object) -> bytes | None:
    """Return as much of a row that cannot be sent as JSON can say, for the dead letters; None for what is no row."""
    fields = as_mapping(record)
    if fields is None:
        return None
    try:
        return json.dumps(dict(fields), default=str, skipkeys=True).encode()
    except (ValueError, TypeError, RecursionError):
        return None


def _as_key(value: Any) -> Any:
    """1 and 1.0 are one number in JSON, so they are one key."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _converted(value: Any) -> Any:
    """The value as orjson takes it; a ValueError says why there is none, and the remedy."""
    match value:
        case Enum():
            return _converted(value.value)
        case bool() | None | str() | UUID():
            return value
        case datetime() if type(value) is datetime:
            return value
        case int():
            if _SMALLEST_INT <= value <= _LARGEST_INT:
                return int(value)
            return orjson.Fragment(str(int(value)))
        case float():
            if math.isinf(value):
                raise ValueError(_INFINITE)
            return float(value)  # not a number becomes null
        case Decimal():
            if value.is_infinite():
                raise ValueError(_INFINITE)
            return None if value.is_nan() else orjson.Fragment(str(value))
        case datetime() | date():
            return _moment(value)
        case time() | timedelta():
            raise ValueError(_NO_TYPE.format(_kind(value)))
        case bytes() | bytearray() | memoryview():
            raise ValueError("is bytes. Decode it to text first")
        case _:
            return _foreign(value)


def _moment(value: date) -> Any:
    """A date or datetime of a subclass, such as pandas' Timestamp."""
    if value != value:
        return None
    if not isinstance(value, datetime):
        return date(value.year, value.month, value.day)
    return datetime.combine(date(value.year, value.month, value.day), value.timetz())


def _foreign(value: Any) -> Any:
    """A scalar of NumPy or pandas, told by its type's name so that neither has to be installed."""
    kind = _kind(value)
    package = type(value).__module__.partition(".")[0]
    name = type(value).__name__
    if package == "pandas" and name in {"NAType", "NaTType"}:
        return None
    if package == "numpy" and name == "datetime64":
        return value.astype("datetime64[us]").item()
    if package == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        plain = value.item()
        if type(plain).__module__.partition(".")[0] != "numpy":
            return _converted(plain)
    if name == "MonthDayNano":  # an interval of Arrow or DuckDB
        raise ValueError(_NO_TYPE.format(kind))
    if isinstance(value, Mapping | list | tuple | set | frozenset) or (package == "numpy" and name == "ndarray"):
        raise ValueError(f"is {kind}, and a row must be flat. Send its parts as columns, or as text (json.dumps)")
    raise ValueError(f"is {kind}, which cannot be sent. Convert it to a number, text or date")


def _is_unicode(*texts: object) -> bool:
    try:
        for text in texts:
            if isinstance(text, str):
                text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _invalid(index: int, column: str | None, problem: str) -> InvalidRecordError:
    # The value itself stays out of the message: it may be private, and messages are logged.
    return InvalidRecordError(f"Row {index}, column {column!r} {problem}.", index=index, column=column)


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"
