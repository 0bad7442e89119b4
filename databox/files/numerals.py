"""Numbers as people write them, and what a column of them says about the decimal mark."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Literal

__all__ = ["Mark", "loose_number", "marks_of", "strict_number"]

Mark = Literal[".", ","]
BOTH: frozenset[Mark] = frozenset({".", ","})

_MOST = 2**53
"""Above it, a number as most programs hold it is not exact, so what is longer is an identifier."""

_SPACES = " \u00a0\u202f\u2009'’"
# No leading zeros, no plus sign, and an exponent only as programs write it: 007, +49… and 1E5 are codes.
_STRICT = {
    mark: re.compile(
        rf"[-−]?(?:(?:0|[1-9]\d*|[1-9]\d{{0,2}}(?:(?P<group>[{other}{_SPACES}])\d{{3}})(?:(?P=group)\d{{3}})*)"
        rf"(?P<fraction>[{mark}]\d+)?|(?P<bare>[{mark}]\d+))(?P<exponent>[eE][+-]\d{{1,3}})?",
        re.ASCII,
    )
    for mark, other in ((".", ","), (",", "."))
}
_PLAIN = re.compile(r"[-−]?(?:0|[1-9]\d*)", re.ASCII)
_LOOSE = {
    mark: re.compile(
        rf"[+-]?(?:\d+|\d{{1,3}}(?:[{other}{_SPACES}]\d{{3}})+)?(?:[{mark}]\d*)?(?:[eE][+-]?\d+)?", re.ASCII
    )
    for mark, other in ((".", ","), (",", "."))
}
_SIGNS = re.compile(r"^(?:[A-Z]{3}|\$|€|£|¥)\s*|\s*(?:[A-Z]{3}|\$|€|£|¥|%)$")


def marks_of(cells: Iterable[str]) -> tuple[frozenset[Mark], bool]:
    """Return the decimal marks by which all cells are numbers, and whether the choice makes a difference."""
    possible, matters = BOTH, False
    for cell in cells:
        if _PLAIN.fullmatch(cell):
            fitting = BOTH
        else:
            fitting = frozenset(mark for mark in BOTH if _STRICT[mark].fullmatch(cell))
            matters = matters or "." in cell or "," in cell
        possible &= fitting
        if not possible or (len(cell) > 15 and not _is_exact(cell)):
            return frozenset(), matters
    return possible, matters


def strict_number(mark: Mark | None) -> Callable[[str], int | float]:
    """Return what reads the numbers of a column that was found to be of numbers.

    Without a mark only whole numbers are read, as nothing has said what a dot or a comma in it means.
    """
    pattern = _STRICT[mark] if mark else _PLAIN

    def read(cell: str) -> int | float:
        match = pattern.fullmatch(cell)
        if match is None or not _is_exact(cell):
            raise ValueError("is not such a number")
        return _value(cell, mark or ".", fractional=not cell.isdecimal())

    return read


def loose_number(mark: Mark | None) -> Callable[[str], int | float]:
    """Return what reads the numbers of a column that was declared to be of numbers.

    It takes leading zeros, a plus sign, a minus sign behind, parentheses for less than zero, currencies, and a percent
    sign, which does not change the number.
    """

    def read(cell: str) -> int | float:
        text = cell
        if text.startswith("(") and text.endswith(")"):
            text = "-" + text[1:-1].strip()
        text = _SIGNS.sub("", _SIGNS.sub("", text))
        if text.endswith(("-", "−")):
            text = "-" + text[:-1].strip()
        text = text.replace("−", "-")
        text = "-" + _SIGNS.sub("", text[1:].strip()) if text.startswith("-") else text
        fitting = [each for each in (".", ",") if _LOOSE[each].fullmatch(text) and any(map(str.isdigit, text))]
        if mark:
            fitting = [each for each in fitting if each == mark]
        values = {_value(text, each, fractional=True) for each in fitting}
        if not values:
            raise ValueError("is not a number" + (f" with {mark!r} as decimal mark" if mark else ""))
        if len(values) > 1:
            raise ValueError('may be thousands or a fraction: say which mark is the decimal one, decimal="," or "."')
        return values.pop()

    return read


def _is_exact(cell: str) -> bool:
    return not cell.lstrip("-−").isdecimal() or abs(int(cell.replace("−", "-"))) <= _MOST


def _value(cell: str, mark: str, *, fractional: bool) -> int | float:
    if not fractional:
        return int(cell)
    text = "".join(c for c in cell.replace("−", "-") if c in "+-eE" or c == mark or c.isdecimal()).replace(mark, ".")
    if not set(text) & set(".eE"):
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("is too large for a number")
    return value
