"""Columns of rows that are already typed: from JSON, Parquet or a database."""

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, cast

import attrs

from databox.errors import InvalidRecordError
from databox.files.column import Column, Reading, shown
from databox.files.columns import declared_reader
from databox.files.typed import as_text, kind_of, typed_reader
from databox.wording import message, setting, words_of

__all__ = ["columns_of", "converted"]


_EMPTY = "no value in the sample"


def columns_of(
    rows: Sequence[Any],
    reading: Reading,
    texts: Collection[str],
    known: Sequence[Column] | None = None,
    remedy: str | None = None,
) -> Iterator[Column]:
    """Yield the columns of the first rows.

    Args:
        rows: the rows.
        reading: the caller's options.
        texts: columns whose numbers become text, because they have more digits than a number holds.
        known: the columns, if their source describes them.
        remedy: how to get one type if a column has several; by default, to declare it.
    """
    seen: dict[str, dict[str, Any]] = {column.name: {} for column in known or ()}
    types = {column.name: column for column in known or ()}
    for row in cast("Sequence[dict[str, Any]]", rows):
        for name, value in row.items():
            kinds = seen.setdefault(name, {})
            if value is not None:
                kinds.setdefault("text" if name in texts else kind_of(value), value)
    for name, kinds in seen.items():
        value = next(iter(kinds.values()), None)
        example = "" if value is None else shown(_as_sent(value))
        if name in reading.declared:
            kind = reading.declared[name].partition(":")[0]
            with contextlib.suppress(ValueError):  # raised with its row when that is read
                example = "" if value is None else shown(_as_sent(_reader(reading, name)(value)))
            yield Column(name=name, type=kind, note="declared", example=example)
        elif name in texts:
            yield Column(name=name, type="text", note="kept as text: too long for an exact number", example=example)
        elif name in types:
            yield attrs.evolve(types[name], example=example, note="" if kinds else _EMPTY)
        else:
            declare = message("to read text, use ", setting("columns", {name: "text"}))
            note = message("mixed types: ", remedy or declare) if len(kinds) > 1 else ""
            note = note if kinds else _EMPTY
            yield Column(name=name, type=" or ".join(kinds) or "empty", note=note, example=example)


def _as_sent(value: Any) -> str:
    """A value as it is sent, for a preview."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, float) else as_text(value)


def converted(
    name: str, rows: Iterator[Any], reading: Reading, misfits: str, counted: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Return rows with the declared columns converted, and null words as null."""
    readers = {column: _reader(reading, column) for column in reading.declared}
    if not readers and len(reading.nulls) == 1:
        return rows
    return _each(name, rows, readers, reading, misfits, counted)


def _reader(reading: Reading, column: str) -> Callable[[Any], Any]:
    """The function that reads the values of a declared column."""
    kind = reading.declared[column]
    return typed_reader(kind.partition(":")[0], declared_reader(kind, reading), is_declared=True)


def _each(
    name: str, rows: Iterator[Any], readers: Mapping[str, Any], reading: Reading, misfits: str, counted: Counter[str]
) -> Iterator[dict[str, Any]]:
    named = frozenset(reading.nulls) - {""}
    for index, row in enumerate(rows):
        for column, value in row.items():
            if isinstance(value, str) and value in named:
                row[column] = None
            elif column in readers and value is not None and value == value:  # not NaN, which means null
                try:
                    row[column] = readers[column](value)
                except ValueError as problem:
                    if misfits == "raise":
                        raise InvalidRecordError(
                            message(
                                f"{name}, row {index + 1:,}, column {column!r}: {as_text(value)!r} ",
                                words_of(problem),
                                f". The column was declared as {reading.declared[column]}. Correct the value, or read "
                                "such values as null with ",
                                setting("misfits", "null"),
                                ".",
                            ),
                            index=index,
                            column=column,
                        ) from None
                    row[column] = None
                    counted[column] += 1
        yield row
