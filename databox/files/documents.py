"""Reads JSON and JSON Lines into rows, one at a time."""

import importlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, cast

import orjson

from databox.errors import InvalidRecordError
from databox.files.column import MOST_COLUMNS, too_many
from databox.files.places import Lines
from databox.files.source import BLOCK, Encoded, Source, missing
from databox.files.text import lines
from databox.guard import DEEPEST, Guard, Unreadable, check
from databox.wording import message, setting

__all__ = ["holds_lines", "json_lines", "json_rows"]

_LONG = re.compile(r"[0-9][0-9.]{15}|[0-9][eE][-+]?[0-9]{2}")
"""A possible number that no float represents; orjson would round it."""
_NAME = re.compile(r'"[ \t]*:')
"""The end of a name and what follows it; text may also start this way."""
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|[^u])", re.DOTALL)


def json_lines(source: Source, encoding: str, at: Lines) -> Iterator[Any]:
    """Yield the rows of a file with one JSON object per line; empty lines are skipped. `at` records where they are.

    Raises:
        InvalidRecordError: a line is not a JSON object, or names a column twice.
    """
    for number, line in enumerate(lines(source, source.stream(), encoding), 1):
        if not line.strip():
            continue
        if number == 1:
            line = line.lstrip("\ufeff")
        where = f"{source.name}, line {number:,}"
        try:
            if line.count("[") + line.count("{") > DEEPEST:
                check(line.encode("utf-8", "surrogatepass"))
            row = orjson.loads(line)
            if _LONG.search(line):
                row = json.loads(line, parse_float=_number)
        except Unreadable as error:
            raise InvalidRecordError(f"{where} has {error}. {error.remedy}") from None
        except orjson.JSONDecodeError as error:
            raise InvalidRecordError(
                message(
                    f"{where} is not JSON: {error}. JSON Lines has one whole object on each line; for an array over "
                    "several lines, use ",
                    setting("format", "json"),
                    ".",
                )
            ) from None
        if type(row) is dict and len(_NAME.findall(line)) != len(cast("dict[str, Any]", row)):
            json.loads(line, object_pairs_hook=partial(_once, where))
        at.follow(number)
        yield _checked(row, where)


def json_rows(source: Source, encoding: str, rows_at: str | None = None) -> Iterator[Any]:
    """Yield the rows of a JSON array, of one within an object, or objects one after the other, as they are read.

    Args:
        source: the file.
        encoding: the codec's name.
        rows_at: where the array is in an object: names separated by dots. Defaults to `records`.

    Raises:
        InvalidRecordError: it is something else, or not valid JSON to its end, or a row names a column twice.
        ImportError: the library for it is not installed.
    """
    try:
        ijson: Any = importlib.import_module("ijson")
    except ImportError:
        raise missing("ijson", "files", "JSON arrays") from None
    start = source.head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    try:
        Guard().check(start.encode("utf-8", "replace"))
    except Unreadable as error:
        raise InvalidRecordError(f"{source.name} has {error}. {error.remedy}") from None
    if start[:1] not in {"[", "{"}:
        what = f"begins with {start[:1]!r}" if start else "is empty"
        raise InvalidRecordError(f"{source.name} {what}, but a JSON file of rows is an array of objects.")
    several = False
    if rows_at is None and start[0] == "{":
        several = _are_several(ijson, start)
        rows_at = None if several else _place_of_rows(ijson, source, start)
    stream: BinaryIO = source.stream()
    if encoding not in {"utf-8", "utf-8-sig"}:
        stream = cast("BinaryIO", io.BufferedReader(Encoded(io.TextIOWrapper(stream, encoding), source.name), BLOCK))
    count = 0
    place = "" if several else f"{rows_at}.item" if rows_at else "item"
    try:
        while stream.peek(3)[:3] == b"\xef\xbb\xbf":  # type: ignore[attr-defined]
            stream.read(3)
        for row in ijson.items(_Whole(stream), place, map_type=_Row, multiple_values=several):
            where = f"{source.name}, row {count + 1:,}"
            yield _plain(row, where)
            count += 1
    except Unreadable as error:
        where = f"{source.name}, after its first {count:,} rows,"
        raise InvalidRecordError(f"{where} has {error}. {error.remedy}") from None
    except (ijson.JSONError, UnicodeError) as error:
        said = " ".join(str(error).split())
        raise InvalidRecordError(f"{source.name} is not JSON after its first {count:,} rows: {said}.") from None
    if rows_at and not count and not _has_array(ijson, start, rows_at):
        raise InvalidRecordError(
            message(f"{source.name} has no array at {rows_at!r}. Set where its rows are with ", setting("rows_at"), ".")
        )


def holds_lines(start: str) -> bool:
    """Whether JSON that starts with an object has one object per line."""
    first, _, rest = start.strip().partition("\n")
    try:
        check(first.encode("utf-8", "surrogatepass"))
        row: Any = orjson.loads(first)
    except (Unreadable, orjson.JSONDecodeError):
        return False
    return bool(rest) or not any(_may_be_rows(value) for value in row.values())


def _may_be_rows(value: Any) -> bool:
    """Whether a value within an object may be its rows."""
    if isinstance(value, dict):
        return any(map(_may_be_rows, cast("dict[str, Any]", value).values()))
    return isinstance(value, list) and all(isinstance(each, dict) for each in cast("Any", value))


def _place_of_rows(ijson: Any, source: Source, start: str) -> str:
    """Where the rows are in an object.

    Raises:
        InvalidRecordError: not in `records`, so the caller has to say.
    """
    found = _arrays(ijson, start)
    if "records" in found:
        return "records"
    if not source.is_whole and not found:
        return "records"  # perhaps after something long
    if not found:
        raise InvalidRecordError(
            message(
                f"{source.name} is a JSON object without rows in `records`. A file of rows is an array of objects, or "
                "has one object on each line, ",
                setting("format", "jsonl"),
                ".",
            )
        )
    others = f" Other arrays are at {', '.join(map(repr, found[1:]))}." if len(found) > 1 else ""
    raise InvalidRecordError(
        message(
            f"{source.name} is one JSON object, with an array at {found[0]!r}. If these are the rows, use ",
            setting("rows_at", found[0]),
            f".{others}",
        )
    )


def _are_several(ijson: Any, start: str) -> bool:
    """Whether a document starts with two objects, one after the other."""
    try:
        objects: Iterator[Any] = ijson.items(_beginning(start), "", multiple_values=True)
        return sum(1 for _ in islice(objects, 2)) == 2
    except (ijson.JSONError, UnicodeError):
        return False


def _beginning(start: str) -> "_Whole":
    return _Whole(io.BytesIO(start.encode("utf-8", "replace")))


def _arrays(ijson: Any, start: str) -> list[str]:
    """The paths of arrays of objects in the beginning of a document, empty arrays last."""
    full: list[str] = []
    empty: list[str] = []
    before = ""
    try:
        for place, event, _ in ijson.parse(_beginning(start)):
            if event == "start_map" and place.endswith(".item") and ".item." not in place:
                full.append(place.removesuffix(".item"))
            elif event == "end_array" and before == "start_array":
                empty.append(place)
            before = event
    except (ijson.JSONError, UnicodeError):
        pass  # the beginning is truncated; real errors are found again later
    return list(dict.fromkeys([*full, *empty]))


def _has_array(ijson: Any, start: str, place: str) -> bool:
    return place in _arrays(ijson, start)


class _Row(dict[str, Any]):
    """A JSON object that records a duplicate name. (Raising within ijson is not safe.)"""

    twice: str | None = None

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self:
            self.twice = name
        super().__setitem__(name, value)


class _Whole:
    """The bytes of a JSON document that is safe to parse, also with ijson.

    ijson turns an escape for half of a surrogate pair into a question mark.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._guard = Guard()
        self._left = b""
        self._high: bytes | None = None
        """The first half of a pair, if the second has to follow immediately."""

    def read(self, size: int = -1) -> bytes:
        """Return some bytes.

        Raises:
            Unreadable: they are not safe to parse.
            UnicodeError: an escape among them stands for half of a surrogate pair.
        """
        blocks = [self._next(size)]
        while self._guard.text > BLOCK and blocks[-1]:  # ijson reads a string again with each block that continues it
            blocks.append(self._next(size))
        return b"".join(blocks)

    def _next(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._guard.check(data)
        if b"\\" in data or self._left or self._high:
            self._check(self._left + data)
        return data

    def _check(self, text: bytes) -> None:
        end = 0
        if self._high and not text.startswith(b"\\"):
            raise self._half(None)
        for escape in _ESCAPE.finditer(text):
            code = int(escape[1], 16) if escape[1] else 0
            if bool(self._high) != (0xDC00 <= code <= 0xDFFF):
                raise self._half(escape[1])
            self._high = escape[1] if 0xD800 <= code <= 0xDBFF else None
            end = escape.end()
            if self._high and end < len(text) and text[end : end + 1] != b"\\":
                raise self._half(None)
        begun = text.find(b"\\", end)
        self._left = text[begun:] if begun >= 0 else b""

    def _half(self, code: bytes | None) -> UnicodeError:
        return UnicodeError(f"\\u{(self._high or code or b'').decode()} is half of a surrogate pair")


def _plain(row: Any, where: str) -> dict[str, Any]:
    """A row as ijson read it, with numbers as floats where that is the same number."""
    return {name: _simple(value, where) for name, value in _once_each(_checked(row, where), where).items()}


def _simple(value: Any, where: str) -> Any:
    """A value as it is without this reader."""
    if type(value) is Decimal:
        return _float(value)
    if type(value) is _Row:
        return {name: _simple(each, where) for name, each in _once_each(value, where).items()}
    return [_simple(each, where) for each in cast("Any", value)] if type(value) is list else value


def _once_each(row: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if isinstance(row, _Row) and row.twice is not None:
        raise _twice(row.twice, where)
    return row


def _once(where: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in pairs:
        if name in row:
            raise _twice(name, where)
        row[name] = value
    return row


def _twice(name: str, where: str) -> InvalidRecordError:
    return InvalidRecordError(f"{where} has {name!r} twice, but only one value can be sent. Rename one.", column=name)


def _number(text: str) -> float | Decimal:
    Guard().check(text.encode())
    return _float(Decimal(text))


def _float(number: Decimal) -> float | Decimal:
    """A number as a float where that is the same number."""
    nearest = float(number)
    return nearest if Decimal(repr(nearest)) == number else number


def _checked(row: Any, where: str) -> Mapping[str, Any]:
    if isinstance(row, dict):
        known = cast("dict[str, Any]", row)
        if len(known) > MOST_COLUMNS:
            raise too_many(where, len(known))
        return known
    shown = json.dumps(row, default=str)[:40]
    raise InvalidRecordError(f"{where} is {shown}, not an object from column to value.")
