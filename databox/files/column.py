"""The properties of a column, and the caller's options for all columns."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, get_args

import attrs

from databox.errors import InvalidRecordError
from databox.files.dates import Order
from databox.files.numerals import Mark

__all__ = ["DECLARABLE", "MOST_COLUMNS", "Column", "ColumnType", "Decision", "Reading", "shown", "too_many"]

ColumnType = Literal["text", "number", "date", "datetime", "boolean", "empty"]
DECLARABLE = tuple(name for name in get_args(ColumnType) if name != "empty")

MOST_COLUMNS = 16_384
"""The maximum number of columns, as in a sheet."""
_SHOWN = 40


@attrs.frozen(kw_only=True)
class Column:
    """How one column was read."""

    name: str
    type: str
    """`text`, `number`, `date`, `datetime`, `boolean`, or `empty` if the sample has no value."""
    note: str = ""
    """The reason, if it is not obvious."""
    example: str = ""
    """An example value as it will be sent."""


@attrs.frozen
class Reading:
    """The caller's options for reading the cells of a file."""

    declared: Mapping[str, str] = {}
    decimal: Mark | None = None
    order: Order | None = None
    date_format: str | None = None
    nulls: Collection[str] = ("",)


@attrs.frozen
class Decision:
    """The type of a column, and the function that reads its cells; None to keep them unchanged."""

    column: Column
    read: Callable[[str], Any] | None
    read_many: Callable[[Sequence[str]], list[Any] | None] | None = None
    """A function that reads several cells at once if all have the simplest form, and returns None if not."""


def too_many(where: str, columns: int) -> InvalidRecordError:
    """Return the error for a row with too many columns."""
    return InvalidRecordError(
        f"{where} has {columns:,} columns, and there can be {MOST_COLUMNS:,}. If their values are of one kind, give "
        "each a row of its own, with a column that says which it is."
    )


def shown(text: str) -> str:
    """Return a text in one line, truncated if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
