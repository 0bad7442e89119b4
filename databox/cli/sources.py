"""Where the rows of an ingest come from: files, standard input, the command line, or a query."""

import json
import os
import sys
from io import BytesIO
from typing import Any

import typer

from databox import InvalidRecordError, read_query
from databox.cli.values import params_of, query_of

__all__ = ["files_of", "rows_of"]


def files_of(paths: list[str], records: str | None) -> list[Any]:
    """Return the files to read."""
    if records is not None and paths:
        raise typer.BadParameter("either --records or files.", param_hint="--records")
    if records is not None:
        return [_inline(records)]
    if not paths and sys.stdin.isatty():
        raise typer.BadParameter("name a file, give --records, or pipe rows in.", param_hint="--file")
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        one = _identity(path)
        if one in seen:
            both = f"{seen[one]} and {path}"
            raise typer.BadParameter(
                f"{both} are one file, whose rows would be sent twice. Name it once.", param_hint="--file"
            )
        if one:
            seen[one] = path
    return list(paths) or ["-"]


def rows_of(database: str | None, query: str | None, params: list[str] | None, reading: dict[str, Any]) -> Any:
    """Return the rows of a query."""
    if query is None:
        raise typer.BadParameter("give the query, --query SQL or --query @FILE.", param_hint="--database")
    database = database or os.environ.get("DATABOX_DATABASE_URL")
    if not database:
        raise typer.BadParameter("name the database, --database URL or DATABOX_DATABASE_URL.", param_hint="--query")
    said = next((name for name, value in reading.items() if value and value != "raise"), None)
    if said:
        option = {"columns": "column", "nulls": "null"}.get(said, said).replace("_", "-")
        raise typer.BadParameter("is for files. In a query, say it in SQL: cast(… as …).", param_hint=f"--{option}")
    return read_query(database, query_of(query), params=params_of(params))


def _identity(path: str) -> tuple[int, int] | None:
    """What is the same for two names of one file; None where there is none, which opening it will tell."""
    try:
        status = os.fstat(sys.stdin.fileno()) if path == "-" else os.stat(path)
    except (OSError, ValueError):
        return (-1, -1) if path == "-" else None
    return status.st_dev, status.st_ino


class _Inline(BytesIO):
    """Rows that were typed on the command line."""

    name = "--records"


def _inline(text: str) -> BytesIO:
    """Rows that were typed on the command line, as a file.

    Raises:
        InvalidRecordError: it is no JSON array of objects, nor one object.
    """
    try:
        given: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRecordError(f"--records is not JSON: {error}.") from None
    is_array = text.lstrip().startswith("[")
    if {type(row) for row in (given if is_array else [given])} - {dict}:
        raise InvalidRecordError("--records is not a JSON array of objects, such as '[{\"id\": 1}]'.")
    # As they were typed: numbers that have passed through a float may be others.
    try:
        return _Inline((text if is_array else f"[{text}]").encode())
    except UnicodeEncodeError:  # the bytes from the shell are not UTF-8
        raise InvalidRecordError("--records is not UTF-8. Write it as UTF-8, or put it in a file.") from None
