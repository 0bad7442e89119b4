"""Reads a workbook's sheet into rows of cells."""

import importlib
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, BinaryIO

from databox.errors import InvalidRecordError
from databox.files.doubts import Line
from databox.files.hidden import Hidden, reference, written
from databox.files.numerals import EXACT
from databox.files.opendocument import look_into_ods
from databox.files.soundness import unsound
from databox.files.source import Source, missing
from databox.files.workbook import DAMAGES, errors_in, look_into, may_show_zeros
from databox.wording import message, setting

__all__ = ["Sheet"]


class Sheet:
    """The rows of a sheet. The library holds all of its cells in memory.

    Args:
        source: the workbook.
        sheet: the sheet's name, or its number, starting at 0; None for the only one with rows.
        skip_lines: rows before the table.
        nulls: texts that mean null, including errors of formulas.

    Raises:
        InvalidRecordError: it is not a workbook, or the caller has to choose a sheet.
        ImportError: python-calamine is not installed.
    """

    typed = True
    delimiter = ""

    def __init__(self, source: Source, sheet: str | int | None, skip_lines: int | None, nulls: Collection[str]) -> None:
        try:
            calamine: Any = importlib.import_module("python_calamine")
        except ImportError:
            raise missing("python-calamine", "excel", "workbooks") from None
        self._name, self._nulls = source.name, nulls
        self._skip = skip_lines or 0
        self.blank = 0
        self.notes: list[str] = []
        stream = source.seekable()
        self._check(stream)
        try:
            workbook = calamine.CalamineWorkbook.from_filelike(stream)
            self._sheet, self.title = _chosen(source.name, workbook, sheet)
        except calamine.CalamineError as error:
            said = " ".join(str(error).split())
            raise InvalidRecordError(f"{source.name} is not a workbook that can be read: {said}.") from None
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # how the library gives up at what it did not foresee
                raise
            raise self._damaged("what it says of its parts is not so") from None
        self.where = f"{source.name}, sheet {self.title!r}, row"
        self._hidden = self._look_into(stream)

    def sample(self, most: int) -> tuple[list[Line], bool]:
        """Return the first non-empty rows, and whether they are all."""
        found = list(islice(self.rows(), most))
        return found, len(found) < most

    def rows(self) -> Iterator[Line]:
        """Yield all non-empty rows, with their numbers.

        Raises:
            InvalidRecordError: a cell is an error, or a formula whose result the file does not have.
        """
        first_column = (self._sheet.start or (0, 0))[1]
        hidden = self._hidden
        for row, cells in enumerate(self._sheet.iter_rows(), 1):
            if row <= self._skip:
                continue
            values = [_value(cell) for cell in cells]
            if hidden:
                for place in range(len(values)):
                    values[place] = self._revealed(hidden, row, first_column + place, values[place])
            if any(value is not None for value in values):
                yield row, values
            else:
                self.blank += 1

    def check_merged(self, header: int) -> None:
        """Refuse merged cells below the header: only the first one has the value, but it may be meant for all.

        Raises:
            InvalidRecordError: there are some.
        """
        for first, last in self._sheet.merged_cell_ranges or (self._hidden and self._hidden.merged) or ():
            if last[0] + 1 > max(header, self._skip):
                area = f"{reference(*first)}:{reference(*last)}"
                raise InvalidRecordError(
                    f"{self.where.rpartition(',')[0]}: the cells {area} are merged, so it is not clear "
                    "whether their value counts once or for each row. Unmerge them in the workbook, and fill in each "
                    "row's value."
                )

    def _revealed(self, hidden: Hidden, row: int, column: int, value: Any) -> Any:
        """A cell as displayed by the workbook, which the library does not return."""
        if (row, column) in hidden.texts:
            return hidden.texts[row, column]
        mask = hidden.masks.get(column)
        if mask and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return written(value, mask)
        problem = hidden.problems.get((row, column))
        if problem is None:
            return value
        if problem in self._nulls:
            return None
        where = f"{self.where} {row:,}, cell {reference(row - 1, column)}"
        if problem != "formula":
            nothing = setting("nulls", [problem])
            raise InvalidRecordError(
                message(f"{where} is the error {problem}. If it stands for a missing value, use ", nothing, ".")
            )
        raise InvalidRecordError(
            f"{where} has a formula, but the file does not have its result. Open the workbook in a program that "
            "calculates, and save it."
        )

    def _check(self, stream: BinaryIO) -> None:
        try:
            problem = unsound(stream)
        except DAMAGES as error:
            raise self._damaged(error) from None
        stream.seek(0)
        if problem:
            raise InvalidRecordError(f"{self._name} {problem}")

    def _damaged(self, what: object) -> InvalidRecordError:
        return InvalidRecordError(
            f"{self._name} is damaged: {' '.join(str(what).split()).rstrip('.')}. Create or download it again."
        )

    def _look_into(self, stream: BinaryIO) -> Hidden | None:
        try:
            hidden = look_into(stream, self.title) or look_into_ods(stream, self.title)
            shows_zeros = hidden is None and may_show_zeros(stream)
            errors = errors_in(stream) if hidden is None else []
        except DAMAGES as error:
            raise self._damaged(error) from None
        if shows_zeros:
            self.notes.append(
                "The workbook has number formats with leading zeros, such as 00000, but this file format does not say "
                "which cells have them, so numbers come without. Save it as .xlsx to read them as shown."
            )
        if errors is None:
            self.notes.append(
                "Cells with errors such as #N/A cannot be told from empty ones in this format. Save the workbook as "
                ".xlsx to be asked about them."
            )
        elif asked := [error for error in errors if error not in self._nulls]:
            raise InvalidRecordError(
                message(
                    f"{self._name} has cells with the error {asked[0]}, which cannot be told from empty ones in this "
                    "format. If they stand for missing values, use ",
                    setting("nulls", asked),
                    "; or save the workbook as .xlsx to see which cells they are.",
                )
            )
        return hidden


def _chosen(name: str, workbook: Any, wanted: str | int | None) -> tuple[Any, str]:
    """The sheet to read."""
    titles: list[str] = list(workbook.sheet_names)
    if not titles:
        raise InvalidRecordError(f"{name} has no sheets.")
    listed = ", ".join(map(repr, titles))
    if wanted is None:
        filled = [title for title in titles if workbook.get_sheet_by_name(title).height]
        if len(filled) > 1:
            raise InvalidRecordError(
                message(
                    f"{name} has {len(filled)} sheets with rows: {', '.join(map(repr, filled))}. Choose one, such as ",
                    setting("sheet", filled[0]),
                    ".",
                )
            )
        wanted = filled[0] if filled else titles[0]
    elif wanted not in titles and str(wanted) in map(str, range(len(titles))):
        wanted = titles[int(wanted)]
    if wanted not in titles:
        raise InvalidRecordError(f"{name} has no sheet {wanted!r}. It has: {listed}, numbered from 0.")
    return workbook.get_sheet_by_name(wanted), str(wanted)


def _value(cell: Any) -> Any:
    """A cell's value; numbers, all of which a workbook holds as floats, as integers where they are whole."""
    if cell == "":
        return None
    if type(cell) is float and cell.is_integer() and -EXACT <= cell <= EXACT:
        return int(cell)
    return cell
