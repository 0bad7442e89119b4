"""Numbers in common notations, and the decimal mark of a column."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal

import orjson

from databox.wording import message, setting

__all__ = ["EXACT", "Mark", "exact_text", "is_exact", "loose_number", "marks_of", "plain_numbers", "strict_number"]

Mark = Literal[".", ","]
BOTH: frozenset[Mark] = frozenset({".", ","})

EXACT = 2**53
"""Above it, most programs do not hold a number exactly, so anything longer is an identifier."""
_MOST_DIGITS = 400
"""No float has more before its point, and Python refuses to read thousands."""
_SURELY_EXACT = 15
"""The number of digits that every float holds."""

_WRITTEN_OUT = 400
"""Zeros that a number's text may have, instead of an exponent: more than any float needs."""

_SPACES = " \u00a0\u202f\u2009'’"
# No leading zeros, no plus sign, and an exponent only in the form that programs write: 007, +49… and 1E5 are codes.
_STRICT = {
    mark: re.compile(
        rf"[-−]?(?:(?:0|[1-9]\d*|[1-9]\d{{0,2}}(?:(?P<group>[{other}{_SPACES}])\d{{3}})(?:(?P=group)\d{{3}})*)"
        rf"(?P<fraction>[{mark}]\d+)?|(?P<bare>[{mark}]\d+))(?P<exponent>[eE][+-]\d{{1,3}})?",
        re.ASCII,
    )
    for mark, other in ((".", ","), (",", "."))
}
_PLAIN = re.compile(r"[-−]?(?:0|[1-9]\d*)", re.ASCII)
# What remains of numbers without the parts of plain ones: their grammar is JSON's, except for exponents.
_NOT_WHOLE = str.maketrans("", "", "-0123456789,")
_NOT_PLAIN = str.maketrans("", "", "-0123456789,.")
_LOOSE = {
    mark: re.compile(
        rf"[+-]?(?:\d+|\d{{1,3}}(?:[{other}{_SPACES}]\d{{3}})+)?(?:[{mark}]\d*)?(?:[eE][+-]?\d+)?", re.ASCII
    )
    for mark, other in ((".", ","), (",", "."))
}
_BEFORE = re.compile(r"(?:[A-Z]{3}|[$€£¥])\s*")
_BEHIND = re.compile(r"(?:[A-Z]{3}|[$€£¥%])\Z")


def is_exact(number: int | float | Decimal) -> bool:
    """Whether a JSON number, which most programs hold in a float, is this very number."""
    if isinstance(number, float):
        return True  # it is one
    if isinstance(number, int):
        return -EXACT <= number <= EXACT
    if not number.is_finite():
        return True
    if number.as_tuple().exponent == 0:
        return -EXACT <= number <= EXACT
    return Decimal(repr(float(number))) == number


def exact_text(number: object) -> str:
    """Return a number as text, with all its digits, and without a fraction if it is whole."""
    if isinstance(number, float) and number.is_integer() and abs(number) <= EXACT:
        return str(int(number))
    # An exponent of nine digits would be gigabytes of zeros.
    return (
        format(number, "f") if isinstance(number, Decimal) and abs(number.adjusted()) <= _WRITTEN_OUT else str(number)
    )


def marks_of(cells: Iterable[str]) -> tuple[frozenset[Mark], bool]:
    """Return the decimal marks with which all cells are numbers, and whether the choice makes a difference."""
    cells = list(cells)
    if all(cells) and plain_numbers(None)(cells):
        return BOTH, False
    possible, matters = BOTH, False
    for cell in cells:
        if _PLAIN.fullmatch(cell):
            fitting = BOTH
        else:
            fitting = frozenset(mark for mark in BOTH if _STRICT[mark].fullmatch(cell))
            matters = matters or "." in cell or "," in cell
        # A number that is not exact with one mark may be with the other: 1.000000000000000000,5 has 18 zeros or one.
        possible &= fitting if _is_short(cell) else {mark for mark in fitting if _holds(cell, mark)}
        if not possible:
            return frozenset(), matters
    return possible, matters


def strict_number(mark: Mark | None) -> Callable[[str], int | float]:
    """Return the function that reads the numbers of a column that was detected as numbers.

    Without a mark, only numbers without one are read, because the meaning of a dot or a comma is unknown.
    """
    pattern = _STRICT[mark or "."]

    def read(cell: str) -> int | float:
        if pattern.fullmatch(cell) is None:
            raise ValueError("is not a number in the format of the others")
        if mark is None and ("." in cell or "," in cell):
            raise ValueError("has a mark that may separate thousands or decimals, and no number before it shows which")
        if not _is_short(cell) and not _holds(cell, mark or "."):
            raise ValueError("has more digits than a number holds exactly")
        return _value(cell, mark or ".", fractional=not cell.isdecimal())

    return read


def plain_numbers(mark: Mark | None) -> Callable[[Sequence[str]], list[int | float | None] | None]:
    """Return the function that reads many program-written numbers at once; an empty cell is None.

    The function returns None if one of them has another form. Their grammar is JSON's, except for exponents, and a JSON
    parser is more than ten times as fast as reading them one by one.
    """
    other = _NOT_PLAIN if mark == "." else _NOT_WHOLE

    def read(cells: Sequence[str]) -> list[int | float | None] | None:
        text = ",".join(cells)
        if text.translate(other):
            return None
        if "" in cells:
            text = ",".join(cell or "null" for cell in cells)
        try:
            values: list[int | float | None] = orjson.loads(f"[{text}]")
        except ValueError:
            return None
        if len(values) != len(cells):  # a comma within a cell
            return None
        if max(map(len, cells)) > _SURELY_EXACT and not all(map(_is_the_same, cells, values)):
            return None
        return values

    return read


def loose_number(mark: Mark | None) -> Callable[[str], int | float]:
    """Return the function that reads the numbers of a declared number column.

    It accepts leading zeros, a plus sign, a trailing minus sign, parentheses for negative numbers, currencies, and a
    percent sign, which does not change the number.
    """

    def read(cell: str) -> int | float:
        text = cell
        if text.startswith("(") and text.endswith(")"):
            text = "-" + text[1:-1].strip()
        text = _without_signs(_without_signs(text))
        if text.endswith(("-", "−")):
            text = "-" + text[:-1].strip()
        text = text.replace("−", "-")
        text = "-" + _without_signs(text[1:].strip()) if text.startswith("-") else text
        fitting = [each for each in (".", ",") if _LOOSE[each].fullmatch(text) and any(map(str.isdigit, text))]
        if mark:
            fitting = [each for each in fitting if each == mark]
        values = {_value(text, each, fractional=True) for each in fitting}
        if values and not _is_short(text) and not all(_holds(text, each) for each in fitting):
            raise ValueError("has more digits than a number holds exactly, so it can only be text")
        if not values:
            raise ValueError("is not a number" + (f" with {mark!r} as decimal mark" if mark else ""))
        if len(values) > 1:
            marks = setting("decimal", ","), " or ", setting("decimal", ".")
            raise ValueError(message("may have thousands or decimals; set the decimal mark with ", *marks))
        return values.pop()

    return read


def _without_signs(text: str) -> str:
    """A number without the currency or percent sign at either end."""
    if before := _BEFORE.match(text):
        text = text[before.end() :]
    if behind := _BEHIND.search(text[-3:]):  # not in the whole text, where spaces would be tried one by one
        text = text[: -len(behind[0])].rstrip()
    return text


def _is_the_same(cell: str, value: int | float | None) -> bool:
    """Whether a number equals the text, digit for digit."""
    return len(cell) <= _SURELY_EXACT or (value is not None and str(value) == cell and is_exact(value))


def _is_short(cell: str) -> bool:
    """Whether the text is so short that the number is always exact."""
    return len(cell) <= _SURELY_EXACT and "e" not in cell and "E" not in cell


def _holds(cell: str, mark: str) -> bool:
    """Whether a float holds this number exactly."""
    text = _normal(cell, mark)
    if text.removeprefix("-").isdecimal():
        digits = text.lstrip("-0")
        return len(digits) < 17 and is_exact(int(digits or "0"))  # Python refuses to read thousands of them
    try:
        return Decimal(repr(float(text))) == Decimal(text)
    except InvalidOperation:  # an exponent out of range
        return False


def _normal(cell: str, mark: str) -> str:
    """The number as Python writes it."""
    text = "".join(c for c in cell.replace("−", "-") if c in "+-eE" or c == mark or c.isdecimal())
    return text.replace(mark, ".")


def _value(cell: str, mark: str, *, fractional: bool) -> int | float:
    if not fractional:
        return int(cell)
    text = _normal(cell, mark)
    if not set(text) & set(".eE"):
        if len(text.lstrip("+-0")) > _MOST_DIGITS:
            raise ValueError("has more digits than a number holds exactly, so it can only be text")
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("is too large for a number")
    return value
