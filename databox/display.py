r"""The single gate for text from outside on its way to a person or a log.

Titles, cells, the names of columns and files, server messages: any of them may contain control characters.
ESC and the C1 controls control a terminal, line breaks forge log lines, bidirectional controls and
zero-width characters make one id look like another, and half a surrogate pair cannot be written. This module
replaces them with Python escapes such as `\x1b`: they have no effect, and remain visible.
"""

import logging
import os
import re
import shlex
from unicodedata import category

__all__ = ["for_shell", "logger", "one_line", "visible", "visible_lines"]

# Letters and marks by category, but invisible: fillers, joiners, and selectors that can carry data.
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    """Return a text as one line in which every character is visible and has no effect.

    Spaces of any width are kept, and so are all letters, symbols and emoji.
    """
    if text.isprintable() and not _BLANK.search(text):
        return text
    return "".join(map(_shown, text))


def visible_lines(text: str) -> str:
    """Return a text of several lines, each escaped by `visible`.

    Only for a text whose line breaks are our own.
    """
    return "\n".join(map(visible, text.split("\n")))


def one_line(words: str) -> str:
    """Return a quotation as one line, without invisible characters; for long ones, where only the words matter."""
    kept = (c if c.isprintable() else " " if c.isspace() else "" for c in words)
    return " ".join("".join(kept).split())


def for_shell(word: str) -> str:
    r"""Return a word quoted for a shell; invisible characters as `$'\x1b'`, which bash, zsh and ksh understand."""
    if visible(word) == word:
        return shlex.quote(word)
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}" for byte in os.fsencode(word))
    return f"$'{''.join(plain)}'"


def _shown(character: str) -> str:
    shows = _shows(character) or category(character) == "Zs"
    return character if shows else character.encode("unicode_escape").decode()


def _shows(character: str) -> bool:
    return character.isprintable() and not _BLANK.match(character)


def logger(name: str) -> logging.Logger:
    """Return the logger with this name, whose records are always a single line of visible characters."""
    log = logging.getLogger(name)
    if _arguments_show not in log.filters:
        log.addFilter(_arguments_show)
    return log


def _arguments_show(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            value if isinstance(value, int | float | None) else visible(value if isinstance(value, str) else str(value))
            for value in record.args
        )
    return True
