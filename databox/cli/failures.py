"""What the command says and returns when something goes wrong: one message, no traceback, the right exit code."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

import attrs
import typer

from databox.cli.output import echo_error, echo_json
from databox.errors import APIError, APIStatusError, ConfigurationError, DataboxError, InvalidRecordError

__all__ = ["REFUSED", "USAGE", "as_document", "guarded"]

REFUSED = 1
"""The API said no, or rows were lost."""
USAGE = 2


def guarded(arguments: Sequence[str]) -> None:
    """Run the command and leave with its exit code."""
    from databox.cli.app import app_for

    # What the library warns of is for the person as well.
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr, force=True)
    as_json = "--json" in arguments
    try:
        app_for(arguments)(args=list(arguments), prog_name="databox", obj=list(arguments))
    except SystemExit as leaving:
        if leaving.code == USAGE and as_json and not _help_is_shown(arguments):
            echo_json({"status": "error", "message": "Wrong usage; standard error says what is wrong."})
        raise
    except (DataboxError, OSError, ImportError, LookupError, TypeError, ValueError) as error:
        if not _is_foreseen(error):
            raise
        if as_json:
            echo_json(as_document(error))
        echo_error(_words(error))
        sys.exit(REFUSED if isinstance(error, APIError) or type(error) is DataboxError else USAGE)


def as_document(error: Exception) -> dict[str, Any]:
    """Return an error in the API's own form."""
    document: dict[str, Any] = {"status": "error", "message": _words(error)}
    if isinstance(error, APIStatusError):
        document |= {
            "statusCode": error.status_code,
            "requestId": error.request_id,
            "errors": [attrs.asdict(entry) for entry in error.errors],
        }
    return document


def _is_foreseen(error: Exception) -> bool:
    """Whether an error speaks to the person who typed the command; all others are faults of the program."""
    return isinstance(error, DataboxError | OSError | ImportError | typer.BadParameter) or _is_about_an_argument(error)


def _is_about_an_argument(error: Exception) -> bool:
    """Whether the library refused a value before it did anything, such as an empty id."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return module in {
        "databox.arguments",
        "databox.config",
        "databox.ingest.batch",
        "databox.ingest.settings",
        "databox.limits",
        "databox.files.columns",
        "databox.files.reader",
        "databox.files.text",
    }


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, ConfigurationError) and str(error).startswith("No API key"):
        return "No API key. Run `databox auth login`, or set DATABOX_API_KEY."
    if isinstance(error, InvalidRecordError | DataboxError):
        return str(error)
    return str(error.args[0] if error.args else error)


def _help_is_shown(arguments: Sequence[str]) -> bool:
    return "--help" in arguments
