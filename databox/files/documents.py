"""JSON and JSON Lines to rows, one at a time."""

import importlib
import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO, cast

import orjson

from databox.errors import InvalidRecordError
from databox.files.source import BLOCK, Encoded, Source, missing
from databox.files.text import lines

__all__ = ["holds_lines", "json_lines", "json_rows"]

_LONG = re.compile("[0-9][0-9.]{15}")
"""Digits in a row that may be a number which no float holds; orjson would make it the nearest one."""


def json_lines(source: Source, encoding: str) -> Iterator[Any]:
    """Yield the rows of a file with one JSON object a line; empty lines are passed over.

    Raises:
        InvalidRecordError: a line is no JSON object.
    """
    for number, line in enumerate(lines(source, source.stream(), encoding), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
            if _LONG.search(line):
                row = json.loads(line, parse_float=_exact)
        except orjson.JSONDecodeError as error:
            raise InvalidRecordError(
                f"{source.name}, line {number:,} is not JSON: {error}. JSON Lines has one whole object in each line; "
                "for an array over several lines say format='json' (--format json)."
            ) from None
        yield _checked(row, f"{source.name}, line {number:,}")


def json_rows(source: Source, encoding: str) -> Iterator[Any]:
    """Yield the rows of a JSON array, or of the array under `records` in an object, as they are read.

    Raises:
        InvalidRecordError: it is something else, or not JSON to its end.
        ImportError: the library for it is not installed.
    """
    try:
        ijson: Any = importlib.import_module("ijson")
    except ImportError:
        raise missing("ijson", "files", "JSON arrays") from None
    stream: BinaryIO = source.stream()
    if encoding not in {"utf-8", "utf-8-sig"}:
        text = io.TextIOWrapper(stream, encoding)
        stream = cast("BinaryIO", io.BufferedReader(Encoded(text), BLOCK))
    elif encoding == "utf-8-sig" and source.head.startswith(b"\xef\xbb\xbf"):
        stream.read(3)
    start = source.head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")[:1]
    place = {"[": "item", "{": "records.item"}.get(start)
    if place is None:
        what = "is empty" if not start else f"begins with {start!r}"
        raise InvalidRecordError(f"{source.name} {what}, and a JSON file of rows is an array of objects.")
    count = 0
    try:
        for row in ijson.items(stream, place, use_float=True):
            yield _checked(row, f"{source.name}, row {count:,}")
            count += 1
    except (ijson.JSONError, UnicodeError) as error:
        said = " ".join(str(error).split())
        raise InvalidRecordError(f"{source.name} is not JSON after its first {count:,} rows: {said}.") from None
    if place == "records.item" and not count:
        raise InvalidRecordError(
            f"{source.name} is a JSON object without rows in `records`. A file of rows is an array of objects, or has "
            "one object in each line (format='jsonl', --format jsonl)."
        )


def holds_lines(start: str) -> bool:
    """Whether JSON that begins with an object is one object a line."""
    first, _, rest = start.strip().partition("\n")
    try:
        row: Any = orjson.loads(first)
    except orjson.JSONDecodeError:
        return False
    return bool(rest) or type(row.get("records")) is not list


def _exact(number: str) -> float | Decimal:
    """A number as a float where that is the same number."""
    exact, nearest = Decimal(number), float(number)
    return nearest if Decimal(repr(nearest)) == exact else exact


def _checked(row: Any, where: str) -> Any:
    if isinstance(row, dict):
        return cast("dict[str, Any]", row)
    shown = json.dumps(row, default=str)[:40]
    raise InvalidRecordError(f"{where} is {shown}, not an object from column to value.")
