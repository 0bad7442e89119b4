"""What a workbook says about its cells beyond the values that the library returns."""

import attrs

from databox.files.numerals import EXACT

__all__ = ["DIGIT", "Hidden", "Place", "long_number", "reference", "written"]

Place = tuple[int, int]
"""A cell's row, from 1, and column, from 0."""

DIGIT = "\0"
"""Where a digit goes in a mask."""


@attrs.frozen
class Hidden:
    """What the library does not say about a sheet's cells."""

    problems: dict[Place, str] = attrs.field(factory=dict)
    """An error such as #N/A, or "formula" for one without a result."""
    texts: dict[Place, str] = attrs.field(factory=dict)
    """The contents of cells for which the library returns something else: long whole numbers, line breaks."""
    masks: dict[int, str] = attrs.field(factory=dict)
    """By column: how its whole numbers are displayed, if with leading zeros."""
    merged: list[tuple[Place, Place]] = attrs.field(factory=list)
    """The first and last cells of merged ones; rows from 0, as the library has them."""

    def show_with(self, column: int, mask: str) -> None:
        """Record how a column's whole numbers are displayed: with as many digits as the longest of its masks has."""
        if mask.count(DIGIT) > self.masks.get(column, "").count(DIGIT):
            self.masks[column] = mask


def written(number: int, mask: str) -> str:
    """Return a number formatted by a mask."""
    width = mask.count(DIGIT)
    digits = f"{number:0{width}}"
    more = len(digits) - width  # the first position takes excess digits
    places = iter((digits[: more + 1], *digits[more + 1 :]))
    return "".join(next(places) if sign == DIGIT else sign for sign in mask)


def long_number(text: str) -> bool:
    """Whether a whole number, as a file has it, is more than a double holds exactly."""
    return text.removeprefix("-").isdecimal() and abs(int(text)) > EXACT


def column_number(letters: bytes) -> int:
    """Return the number of a column, from 1."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def reference(row: int, column: int) -> str:
    """Return a workbook's name of a cell, from a row and a column starting at 0."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"
