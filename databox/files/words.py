"""Words that people and programs write instead of a value."""

from collections.abc import Sequence
from typing import Any

from databox.errors import InvalidRecordError
from databox.files.column import shown
from databox.files.dates import form_of
from databox.files.numerals import marks_of
from databox.wording import message, setting

__all__ = ["ERRORS", "ask_about_words", "means_nothing"]

ERRORS = frozenset({"#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"})
"""What a sheet displays if a formula has no result."""
_WORDS = frozenset(
    {
        *(error.lower() for error in ERRORS),
        *("n/a", "na", "n.a.", "n. a.", "#na", "<na>", "nan", "-nan", "nat", "null", "(null)", "<null>", "nil", "none"),
        *("(none)", "\\n", "-", "--", "---", "–", "—", ".", "..", "...", "…", "?", "??", "unknown", "missing"),
        *("not available", "not applicable", "no data", "(blank)", "blank", "empty", "undefined", "tbd", "void", "nd"),
        *("k.a.", "k. a.", "keine angabe", "n.v.", "n.d.", "s/o", "nc", "sin datos", "brak", "invalid date"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "inf", "-inf", "infinity", "-infinity"),
    }
)


def means_nothing(cell: str) -> bool:
    """Whether a cell has a word for a missing value."""
    return cell.strip().lower() in _WORDS


def ask_about_words(where: str, name: str, texts: Sequence[tuple[int, str]], typed: Sequence[tuple[int, Any]]) -> None:
    """Raise if such words are all that keeps a column from being numbers or dates.

    Args:
        where: the file, and the unit in which its rows are counted.
        name: the column's.
        texts: its text cells, with their rows' numbers.
        typed: its typed cells.

    Raises:
        InvalidRecordError: the column would be text because of them, and its numbers be rejected later.
    """
    words = [(line, cell) for line, cell in texts if means_nothing(cell)]
    if not words:
        return
    rest = [cell for _, cell in texts if not means_nothing(cell)]
    if not rest and not any(not isinstance(value, bool) for _, value in typed):
        return
    kind = "numbers" if rest == [] or marks_of(rest)[0] else "dates" if form_of(rest) else None
    if kind is None:
        return
    line, word = words[0]
    said = list(dict.fromkeys(cell for _, cell in words))[:5]
    raise InvalidRecordError(
        message(
            f"{where} {line}, column {name!r}: without {shown(word)!r}, the column would be {kind}. If it stands for a "
            "missing value, use ",
            setting("nulls", said),
            "; to read the column as text, use ",
            setting("columns", {name: "text"}),
            ".",
        ),
        column=name,
    )
