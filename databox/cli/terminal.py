"""Standard output and standard error, for words: the only module that writes to either.

Whatever a title, a cell, a file's name or a server says is shown as it is: never read as markup, on the line where it
belongs, and without a character that does something to the terminal.
"""

import json
import logging
import re
import struct
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import attrs
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from databox.display import visible, visible_lines
from databox.wording import for_command

__all__ = [
    "Bar",
    "Head",
    "LogFormatter",
    "Part",
    "Terminal",
    "console",
    "echo_error",
    "echo_fault",
    "echo_json",
    "echo_line",
    "errors",
    "width_of",
]

Part = str | tuple[str, str]
"""Words, or words and the style that they have."""

_UNBOUNDED = 100_000
"""Columns of what is no terminal: nothing is cut off for a program that reads on."""
_WIDE = 80
"""Columns of a terminal from which on there is room for a bar."""
_BEYOND_ASCII = re.compile(r"[^\x00-\x7e]")


@attrs.frozen
class Head:
    """How one column of a table looks."""

    name: str = ""
    style: str | None = None
    folds: bool = False
    """Whether long values go on in further lines; else they are cut off where there is no room."""
    width: int | None = None
    """The most that it may take; None for as much as it needs."""


class Terminal:
    """Standard output or standard error."""

    def __init__(self, *, stderr: bool = False) -> None:
        self.is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
        width = None if self.is_terminal else _UNBOUNDED
        self._console = Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    @property
    def width(self) -> int:
        """How many columns there is room for."""
        return self._console.width

    def print(self, *parts: Part, whole: bool = False, end: str = "\n") -> None:
        """Print one line.

        Args:
            parts: what it is made of.
            whole: leave it to the terminal to break it where it is too long, so that it is copied as one line.
            end: what comes after it.
        """
        self._console.print(_text(parts), soft_wrap=whole, end=end)

    def table(
        self, columns: Sequence[Head], rows: Iterable[Sequence[Part]], *, head_style: str, indented: bool = False
    ) -> None:
        """Print rows, each value in its column."""
        table = Table(box=None, pad_edge=indented, header_style=head_style, padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(
                _text([column.name]),
                style=column.style,
                max_width=column.width,
                no_wrap=not column.folds,
                overflow="fold" if column.folds else "ellipsis",
            )
        for row in rows:
            table.add_row(*(_text([value]) for value in row))
        self._console.print(table)

    def bar(self) -> "Bar":
        """Return a bar that can be shown here."""
        words = TextColumn("{task.description}", markup=False)
        columns = [BarColumn(bar_width=20), words] if self.width >= _WIDE else [words]
        return Bar(Progress(*columns, console=self._console, transient=True))


class Bar:
    """A bar with words beside it, or the words alone; it goes away in the end."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("reading", total=None)

    def start(self) -> None:
        """Show it."""
        self._progress.start()

    def stop(self) -> None:
        """Remove it."""
        self._progress.stop()

    def show(self, share: float | None, words: str) -> None:
        """Show how much is done, 0 to 1, or that this is not known."""
        total = None if share is None else 1.0
        self._progress.update(self._task, total=total, completed=share or 0.0, description=visible(words))


def console() -> Terminal:
    """Return standard output."""
    return Terminal()


def errors() -> Terminal:
    """Return standard error, where everything goes that is not the result."""
    return Terminal(stderr=True)


def echo_error(message: str) -> None:
    """Say what went wrong."""
    terminal = errors()
    terminal.print(("Error: ", "bold red"), message, whole=not terminal.is_terminal)


def echo_json(document: Any) -> None:
    """Print the one JSON document; what could do something to a terminal stands in it as an escape of JSON's."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    print(_BEYOND_ASCII.sub(_as_json, text))


def echo_line(document: Any) -> None:
    """Print one of several JSON documents, in a line and at once."""
    text = json.dumps(document, ensure_ascii=False, default=str)
    print(_BEYOND_ASCII.sub(_as_json, text), flush=True)


def echo_fault(error: BaseException) -> None:
    """Show where in the program an error came from that it should have foreseen."""
    print(visible_lines("".join(traceback.format_exception(error)).rstrip()), file=sys.stderr)


class LogFormatter(logging.Formatter):
    """Writes records as visible lines, those of other libraries too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, as the command says it."""
        if isinstance(record.args, tuple):
            record.args = tuple(for_command(value) if isinstance(value, str) else value for value in record.args)
        return visible_lines(super().format(record))


def width_of(text: str) -> int:
    """Return how many columns a text takes."""
    return cell_len(visible(text))


def _as_json(match: re.Match[str]) -> str:
    """A character as it may stand in a JSON document that is shown."""
    character = match[0]
    if "\ud800" <= character <= "\udfff":
        return "\\" + visible(character)  # half a pair is refused by strict parsers, also as an escape
    if visible(character) == character and (sys.stdout.encoding or "utf-8").lower().startswith("utf"):
        return character
    return "".join(f"\\u{unit:04x}" for (unit,) in struct.iter_unpack(">H", character.encode("utf-16-be")))


def _text(parts: Iterable[Part]) -> Text:
    return Text.assemble(*(visible(part) if isinstance(part, str) else (visible(part[0]), part[1]) for part in parts))
