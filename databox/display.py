r"""The one door for text from outside on its way to a person or a log.

Titles, cells, the names of columns and files, a server's words: any of them may hold characters that do something
rather than show. ESC and the C1 controls steer a terminal, line breaks forge lines of a log, bidirectional controls and
zero-width characters make one id look like another, and half a surrogate pair cannot be written at all. Here they
become what Python writes for them, such as `\x1b`: nothing happens, and nothing is hidden.
"""

import logging
import os
import re
import shlex
from unicodedata import category

__all__ = ["for_shell", "logger", "one_line", "visible", "visible_lines"]

# Letters and marks by their category, yet without an appearance: fillers, joiners, and selectors that can carry data.
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    """Return a text as one line in which every character shows, and none does anything.

    Blanks of any width stay, and so do all letters, signs and emoji.
    """
    if text.isprintable() and not _BLANK.search(text):
        return text
    return "".join(map(_shown, text))


def visible_lines(text: str) -> str:
    """Return a text of several lines, each of them as `visible` has it.

    Only for a text whose line breaks are ours.
    """
    return "\n".join(map(visible, text.split("\n")))


def one_line(words: str) -> str:
    """Return a quotation as one line, without what does not show; for long ones, in which the words matter alone."""
    kept = (c if c.isprintable() else " " if c.isspace() else "" for c in words)
    return " ".join("".join(kept).split())


def for_shell(word: str) -> str:
    r"""Return a word as it may be typed in a shell; what does not show as `$'\x1b'`, which bash, zsh and ksh read."""
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
    """Return the logger of a name, whose records are one visible line whatever they are about."""
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
