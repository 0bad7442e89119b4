"""How a delimited file is laid out: its delimiter and its header."""

import contextlib
import csv
import io
import re
from collections.abc import Sequence
from itertools import islice

import attrs

from databox.errors import InvalidRecordError

__all__ = ["DELIMITERS", "Layout", "layout_of", "names_of"]

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_LOOKED_AT = 200
"""Lines that decide about the delimiter."""
_UNUSED = "\x1f"
"""Separates nothing: for files of one column that hold all of the usual delimiters."""


@attrs.frozen
class Layout:
    """Where the fields of a delimited file are."""

    delimiter: str
    skip_lines: int = 0
    """Lines before the header that are none of the table."""


def layout_of(head: str, given: str | None) -> Layout:
    """Return the delimiter that was given, or else the one that cuts all first lines into equally many fields."""
    said = re.match(r"sep=(.)\r?\n", head, re.IGNORECASE)  # as Excel writes and reads it
    if said:
        return Layout(given or said[1], skip_lines=1)
    if given is not None:
        return Layout(given)
    best, best_score = None, (0.0, 0)
    for candidate in DELIMITERS:
        counts = [len(fields) for fields in _first_rows(head, candidate) if fields]
        if not counts or counts[0] < 2:
            continue
        score = (sum(count == counts[0] for count in counts) / len(counts), counts[0])
        if score > best_score:
            best, best_score = candidate, score
    if best is None:
        best = next((each for each in DELIMITERS if each not in head), _UNUSED)
    return Layout(best)


def names_of(name: str, fields: Sequence[str], line: int) -> list[str]:
    """Return the column names of a header line.

    Raises:
        InvalidRecordError: a column has no name, or the name of another.
    """
    names = [field.strip() for field in fields]
    remedy = "Mend the first line, or give the names with header= (--header)"
    for place, each in enumerate(names):
        if not each:
            raise InvalidRecordError(f"{name}, line {line}: column {place + 1} has no name. {remedy}.")
        if each in names[:place]:
            raise InvalidRecordError(
                f"{name}, line {line}: columns {names.index(each) + 1} and {place + 1} are both named {each!r}. "
                f"{remedy}.",
                column=each,
            )
    return names


def _first_rows(head: str, delimiter: str) -> list[list[str]]:
    # The last line may be cut off, so it does not count unless it is the only one.
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # told when the rows are read
        rows.extend(islice(reader, _LOOKED_AT + 1))
    return rows[:-1] if len(rows) > 2 else rows
