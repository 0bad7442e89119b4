"""Values that are already typed: from JSON, Parquet, a sheet or a database."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from databox.errors import InvalidRecordError
from databox.files.column import Column, Decision, shown
from databox.files.numerals import EXACT, exact_text, is_exact
from databox.wording import Message, message, setting

__all__ = ["as_text", "kind_of", "long_columns", "typed_reader", "with_types", "without_long"]

TIMES = "times of day, for which the API has no type"
DURATIONS = "durations, for which the API has no type"


def kind_of(value: Any) -> str:
    """Return the type of column that a value belongs in."""
    match value:
        case bool():
            return "boolean"
        case int() | float() | Decimal():
            return "number"
        case datetime():
            return "datetime"
        case date():
            return "date"
        case str() | UUID():
            return "text"
        case time():
            return "time"
        case timedelta():
            return "duration"
        case bytes() | bytearray() | memoryview():
            return "bytes"
        case _:
            return "nested"


def as_text(value: Any) -> str:
    """Return a value as text: for a message, or for a column that was declared as text."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float() | Decimal():
            return exact_text(value)
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case dict() | list():
            return _json_of(value)
        case _:
            return str(value)


def typed_reader(kind: str, read: Callable[[str], Any] | None, *, is_declared: bool = False) -> Callable[[Any], Any]:
    """Return the function that reads the cells of a column of one type: text with `read`, typed values unchanged.

    In a column of datetimes a date is the moment at which it begins.

    Args:
        kind: the column's type.
        read: the function that reads text; None to keep it.
        is_declared: whether the caller declared the type: 20251231 may then be a date, and midnight a day.
    """

    def convert(cell: Any) -> Any:
        value, found = cell, kind_of(cell)
        if is_declared and found == "number" and kind in {"date", "datetime", "boolean"}:
            value = as_text(cell)
        if isinstance(value, str):
            value = read(value) if read else value
        elif kind == "text":
            value = as_text(value)
        elif is_declared and (found, kind) == ("datetime", "date"):
            if value.tzinfo is not None or value.time() != time():
                raise ValueError("has a time: declare the column as datetime")
            value = value.date()
        elif found != kind and (found, kind) != ("date", "datetime"):
            raise ValueError(f"is of type {found}")
        elif found == "number" and not is_exact(value):
            raise ValueError("has more digits than a number holds exactly, so it can only be text")
        return _moment(value) if kind == "datetime" else value

    return convert


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)


def with_types(where: str, name: str, by_text: Decision | None, typed: Sequence[tuple[int, Any]]) -> Decision:
    """Return the type of a column of a sheet.

    Args:
        where: the file, and the unit in which its rows are counted.
        name: the column's.
        by_text: the type according to its text cells, if it has any.
        typed: its other cells, with their rows' numbers.

    Raises:
        InvalidRecordError: it contains times of day, for which the API has no type.
    """
    kinds = {kind_of(value): (line, value) for line, value in reversed(typed)}
    for kind, problem in (("time", TIMES), ("duration", DURATIONS)):
        if kind in kinds:
            line, value = kinds[kind]
            raise InvalidRecordError(
                message(
                    f"{where} {line}, column {name!r}: {as_text(value)} is one of {problem}. ", _as_text(name), "."
                ),
                column=name,
            )
    if set(kinds) == {"date", "datetime"}:
        kinds.pop("date")
    (_, first), note = typed[0], ""
    kind = next(iter(kinds)) if len(kinds) == 1 else "text"
    if len(kinds) > 1:
        note = f"kept as text: {' and '.join(sorted(kinds))} are mixed"
    elif by_text and {by_text.column.type, kind} == {"date", "datetime"}:
        kind = "datetime"
    elif by_text and by_text.column.type != kind:
        note = f"kept as text: {by_text.column.type} and {kind} are mixed"
        kind = "text"
    read = typed_reader(kind, by_text.read if by_text and kind != "text" else _not_such(kind))
    return Decision(Column(name=name, type=kind, note=note, example=shown(as_text(first))), read)


def long_columns(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the columns in which a number of the sample has more digits than a JSON number holds exactly."""
    return {
        name for row in rows for name, value in row.items() if type(value) in (int, Decimal) and not is_exact(value)
    }


def without_long(
    name: str, rows: Iterator[Any], texts: set[str], remedy: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield rows in which no number has more digits than a JSON number holds.

    Args:
        name: the source's, for errors.
        rows: the rows.
        texts: columns whose numbers are all returned as text, because a column has one type.
        remedy: how to get a column as text, if it cannot be declared.

    Raises:
        InvalidRecordError: a number of another column has too many digits.
    """
    for index, row in enumerate(rows):
        for column, value in row.items():
            kind = cast("Any", type(value))
            if kind is int:
                if -EXACT <= value <= EXACT and column not in texts:
                    continue
            elif kind is Decimal:
                if column not in texts and is_exact(value):
                    continue
            elif kind is not float or column not in texts:
                continue
            if column not in texts:
                raise InvalidRecordError(
                    message(
                        f"{name}, row {index + 1:,}, column {column!r}: {value} has more digits than a number holds "
                        "exactly, unlike the numbers before it. ",
                        remedy or _as_text(column),
                        ".",
                    ),
                    index=index,
                    column=column,
                )
            row[column] = exact_text(value)
        yield row


def _json_of(value: Any) -> str:
    """A nested value as JSON, with all digits of its numbers."""
    match value:
        case dict():
            members = cast("dict[str, Any]", value).items()
            parts = (f"{json.dumps(name, ensure_ascii=False)}: {_json_of(each)}" for name, each in members)
            return f"{{{', '.join(parts)}}}"
        case list():
            return f"[{', '.join(map(_json_of, cast('Any', value)))}]"
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def _as_text(name: str) -> Message:
    return message("To read the column as text, use ", setting("columns", {name: "text"}))


def _not_such(kind: str) -> Callable[[str], Any] | None:
    if kind == "text":
        return None

    def read(cell: str) -> Any:
        raise ValueError(f"is text, but the column was {kind} before it")

    return read
