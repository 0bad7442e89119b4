"""When two rows are the same for the server: equal JSON values in the key columns."""

import math
from decimal import Decimal
from typing import Any

__all__ = ["as_key"]

_LARGEST_INT = 2**64 - 1
_SMALLEST_INT = -(2**63)


def as_key(value: Any) -> Any:
    """Return a key column's value in a canonical form, which is the same for all values that are equal in JSON.

    Numbers are equal however they are written: 1, 1.0 and Decimal("1.00"). A float equals its exact value and
    the decimal that it is written as. Everything else is compared as it is sent: true is not 1, text is not a number,
    and a time is another text in another zone.
    """
    if type(value) is float:
        return _of_float(value)
    if type(value) is Decimal or (type(value) is int and not _SMALLEST_INT <= value <= _LARGEST_INT):
        return _of_decimal(Decimal(value))
    return value


def _of_float(value: float) -> int | float:
    if value.is_integer() and _SMALLEST_INT <= value <= _LARGEST_INT:
        return int(value)
    return value


def _of_decimal(value: Decimal) -> int | float | list[str]:
    if value.adjusted() < 20 and value == value.to_integral_value() and _SMALLEST_INT <= value <= _LARGEST_INT:
        return int(value)
    near = float(value)
    if math.isfinite(near) and value in (Decimal(near), Decimal(repr(near))):
        return _of_float(near)
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    short = text.rstrip("0")
    assert isinstance(exponent, int)  # it is finite
    # A list, because no value of a row is a list.
    return [f"{'-' if sign else ''}{short}e{exponent + len(text) - len(short)}"]
