"""One row to JSON bytes, once.

Values of JSON types are passed to orjson; other values with an obvious meaning are converted; the rest is refused with
the column's name and a remedy, because a server might interpret it in any way.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from databox.errors import InvalidRecordError
from databox.ingest.instead import instead_of_row
from databox.ingest.keys import as_key
from databox.ingest.rows import as_mapping
from databox.wording import Message, message, row_at, setting, words_of

__all__ = ["are_finite", "are_simple", "encode", "key_of", "shown"]

_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_SIMPLE = frozenset({str, int, float, bool, type(None), date, UUID})
_PLAIN = _SIMPLE | {datetime}
_AS_THEY_ARE = _SIMPLE - {int, float}
_ZONES = frozenset({timezone, ZoneInfo})
_MINUTE = timedelta(minutes=1)
_INFINITIES = frozenset({math.inf, -math.inf})
are_simple = _SIMPLE.issuperset
"""Whether orjson writes values of some types as intended, if they are finite."""
are_finite = _INFINITIES.isdisjoint
"""Whether no value is infinite, which orjson would write as null."""
_NULL = Message("None", "null")
_INFINITE = message("is infinite, which JSON cannot represent. Send ", _NULL, " or a finite number")
_TOO_LARGE = "is larger than 1.8e308, and servers read such a number as infinite. Send it as text"
_NO_TYPE = ", for which the API has no type. Send seconds, or text"
_NO_DATE = message("is a date outside the years 1 to 9999. Send ", _NULL, ", or text")
_LARGEST_INT = 2**64 - 1
_SMALLEST_INT = -(2**63)
_LONGEST = 200
_PLAINLY = {"dict": "an object", "list": "an array", "time": "a time of day", "timedelta": "a duration"}
"""What the command calls values of Python's types."""


class _Unsendable(Exception):
    """Why a value cannot be sent, and the remedy."""


def encode(record: object, index: int, primary_keys: Sequence[str] = ()) -> tuple[bytes, bytes | None]:
    """Return a row as a JSON object, and its key; None without primary keys.

    Two rows have the same key when the JSON values of their key columns are equal.

    Args:
        record: a mapping from column to value, or an object with fields.
        index: the row's position in the input, for the error.
        primary_keys: the columns that identify it.

    Raises:
        InvalidRecordError: the object is not a row, has no columns, cannot be read, contains a value that cannot be
            sent, or lacks a value in a key column.
    """
    try:
        row: dict[Any, Any] = record if type(record) is dict else _fields(record, index)  # pyright: ignore[reportUnknownVariableType]
        row, data = _looked_at(row, index)
    except (InvalidRecordError, MemoryError):
        raise
    except Exception as error:  # a row may be any object, whose code runs here
        raise InvalidRecordError(
            message(row_at(index, "Row"), f" cannot be read: {_raised(error)}."), index=index
        ) from error
    return data, key_of(row, index, primary_keys) if primary_keys else None


def key_of(row: dict[Any, Any], index: int, primary_keys: Sequence[str]) -> bytes:
    """Return the key of a row of plain types.

    Raises:
        InvalidRecordError: it lacks a value in a key column.
    """
    return orjson.dumps([_key_part(row, name, index) for name in primary_keys], option=_OPTIONS)


def shown(record: object) -> str:
    """Return a row that cannot be sent as text."""
    try:
        fields = as_mapping(record)
        return repr(record if fields is None else dict(fields))
    except Exception as error:  # noqa: BLE001 - the row is an object of any kind
        return f"{_of_type(record)}, which cannot be shown: {_raised(error)}"


def _is_plain(values: Any) -> bool:
    """Whether orjson accepts all of a row's values unchanged, and writes them as intended."""
    return (
        _PLAIN.issuperset(map(type, values))
        and all(_in_minutes(value) for value in values if type(value) is datetime)
        and _INFINITIES.isdisjoint(values)  # last, because a zone that raises does so when hashed as well
    )


def _in_minutes(moment: datetime) -> bool:
    """Whether orjson writes a zone correctly: it rounds the offset to minutes, and a zone that raises crashes
    the process."""
    zone = moment.tzinfo
    if zone is None or zone is UTC:
        return True
    return type(zone) in _ZONES and not moment.utcoffset() % _MINUTE  # type: ignore[operator]  # these have an offset


def _looked_at(row: dict[Any, Any], index: int) -> tuple[dict[Any, Any], bytes]:
    """Any row, with values of plain types, and as JSON."""
    if not (row and _is_plain(row.values())):
        row = _plain_row(row, index)
    try:
        return row, orjson.dumps(row, _as_written, _OPTIONS)
    except (TypeError, ValueError):
        row = _plain_row(row, index)  # an integer of more than 64 bits
    try:
        return row, orjson.dumps({name: _as_written(value) for name, value in row.items()}, None, _OPTIONS)
    except (TypeError, ValueError):
        # Only text can still be at fault: half of a surrogate pair, which UTF-8 cannot encode.
        column = next((name for name, value in row.items() if not _is_unicode(name, value)), None)
        raise _invalid(index, column, "is text that is not valid Unicode. Decode it correctly first") from None


def _as_written(value: Any) -> Any:
    """The value as orjson writes it with all its digits."""
    if isinstance(value, Decimal) or (isinstance(value, int) and not _SMALLEST_INT <= value <= _LARGEST_INT):
        return orjson.Fragment(str(value))
    return value


def _key_part(row: dict[Any, Any], name: str, index: int) -> Any:
    value = row.get(name)
    if value is None or value != value:  # not a number becomes null
        lack = "is null" if name in row else "is missing"
        raise _invalid(
            index,
            name,
            message(
                f"{lack}, but a primary key needs a value in every row. Give it one, or check that ",
                setting("primary_keys"),
                " has the dataset's keys",
            ),
        )
    return as_key(value)


def _fields(record: object, index: int) -> dict[Any, Any]:
    fields = as_mapping(record)
    if fields is None:
        raise InvalidRecordError(
            message(row_at(index, "Row"), " is ", _of_type(record), instead_of_row(record)), index=index
        )
    return dict(fields)


def _plain_row(given: dict[Any, Any], index: int) -> dict[str, Any]:
    """The row with all values as types that orjson knows, Decimal, or int of any size."""
    if not given:
        raise InvalidRecordError(message(row_at(index, "Row"), " has no columns."), index=index)
    row: dict[str, Any] = {}
    for column, value in given.items():
        if type(column) is str and type(value) in _AS_THEY_ARE:
            row[column] = value
            continue
        if not isinstance(column, str):
            problem = f": the column name {column!r} is {_of_type(column)}. Make it a str."
            raise InvalidRecordError(message(row_at(index, "Row"), problem), index=index)
        try:
            row[str.__str__(column)] = _converted(value)  # as plain text, in case it comes from NumPy or an enumeration
        except _Unsendable as problem:
            raise _invalid(index, column, words_of(problem)) from None
        except MemoryError:
            raise
        except Exception as error:  # a value may be any object, whose code runs here
            raise _invalid(index, column, f"cannot be read: {_raised(error)}") from error
    return row


def _converted(value: Any) -> Any:
    """The value as a plain type; a value that cannot be sent is _Unsendable.

    Values of subclasses are read by their base type, not through their own methods.
    """
    match value:
        case Enum():
            return _converted(value.value)
        case bool() | None:
            return value
        case str():
            return str.__str__(value)
        case UUID():
            return UUID(int=value.int)
        case int():
            return _with_digits(int.__index__(value))
        case float():
            number = float.__float__(value)  # not a number becomes null
            if math.isinf(number):
                raise _Unsendable(_INFINITE)
            return number
        case Decimal():
            exact = Decimal(value)
            if exact.is_infinite():
                raise _Unsendable(_INFINITE)
            if exact.is_nan():
                return None
            if math.isinf(float(exact)):
                raise _Unsendable(_TOO_LARGE)
            return exact
        case datetime():
            return _moment(value)
        case date():
            return date(value.year, value.month, value.day)
        case time() | timedelta():
            raise _Unsendable(message("is ", _of_type(value), _NO_TYPE))
        case bytes() | bytearray() | memoryview():
            raise _Unsendable("is bytes. Decode it to text first")
        case _:
            return _foreign(value)


def _with_digits(value: int) -> int:
    if not _SMALLEST_INT <= value <= _LARGEST_INT:
        try:
            float(value)
        except OverflowError:
            raise _Unsendable(_TOO_LARGE) from None
    return value


def _moment(value: datetime) -> Any:
    """A datetime or a subclass, such as pandas' Timestamp. Its offset is written in minutes, otherwise as UTC."""
    if value != value:
        return None
    if not 1 <= value.year <= 9999:
        raise _Unsendable(_NO_DATE)
    offset = value.utcoffset()
    plain = datetime(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, UTC)
    if offset and offset % _MINUTE:
        try:
            plain -= offset
        except OverflowError:
            raise _Unsendable(_NO_DATE) from None
    elif offset:
        plain = plain.replace(tzinfo=timezone(offset))
    return plain


def _foreign(value: Any) -> Any:
    """A scalar of NumPy or pandas, recognised by its type's name so that neither has to be installed."""
    kind = _of_type(value)
    package = type(value).__module__.partition(".")[0]
    name = type(value).__name__
    if package == "pandas" and name in {"NAType", "NaTType"}:
        return None
    if package == "numpy" and name == "datetime64":
        return _numpy_moment(value)
    if package == "numpy" and name == "timedelta64":
        raise _Unsendable(message("is ", kind, _NO_TYPE))
    if package == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        plain = value.item()
        if type(plain).__module__.partition(".")[0] != "numpy":
            return _converted(plain)
    if name == "MonthDayNano":  # an Arrow or DuckDB interval
        raise _Unsendable(message("is ", kind, _NO_TYPE))
    if isinstance(value, Mapping | list | tuple | set | frozenset) or (package == "numpy" and name == "ndarray"):
        dumped = Message(" (json.dumps)", "")
        flat = ", but a row must be flat. Send its parts as columns, or the value as text"
        raise _Unsendable(message("is ", kind, flat, dumped))
    raise _Unsendable(message("is ", kind, ", which cannot be sent. Convert it to a number, text or date"))


def _numpy_moment(value: Any) -> Any:
    plain = value.astype("datetime64[us]").item()
    if plain is not None and not isinstance(plain, datetime):  # an integer, beyond Python's range of years
        raise _Unsendable(_NO_DATE)
    return plain


def _is_unicode(*texts: object) -> bool:
    try:
        for text in texts:
            if isinstance(text, str):
                text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _invalid(index: int, column: str | None, problem: str) -> InvalidRecordError:
    # The value itself is not part of the message: it may be private, and messages are logged.
    return InvalidRecordError(
        message(row_at(index, "Row"), f", column {column!r} ", problem, "."), index=index, column=column
    )


def _of_type(value: object) -> Message:
    name = type(value).__name__
    return Message(f"of type {name}", _PLAINLY.get(name))


def _raised(error: Exception) -> str:
    try:
        words = " ".join(f"{type(error).__name__}: {error}".split())
    except Exception:  # noqa: BLE001 - the error is a class of anybody's
        return type(error).__name__
    return words.rstrip(".") if len(words) <= _LONGEST else words[:_LONGEST] + "…"
