"""Reads JSON answers into models, tolerantly: required fields must be present; others may be null, new or malformed.

A table of `Field`s maps the wire names of each model to attributes. A value that cannot be read as expected is
None in the model, and is kept as received in `extra`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Generic, TypeVar, cast

import attrs
import orjson

from databox.forks import undivided
from databox.models import ErrorDetail

__all__ = [
    "ENVELOPE",
    "Field",
    "Part",
    "Shape",
    "UnexpectedAnswer",
    "details",
    "first_details",
    "instant",
    "integer",
    "items",
    "text",
    "truth",
    "values",
]

T = TypeVar("T")
Json = Mapping[str, Any]

ENVELOPE = ("requestId", "status")
EXACT = 2.0**53
"""Beyond this limit, a float no longer represents every whole number exactly."""


class UnexpectedAnswer(ValueError):
    """The answer lacks something that the API promises; the message says what is missing, and where."""


def object_of(value: object) -> dict[str, Any]:
    """Return a JSON object, or an empty one instead of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list_of(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [value]


def text(value: object) -> str | None:
    """Return a string; a number is converted, because servers disagree about ids."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def integer(value: object) -> int | None:
    """Return an integer, also from a string of digits or a float without a fraction."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return int(value)
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdecimal() and len(value) < 20:
        return int(value)
    return None


def number(value: object) -> float | None:
    """Return a number as a float."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def truth(value: object) -> bool | None:
    """Return a boolean; nothing else is converted."""
    return value if isinstance(value, bool) else None


def instant(value: object) -> datetime | None:
    """Return an ISO 8601 date and time in UTC; one without a zone is taken as UTC."""
    with undivided:
        from dateutil.parser import isoparse  # slow to import, and most programs read no dates

    if not isinstance(value, str):
        return None
    try:
        moment = isoparse(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def details(value: object) -> tuple[ErrorDetail, ...]:
    """Return the entries of `errors`: a list of objects, or fields with their messages as in ASP.NET.

    Empty ones are left out: some serializers write `{}` or `""` for no errors.
    """
    return tuple(_details(value))


def first_details(value: object, most: int) -> tuple[ErrorDetail, ...]:
    """Return the first entries of `errors`, without reading the others."""
    return tuple(islice(_details(value), most))


def _details(value: object) -> Iterator[ErrorDetail]:
    by_field = object_of(value)
    if by_field and not {"code", "message"} & set(by_field):
        for field, messages in by_field.items():
            for message in filter(None, _list_of(messages)):
                yield ErrorDetail(message=_said(message), field=field)
    else:
        yield from (_detail(entry) for entry in _list_of(value) if entry)


_DETAIL = tuple(field.name for field in attrs.fields(ErrorDetail))  # as they are on the wire, too


def _detail(entry: object) -> ErrorDetail:
    if not isinstance(entry, dict):
        return ErrorDetail(message=_said(entry))
    known = object_of(cast("object", entry))
    return ErrorDetail(*(text(known.get(name)) for name in _DETAIL))


def _said(value: object) -> str:
    """A message: text, or whatever is there instead, as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


@attrs.frozen(eq=False, repr=False)
class Field:
    """One attribute of a model: its wire name, or the path through nested objects, and how to read it."""

    attribute: str
    path: tuple[str, ...]
    read: Callable[[Any], Any]
    required: bool = False


@attrs.frozen(eq=False, repr=False)
class Shape(Generic[T]):
    """How to read one model from a JSON object."""

    model: Callable[..., T]
    fields: tuple[Field, ...]

    def read(self, answer: object) -> T:
        """Return the model in a whole answer; `requestId` and `status` belong to its envelope.

        Raises:
            UnexpectedAnswer: the answer is not an object, or lacks a required field.
        """
        request_id = text(_at(answer, ("requestId",)))
        return self._read(answer, "the answer", request_id, ENVELOPE)

    def read_item(self, item: object, *, where: str, request_id: str | None) -> T:
        """Return the model for one item of a list. Raises as `read` does, naming the position."""
        return self._read(item, where, request_id, ())

    def _read(self, answer: object, where: str, request_id: str | None, envelope: Sequence[str]) -> T:
        if not isinstance(answer, dict):
            raise UnexpectedAnswer(f"{where} is {_json_type(answer)} where an object is expected")
        document = cast("dict[str, Any]", answer)
        extra = {name: value for name, value in document.items() if name not in envelope}
        values: dict[str, Any] = {}
        for field in self.fields:
            raw = _at(document, field.path)
            value = values[field.attribute] = field.read(raw)
            if field.required and (value is None or value == ""):
                raise UnexpectedAnswer(f"{where} has no usable {'.'.join(field.path)!r}")
            if raw is None or value is not None:
                extra = _without(extra, field.path)
        return self.model(**values, request_id=request_id, extra=extra)


@attrs.frozen(eq=False)
class Part(Generic[T]):
    """Reads an object inside an answer with its own table; a missing or empty object is None."""

    shape: Shape[T]

    def __call__(self, value: object) -> T | None:
        """Return the model, or None."""
        part = object_of(value)
        return self.shape.read_item(part, where="a part of the answer", request_id=None) if part else None


def values(answer: object, fields: Sequence[Field]) -> dict[str, Any]:
    """Return the values of some fields of an answer, by attribute."""
    return {field.attribute: field.read(_at(answer, field.path)) for field in fields}


def items(answer: Json, name: str) -> list[object]:
    """Return the required list under a name in an answer."""
    value = answer.get(name)
    if not isinstance(value, list):
        raise UnexpectedAnswer(f"{name!r} is {_json_type(value)} where a list is expected")
    return cast("list[object]", value)


def _at(document: object, path: tuple[str, ...]) -> Any:
    value = document
    for name in path:
        value = object_of(value).get(name)
    return value


def _without(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """A copy without the value at the path, and without objects that are empty or null without it."""
    name, *rest = path
    inner = document.get(name)
    kept = {key: value for key, value in document.items() if key != name}
    if rest and isinstance(inner, dict):
        left = _without(cast("dict[str, Any]", inner), tuple(rest))
        return kept | {name: left} if left else kept
    return document if rest and inner is not None else kept


def _json_type(value: object) -> str:
    kinds: dict[type, str] = {
        type(None): "missing or null",
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
    }
    return kinds.get(type(value), "a number")
