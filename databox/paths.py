"""Whether a file can be created at a path, as far as its name and its folder tell."""

import os
from pathlib import Path

from databox.wording import Message, message

__all__ = ["is_possible", "lack_at"]

_TILDE = Message(
    'A "~" is not expanded: pass path.expanduser().',
    'The shell expands a "~" only at the start of a word: write a space before it, not "=".',
)


def lack_at(path: Path) -> Message | None:
    """Return why no file can be created there and what to do about it, or None if the folder is not at fault."""
    if os.path.isdir(path):  # unlike Path.is_dir, it never raises
        return Message("it is a folder. Name a file in it.")
    if os.path.isdir(path.parent):
        return None
    return message(f"there is no folder {path.parent}. ", _TILDE if "~" in path.parts else "Make it first.")


def is_possible(path: Path) -> bool:
    """Return whether the system can have a file of this name: without null characters and halves of surrogate pairs."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False
