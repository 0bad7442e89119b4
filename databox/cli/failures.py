"""What the command says and returns when something goes wrong: one message and the right exit code."""

from typing import Any

import attrs
import typer

from databox.errors import APIError, APIStatusError, DataboxError
from databox.misuse import Misuse
from databox.wording import for_command, words_of

__all__ = ["REFUSED", "USAGE", "as_document", "exit_code", "is_foreseen", "words"]

REFUSED = 1
"""The API said no, or rows were lost."""
USAGE = 2


def as_document(error: Exception) -> dict[str, Any]:
    """Return an error in the API's own form."""
    document: dict[str, Any] = {"status": "error", "message": words(error)}
    if isinstance(error, APIStatusError):
        document |= {
            "statusCode": error.status_code,
            "requestId": error.request_id,
            "errors": [attrs.asdict(entry) for entry in error.errors],
        }
    return document


def exit_code(error: Exception) -> int:
    """Return 1 when the API said no or rows were lost, and 2 for wrong usage."""
    return REFUSED if isinstance(error, APIError) or type(error) is DataboxError else USAGE


def is_foreseen(error: Exception) -> bool:
    """Whether an error speaks to the person who typed the command; all others are faults of the program."""
    return isinstance(error, DataboxError | Misuse | OSError | ImportError | typer.BadParameter)


def words(error: BaseException) -> str:
    """Return what to tell the person who typed the command."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return for_command(words_of(error))
