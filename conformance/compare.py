"""Compares the adapter's answer with the expectation of a case."""

import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

__all__ = ["differences", "shown"]


def differences(expected: Any, got: Any, where: str = "result", *, exactly: bool = False) -> list[str]:
    """Return how a result differs from the expectation.

    Members that the expectation does not name are not compared; null and absent are the same; fractions are equal
    within a millionth. What the client sent and what is stored (`body`, `bodies`, `stored`) are compared exactly:
    there, null is a value. `message_has` and `message_lacks` apply to the member `message`. Instead of a value,
    there may be a bound: `{"$at_least": 3}`, `{"$at_most": 3}`, `{"$has": [...]}` and `{"$lacks": [...]}` for a
    text or a list, `{"$moment": "2026-01-31T12:30:00Z"}` for a time in any notation of ISO 8601, and
    `{"$one_of": [...]}`.
    """
    if isinstance(expected, dict) and expected and expected.keys() <= _BOUNDS.keys():
        return [
            f"{where} is {shown(got)}, which should be {name} {shown(bound)}"
            for name, bound in expected.items()
            if not _BOUNDS[name](got, bound)
        ]
    if isinstance(expected, dict) and isinstance(got, dict):
        found: list[str] = []
        if exactly and expected.keys() != got.keys():
            return [f"{where} is {shown(got)}, not {shown(expected)}"]
        for name, value in expected.items():
            if name in ("message_has", "message_lacks"):
                found += _of_message(name, value, got.get("message"), where)
            else:
                found += differences(value, got.get(name), f"{where}.{name}", exactly=exactly or name in _EXACT)
        return found
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = enumerate(zip(expected, got, strict=True))
        return [problem for n, (a, b) in pairs for problem in differences(a, b, f"{where}[{n}]", exactly=exactly)]
    if _same(expected, got):
        return []
    return [f"{where} is {shown(got)}, not {shown(expected)}"]


_EXACT = {"body", "bodies", "stored"}


def _moment(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _contains(got: Any, part: Any) -> bool:
    return isinstance(got, str | list) and (not isinstance(got, str) or isinstance(part, str)) and part in got


_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "$at_least": lambda got, bound: _is_number(got) and got >= bound,
    "$at_most": lambda got, bound: _is_number(got) and got <= bound,
    "$has": lambda got, parts: all(_contains(got, part) for part in parts),
    "$lacks": lambda got, parts: not any(_contains(got, part) for part in parts),
    "$moment": lambda got, moment: isinstance(got, str) and _moment(got) == _moment(moment),
    "$one_of": lambda got, values: any(not differences(value, got) for value in values),
}


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if _is_number(expected) and _is_number(got):
        # Integers are compared exactly, even beyond the precision of a double, because ids are not measurements.
        return bool(expected == got or (isinstance(expected, float) and math.isclose(expected, got, abs_tol=1e-6)))
    return bool(expected == got)


def _of_message(name: str, texts: list[str], message: Any, where: str) -> list[str]:
    said = message if isinstance(message, str) else ""
    if name == "message_has":
        return [f"{where}.message lacks {text!r}: {said!r}" for text in texts if text not in said]
    return [f"{where}.message has {text!r}: {said!r}" for text in texts if text in said]


def shown(value: Any) -> str:
    """Return a value as JSON, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) < 300 else f"{text[:300]}…"
