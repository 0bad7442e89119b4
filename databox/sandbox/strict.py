"""JSON that every parser reads: required of input, and guaranteed for output.

Python reads and writes more: NaN, infinity, half a surrogate pair, numbers of any size, any depth. If one of these
were accepted, the log, or all data, could no longer be read.
"""

import json
import math
import sys
from collections.abc import Iterable
from typing import Any, cast

__all__ = ["MAX_DEPTH", "as_text", "check", "loaded", "shown", "shown_body"]

MAX_DEPTH = 64
"""The maximum depth of a request. An exported document, which contains it, may have twice as many levels."""
_SHOWN_DEPTH = MAX_DEPTH - 8
"""Many parsers read 64 levels; an answer adds a few of its own."""
_LARGEST = len(str(int(sys.float_info.max)))
"""The number of digits of the largest number in most languages."""


def loaded(body: bytes, depth: int = MAX_DEPTH) -> Any:
    """Return the value of a JSON document.

    Args:
        body: the document.
        depth: the maximum depth.

    Raises:
        ValueError: it is not JSON, or not every parser reads it.
    """
    value = json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite, parse_int=_whole)
    _refuse_depth(value, depth)
    if b"\\u" in body:
        _refuse_half_pairs(value)
    return value


def check(value: object, depth: int = 2 * MAX_DEPTH) -> None:
    """Check that a value can be stored, and read again.

    Raises:
        ValueError: not every parser would read it.
    """
    try:
        text = json.dumps(value, allow_nan=False)
        loaded(text.encode(), depth)
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def shown(value: object) -> Any:
    """Return a value in a form that an answer can contain: itself, or text."""
    if isinstance(value, bytes):
        return as_text(value)
    if isinstance(value, str):
        return as_text(value.encode("utf-8", "surrogatepass"))
    try:
        check(value, _SHOWN_DEPTH)
    except ValueError:
        return _in_words(value)
    return value


def shown_body(body: bytes) -> Any:
    """Return the value of a JSON body, the text of any other body, or None if there is none."""
    if not body:
        return None
    try:
        return loaded(body, _SHOWN_DEPTH)
    except (ValueError, RecursionError):
        return as_text(body)


def as_text(body: bytes) -> str:
    r"""Return bytes as text; those that are not UTF-8 as `\xff`."""
    return body.decode("utf-8", "backslashreplace")


def _in_words(value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return ascii(value)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name!r} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > _LARGEST or abs(int(text)) > sys.float_info.max:
        raise ValueError("a number is too large")
    return int(text)


def _refuse_half_pairs(value: object) -> None:
    """Refuse half a surrogate pair, which is not valid text: nothing could store it."""
    json.dumps(value, ensure_ascii=False).encode("utf-8")


def _refuse_depth(value: object, depth: int) -> None:
    """Refuse values that are nested so deeply that they could not be read again."""
    level = [value]
    for _ in range(depth):
        level = [inner for outer in level for inner in _within(outer) if isinstance(inner, dict | list)]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _within(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()
