"""Where in a file a row stands, told by its place among the rows: for what goes wrong long after it was read."""

from array import array
from bisect import bisect_right

import attrs

from databox.display import visible

__all__ = ["Lines", "Place"]

MOST = 100_000
"""Jumps that are remembered; a row that stands behind more of them is told by its number alone."""


@attrs.frozen
class Place:
    """Where a row stands: `str` of it is for people, `line 12 of orders.csv`."""

    file: str
    unit: str
    """What is counted: `line`, or `row` where a file has no lines. Both count from 1."""
    number: int

    def __str__(self) -> str:
        return visible(" ".join((self.unit, format(self.number, ","), "of", self.file)))


class Lines:
    """The lines in which rows stand. Few places are kept: those where a line is not the one after the row's before."""

    def __init__(self) -> None:
        self._rows = array("q")
        self._offsets = array("q")
        self.rows = 0
        """How many rows there are so far."""
        self._is_whole = True

    def follow(self, line: int, rows: int = 1) -> None:
        """Some more rows stand in lines that follow one another, from this one on."""
        offset = line - self.rows
        if not self._offsets or self._offsets[-1] != offset:
            if len(self._rows) < MOST:
                self._rows.append(self.rows)
                self._offsets.append(offset)
            elif self._is_whole:
                self._is_whole = False
                self._last = self.rows
        self.rows += rows

    def of(self, row: int) -> int | None:
        """Return the line of a row, from 1; None where it is not known."""
        if row >= self.rows or (not self._is_whole and row >= self._last):
            return None
        return row + self._offsets[bisect_right(self._rows, row) - 1]
