"""The type of a column, and the values that it accepts: decisions without state.

The reference names three types, string, number and datetime, and says that they are inferred from the rows. How is not
documented; this is a guess that refuses only what would be refused under any interpretation.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

__all__ = ["LONGEST_TEXT", "MOST_COLUMNS", "misfit", "widened"]

LONGEST_TEXT = 65_535
"""The maximum size of a text, in bytes; also a guess."""
MOST_COLUMNS = 16_384
"""The maximum number of columns of a dataset; also a guess, and the limit for files."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)


def misfit(record: Mapping[str, Any], types: Mapping[str, str]) -> str | None:
    """Return why a record without nested values does not fit columns of these types, or None if it does."""
    for column, value in record.items():
        if isinstance(value, str) and len(value) > LONGEST_TEXT // 4 and len(value.encode()) > LONGEST_TEXT:
            return f"Column '{column}' contains a text of more than {LONGEST_TEXT} bytes."
        if value is not None and not _fits(value, types.get(column, "")):
            return f"Column '{column}' is of type {types[column]}, and the value is a {_type_name(value)}."
    new = sum(column not in types for column in record)
    if len(types) + new > MOST_COLUMNS:
        return f"The dataset has {len(types)} columns and would get {new} more; the maximum is {MOST_COLUMNS}."
    return None


def widened(record: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, str]:
    """Return the types of columns that a record adds, or that it turns into strings."""
    found: dict[str, str] = {}
    for column, value in record.items():
        if value is None:
            continue
        kind = "string" if isinstance(value, bool) else _type_name(value)
        if not types.get(column) or (types[column] == "datetime" and kind == "string"):
            found[column] = kind
    return found


def _fits(value: Any, type_: str) -> bool:
    """A string column accepts anything; a datetime column accepts other texts too, and becomes a string column."""
    if type_ == "number":
        return _type_name(value) == "number"
    return type_ != "datetime" or isinstance(value, str)


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "datetime" if _is_date(value) else "string"


def _is_date(text: str) -> bool:
    if len(text) > 40 or not _DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
