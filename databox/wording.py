"""Messages with two spellings: arguments for whoever writes Python, options for whoever types the command."""

from collections.abc import Mapping
from typing import Any

from databox.display import for_shell, visible

__all__ = ["Message", "for_command", "message", "row_at", "setting", "words_of"]

_OPTIONS = {"columns": "column", "nulls": "null", "params": "param"}
"""Options that are named otherwise than the arguments: each is given once for each entry."""


class Message(str):
    """What a Python program is told; `for_command` is the same for the command. Both are one visible line."""

    for_command: str

    def __new__(cls, python: str, command: str | None = None) -> "Message":
        made = super().__new__(cls, visible(python))
        made.for_command = visible(python if command is None else command)
        return made


def message(*parts: str) -> Message:
    """Return a message made of parts; those that are messages themselves keep both spellings."""
    return Message("".join(parts), "".join(map(for_command, parts)))


def for_command(text: str) -> str:
    """Return what the command says; a text that has one spelling is that itself."""
    return text.for_command if isinstance(text, Message) else text


def words_of(error: BaseException) -> str:
    """Return an error's message with both its spellings, which `str(error)` has not."""
    return error.args[0] if error.args and isinstance(error.args[0], str) else str(error)


def setting(name: str, value: Any = ...) -> Message:
    """Return how to set something: `pad=True` in Python, `--pad` in the command.

    Args:
        name: the argument's.
        value: what to set it to; its name alone without.
    """
    option = f"--{_OPTIONS.get(name, name).replace('_', '-')}"
    if value is ...:
        return Message(name, option)
    return Message(f"{name}={value!r}", _option(option, value))


def row_at(index: int, word: str = "row") -> Message:
    """Return how a row is called: in Python by its index, which counts from 0; in the command rows count from 1."""
    return Message(f"{word} {index}", f"{word} {index + 1:,}")


def _option(option: str, value: Any) -> str:
    match value:
        case True:
            return option
        case False:
            return f"--no-{option.removeprefix('--')}"
        case Mapping():
            return " ".join(f"{option} {for_shell(f'{key}={each}')}" for key, each in value.items())  # pyright: ignore[reportUnknownVariableType]
        case list() if option == "--header":
            return f"{option} {for_shell(','.join(value))}"  # pyright: ignore[reportUnknownArgumentType]
        case list():
            return " ".join(_option(option, each) for each in value)  # pyright: ignore[reportUnknownVariableType]
        case _:
            text = str(value)
            # A lone sign is quoted, so that it is told from the sentence's own.
            word = (
                for_shell(text) if any(map(str.isalnum, text)) or "'" in text or not text.isprintable() else f"'{text}'"
            )
            return f"{option}={word}" if text.startswith("-") else f"{option} {word}"
