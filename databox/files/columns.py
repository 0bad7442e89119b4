"""The type of each column of a file, from a sample of its cells or from the caller's options."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import attrs

from databox.errors import InvalidRecordError
from databox.files.column import DECLARABLE, Column, Decision, Reading, shown
from databox.files.dates import DateForm, Order, date_reader, form_of, loose_dates, plain_dates, with_format
from databox.files.numerals import Mark, loose_number, marks_of, plain_numbers, strict_number
from databox.files.typed import typed_reader, with_types
from databox.files.words import ask_about_words, means_nothing
from databox.misuse import ArgumentValueError
from databox.wording import message, setting, words_of

__all__ = ["decide", "declared_reader"]

_NEARLY = 0.8
"""The share of fitting cells from which on to report what keeps the others from being a number or a date."""

_WITH_SIGN = frozenset("$€£¥%")
_LONG_NUMBER = re.compile(r"[-−]?[\d.,\s'’]+(?:[eE][+-]?\d+)?")
_TRUE, _FALSE = {"true", "yes", "y", "1", "t"}, {"false", "no", "n", "0", "f"}


def decide(
    where: str, names: Sequence[str], sample: Sequence[tuple[int, Sequence[Any]]], reading: Reading, delimiter: str = ""
) -> list[Decision]:
    """Return the type of each column.

    Args:
        where: the file, and the unit in which its rows are counted, for errors.
        names: the column names.
        sample: numbers and cells of the first rows. A cell is text, or has the type that a sheet gave it.
        reading: the caller's options.
        delimiter: a comma as delimiter makes a comma unlikely as decimal mark.

    Raises:
        InvalidRecordError: days and months, or thousands and fractions, cannot be told apart; a value is not what
            its column was declared to be; or a word that may mean nothing keeps a column from being of numbers.
    """
    known = set(names)
    unknown = [name for name in reading.declared if name not in known]
    if unknown:
        raise InvalidRecordError(
            f"{where.rpartition(',')[0]} has no column {unknown[0]!r}. It has: {', '.join(map(repr, names))}.",
            column=unknown[0],
        )
    nulls = reading.nulls
    texts: list[list[tuple[int, str]]] = [[] for _ in names]
    typed: list[list[tuple[int, Any]]] = [[] for _ in names]
    for line, row in sample:
        for place, cell in enumerate(row):
            if not isinstance(cell, str):
                if cell is not None:
                    typed[place].append((line, cell))
            elif (bare := cell.strip()) not in nulls:
                texts[place].append((line, bare))
    for name, words, values in zip(names, texts, typed, strict=True):
        if name not in reading.declared:
            ask_about_words(where, name, words, values)
    open_columns = {
        name: [cell for _, cell in found]
        for name, found in zip(names, texts, strict=True)
        if found and name not in reading.declared
    }
    context = _Context(where, reading, delimiter, open_columns)
    return [context.decide(*column) for column in zip(names, texts, typed, strict=True)]


def declared_reader(kind: str, reading: Reading) -> Callable[[str], Any] | None:
    """Return the function that reads the cells of a declared column.

    Raises:
        ValueError: there is no such type.
    """
    kind, _, pattern = kind.partition(":")
    if kind not in DECLARABLE or (pattern and kind not in {"date", "datetime"}):
        raise ArgumentValueError(f"{kind!r} is not a column type. Use one of {', '.join(DECLARABLE)}, date:FORMAT.")
    pattern = pattern or reading.date_format or ""
    match kind:
        case "number":
            return loose_number(reading.decimal)
        case "date" | "datetime" if pattern:
            return with_format(pattern)
        case "date" | "datetime":
            return loose_dates(reading.order, has_time=kind == "datetime")
        case "boolean":
            return _truth
        case _:
            return None


class _Context:
    """Conclusions from all columns of a file."""

    def __init__(self, where: str, reading: Reading, delimiter: str, columns: Mapping[str, list[str]]) -> None:
        self._where, self._reading, self._delimiter = where, reading, delimiter
        self._formatted = {name for name, cells in columns.items() if self._has_format(cells)}
        self._forms: dict[str, DateForm] = {}
        self._marks: dict[str, tuple[frozenset[Mark], bool]] = {}
        for name, cells in columns.items():
            if name in self._formatted:
                continue
            form = form_of(cells, reading.order)
            if form:
                self._forms[name] = form
                continue
            possible, matters = marks_of(cells)
            if reading.decimal:
                possible &= {reading.decimal}
            if possible:
                self._marks[name] = possible, matters
        self._telling: dict[Order, str] = {}
        """The first column that determines an order of day and month, for each order."""
        for name, form in self._forms.items():
            if form.order:
                self._telling.setdefault(form.order, name)
        # The decimal mark on which the columns with only one possibility agree.
        sure: set[Mark] = {next(iter(possible)) for possible, _ in self._marks.values() if len(possible) == 1}
        self._mark_of_the_file: Mark | None = sure.pop() if len(sure) == 1 else None

    def decide(self, name: str, cells: Sequence[tuple[int, str]], typed: Sequence[tuple[int, Any]] = ()) -> Decision:
        """Return the type of a column, from its text cells and its typed cells."""
        kind = self._reading.declared.get(name)
        if kind is not None:
            return self._declared(name, kind, [*cells, *typed])
        if typed:
            return with_types(self._where, name, self._by_text(name, cells) if cells else None, typed)
        return self._by_text(name, cells)

    def _by_text(self, name: str, cells: Sequence[tuple[int, str]]) -> Decision:
        if not cells:
            return Decision(Column(name=name, type="empty", note="no value in the sample"), _unknown)
        first = cells[0][1]
        if name in self._formatted and self._reading.date_format:
            read: Callable[[str], Any] = with_format(self._reading.date_format)
            return _made(name, read, first, f"by {self._reading.date_format}")
        if name in self._forms:
            return self._dates(name, self._forms[name], cells)
        if name in self._marks:
            return self._numbers(name, cells)
        note = self._near_miss(name, cells)
        return Decision(Column(name=name, type="text", note=note, example=shown(first)), None)

    def _declared(self, name: str, kind: str, cells: Sequence[tuple[int, Any]]) -> Decision:
        read = declared_reader(kind, self._reading)
        kind = kind.partition(":")[0]
        if not all(isinstance(cell, str) for _, cell in cells):
            read = typed_reader(kind, read, is_declared=True)
        example: str = str(cells[0][1]) if cells else ""
        if read is not None and cells:
            try:
                value = read(cells[0][1])
                example = str(value).lower() if isinstance(value, bool) else str(value)
            except ValueError as problem:
                line, cell = cells[0]
                raise InvalidRecordError(
                    message(
                        f"{self._where} {line}, column {name!r}: {shown(str(cell))!r} ",
                        words_of(problem),
                        f". The column was declared as {kind}.",
                    ),
                    column=name,
                ) from None
        return Decision(Column(name=name, type=kind, note="declared", example=shown(example)), read)

    def _dates(self, name: str, form: DateForm, cells: Sequence[tuple[int, str]]) -> Decision:
        note = {"day": "day first", "month": "month first"}.get(form.order or "", "")
        if form.needs_order:
            # Dates of the same form in one file have the same order.
            if len(self._telling) != 1:
                line, cell = cells[0]
                raise InvalidRecordError(
                    message(
                        f"{self._where} {line}, column {name!r}: {cell!r} may have the day or the month first, and no "
                        "other date in the column shows which. Use ",
                        setting("dayfirst", True),
                        " or ",
                        setting("dayfirst", False),
                        ", or give the whole format, such as ",
                        setting("date_format", "%d/%m/%Y"),
                        ".",
                    ),
                    column=name,
                )
            order, other = next(iter(self._telling.items()))
            form = attrs.evolve(form, order=order, needs_order=False)
            note = f"{order} first, as in {other}"
        return _made(name, date_reader(form), cells[0][1], note, plain_dates(form))

    def _numbers(self, name: str, cells: Sequence[tuple[int, str]]) -> Decision:
        possible, matters = self._marks[name]
        mark = next(iter(possible)) if len(possible) == 1 else self._mark_of_the_file
        if mark is None and self._delimiter == "," and not (matters and any("," in cell for _, cell in cells)):
            mark = "."  # in the form that programs write
        if matters and mark is None:
            line, cell = next((line, cell) for line, cell in cells if "." in cell or "," in cell)
            raise InvalidRecordError(
                message(
                    f"{self._where} {line}, column {name!r}: the mark in {cell!r} may separate thousands or decimals, "
                    "and no other number in the column shows which. Set the decimal mark: ",
                    setting("decimal", ","),
                    " or ",
                    setting("decimal", "."),
                    ".",
                ),
                column=name,
            )
        note = "decimal comma" if matters and mark == "," else ""
        if not matters and all(len(cell) == 8 for _, cell in cells) and _all_compact_dates(cells):
            note = message("looks like dates; to read dates, use ", setting("columns", {name: "date:%Y%m%d"}))
        return _made(name, strict_number(mark), cells[0][1], note, plain_numbers(mark))

    def _has_format(self, cells: Sequence[str]) -> bool:
        if self._reading.date_format is None:
            return False
        read = with_format(self._reading.date_format)
        return all(_fits(read, cell) for cell in cells)

    def _near_miss(self, name: str, cells: Sequence[tuple[int, str]]) -> str:
        """The few values that keep a text column from having another type."""
        if all(means_nothing(cell) for _, cell in cells):
            nothing = setting("nulls", [cells[0][1]])
            return message("no other value; if it stands for a missing value, use ", nothing)
        if any(_has_leading_zero(cell) for _, cell in cells):
            return "kept as text: leading zeros" if all(c[:1].isdecimal() for _, c in cells) else ""
        misses = {
            "numbers": _misses(cells, lambda cell: bool(marks_of([cell])[0])),
            "dates": _misses(cells, lambda cell: form_of([cell], self._reading.order) is not None),
        }
        for what, missed in misses.items():
            if missed:
                line, cell = missed[0]
                unit = self._where.rpartition(" ")[2]
                return f"most are {what}, but not {shown(cell)!r} in {unit} {line:,}"
        if misses["numbers"] is not None:
            return "kept as text: decimal commas and points are mixed"
        if misses["dates"] is not None:
            return "kept as text: dates of several forms"
        if any(sum(map(str.isdecimal, cell)) > 15 and _LONG_NUMBER.fullmatch(cell) for _, cell in cells):
            return "kept as text: too long for an exact number"
        loose = loose_number(self._reading.decimal)
        if all(_fits(loose, cell) and not _WITH_SIGN.isdisjoint(cell) for _, cell in cells):
            number = setting("columns", {name: "number"})
            return message("kept as text; to read numbers without the signs, use ", number)
        if self._reading.order and form_of([cell for _, cell in cells]):
            return f"kept as text: dates, but not with the {self._reading.order} first"
        return ""


def _made(
    name: str,
    read: Callable[[str], Any],
    first: str,
    note: str,
    read_many: Callable[[Sequence[str]], Any] | None = None,
) -> Decision:
    value = read(first)
    kind = "number" if isinstance(value, int | float) else str(type(value).__name__)
    return Decision(Column(name=name, type=kind, note=note, example=shown(str(value))), read, read_many)


def _misses(cells: Sequence[tuple[int, str]], fits: Callable[[str], bool]) -> Sequence[tuple[int, str]] | None:
    """The cells that do not fit, if there are few; None if there are many, without checking all."""
    most = len(cells) - math.ceil(_NEARLY * len(cells))
    found = list(islice((each for each in cells if not fits(each[1])), most + 1))
    return found if len(found) <= most else None


def _unknown(cell: str) -> Any:
    raise ValueError("is the first value of a column that was empty before, so its type is not known")


def _truth(cell: str) -> bool:
    word = cell.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("is neither true nor false")


def _fits(read: Callable[[str], Any], cell: str) -> bool:
    try:
        read(cell)
    except ValueError:
        return False
    return True


def _has_leading_zero(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == "0" and cell.isdecimal()


def _all_compact_dates(cells: Sequence[tuple[int, str]]) -> bool:
    read = with_format("%Y%m%d")
    return all(_fits(read, cell) and 1900 <= int(cell[:4]) <= 2100 for _, cell in cells)
