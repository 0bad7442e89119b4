"""What is known of a column, and what the caller said of all."""

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
"""As many as a sheet may have."""
_SHOWN = 40


@attrs.frozen(kw_only=True)
class Column:
    """What became of one column."""

    name: str
    type: str
    """`text`, `number`, `date`, `datetime`, `boolean`, or `empty` when the sample held no value."""
    note: str = ""
    """Why, where that is not plain."""
    example: str = ""
    """A value as it will be sent."""


@attrs.frozen
class Reading:
    """How the cells of a file are to be read, as the caller wants it."""

    declared: Mapping[str, str] = {}
    decimal: Mark | None = None
    order: Order | None = None
    date_format: str | None = None
    nulls: Collection[str] = ("",)


@attrs.frozen
class Decision:
    """What a column is, and how its cells are read; None for as they are."""

    column: Column
    read: Callable[[str], Any] | None
    read_many: Callable[[Sequence[str]], list[Any] | None] | None = None
    """What reads some cells at once where all are written in the plainest way, and gives None where they are not."""


def too_many(where: str, columns: int) -> InvalidRecordError:
    """Return the error for a row with more columns than there can be."""
    return InvalidRecordError(
        f"{where} has {columns:,} columns, and there can be {MOST_COLUMNS:,}. If their values are of one kind, give "
        "each a row of its own, with a column that says which it is."
    )


def shown(text: str) -> str:
    """Return a text in one line, cut off where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
