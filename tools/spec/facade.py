"""Determines what the client sends and reads from the client itself, and whether a description has it.

Each operation is built once with all arguments and once with the fewest. What it reads is in its reading tables, with
the JSON types from the models' annotations. So nothing is listed twice, and nothing can drift from the code.
"""

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import attrs

from databox.api import operations as facade
from databox.api.answers import Listing, ListOf
from databox.api.operations import Operation
from databox.api.reading import ENVELOPE, Field, Part, Shape
from databox.config import KEY_HEADER
from databox.ingest.batch import body_of_one_request
from databox.models import ErrorDetail
from tools.spec.pins import PINS, Pin
from tools.spec.wire import NUMBERS, Fact, Wire

__all__ = ["ARGUMENTS", "Reliance", "fits", "is_expected", "of_the_client", "unmet"]

ARGUMENTS: Mapping[str, Any] = {
    "account_id": 1,
    "body": body_of_one_request([{"id": 1}]),
    "check": None,
    "data_source_id": 1,
    "dataset_id": "dataset",
    "ingestion_id": "ingestion",
    "page": 1,
    "page_size": 1,
    "primary_keys": ["id"],
    "repeatable": False,
    "timezone": "UTC",
    "title": "title",
}
"""A value for every argument of the functions in `operations`."""

_KINDS: Mapping[type, str] = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    datetime: "string",
    list: "array",
    tuple: "array",
    dict: "object",
}


@attrs.frozen
class Reliance:
    """What the client relies on in one operation."""

    pin: Pin
    places: Mapping[str, str | None]
    """The places in the `Wire`, each with the JSON type that is sent or read; None if any type is accepted."""
    always_sent: frozenset[str]
    """The places that every request has."""
    broken: str | None = None
    """Why the client cannot build a request; then nothing is known about what it sends."""

    @property
    def title(self) -> str:
        """The operation in the form for people."""
        return f"{self.pin.title} ({self.pin.facade})"


def of_the_client() -> dict[str, Reliance]:
    """Return what the client relies on, by operation as in the `Wire`."""
    return {pin.key: _of(pin) for pin in PINS}


def unmet(relied: Mapping[str, Reliance], wire: Wire) -> Iterator[str]:
    """Yield what the client relies on and a description does not have, by operation and place, each with the remedy."""
    for key, ours in relied.items():
        if ours.broken:
            yield f"{ours.title}: the client cannot build this request: {ours.broken}. Fix databox/api/operations.py."
        facts = wire.get(key)
        if facts is None:
            yield f"{ours.title}: the description does not have this operation. The client has to follow."
            continue
        for place, kind in ours.places.items():
            if not is_expected(place, facts):
                continue
            if place not in facts:
                yield f"{ours.title}: {place} is not in the description, and the client {_what(place)} it. {_REMEDY}"
            elif not fits(place, kind, facts[place]):
                said = " or ".join(sorted(facts[place].kinds))
                yield f"{ours.title}: {place} is described as {said}, and the client {_what(place)} {kind}. {_REMEDY}"
        for place, fact in facts.items():
            if fact.required and place not in ours.always_sent and not ours.broken:
                yield f"{ours.title}: {place} is required, and the client does not always send it. {_REMEDY}"


_ENVELOPE = {"error field requestId", "error field errors"}
"""The fields that identify the API's own refusals."""

_REMEDY = (
    "If the API has it so, change databox/api/operations.py or databox/api/answers.py; if the description is wrong, "
    "correct it in openapi/overlay.yaml, with the reason."
)


def _what(place: str) -> str:
    return "sends" if _is_sent(place) else "reads"


def _is_sent(place: str) -> bool:
    return place.startswith(("JSON request", "request", "query", "header", "path", "key"))


def is_expected(place: str, facts: Mapping[str, Fact]) -> bool:
    """Whether an absent place is a problem: not if nothing is said about keys, errors or the place that contains it."""
    if place.startswith("key "):
        return any(other.startswith("key ") for other in facts)
    if place.startswith(("error field", "JSON error")) and not _ENVELOPE & facts.keys():
        return False  # nothing is said about refusals, or only about those that frameworks write (RFC 9457)
    word, _, path = place.partition(" field ")
    above = path[: max(path.rfind("."), path.rfind("["), 0)]
    holder = facts.get(f"{word} field {above}")
    return not above or (holder is not None and bool(holder.kinds))


def fits(place: str, kind: str | None, fact: Fact) -> bool:
    """Whether the client can handle the JSON types that are described for a place."""
    if kind is None or not fact.kinds:
        return True
    ours = NUMBERS if kind == "number" else frozenset({kind})
    if _is_sent(place):
        return bool(fact.kinds & (NUMBERS if kind == "integer" else ours))
    # A refusal may be one of several things, one of which must be ours.
    return bool(fact.kinds & ours) if place.startswith("error") else fact.kinds <= ours


def _of(pin: Pin) -> Reliance:
    build: Callable[..., Operation[Any]] = getattr(facade, pin.facade.replace(".", "_"))
    parameters = inspect.signature(build).parameters.values()
    most = {each.name: ARGUMENTS[each.name] for each in parameters}
    least = {each.name: None if "None" in str(each.annotation) else most[each.name] for each in parameters}
    key: dict[str, str | None] = {f"key in header {KEY_HEADER}": None}
    refusal: dict[str, str | None] = {"JSON answer": None, "JSON error": None}
    refusal |= {f"error field {path}": kind for path, kind in _envelope()}
    refusal |= {f"error field {path}": kind for path, kind in _of_type("errors", tuple[ErrorDetail, ...])}
    try:
        operation, fewest = build(**most), build(**least)
    except Exception as error:  # noqa: BLE001 - code that was generated anew can fail in any way
        return Reliance(pin, key | refusal, frozenset(), f"{type(error).__name__}: {error}")
    if (operation.method.lower(), re.sub(r"(?<=/)(1|dataset|ingestion)(?=/|$)", "{}", operation.path)) != (
        pin.method,
        re.sub(r"\{[^}]*\}", "{}", pin.path),
    ):
        return Reliance(pin, key | refusal, frozenset(), f"it is {operation.method} {operation.path}")
    # Any list would be read in pages if it had pages; the parameters say whether it does.
    read = [each for each in _read_by(operation.parse) if operation.params or not each[0].startswith("pagination")]
    reads = {f"answer field {path}": kind for path, kind in (*_envelope(), *read)}
    sent = dict(_sent(operation)) | {f"path parameter {name}": kind for name, kind in _in_path(pin)}
    always = frozenset(place for place, _ in _sent(fewest)) | key.keys() | {f"header parameter {KEY_HEADER}"}
    return Reliance(pin, {**key, **sent, **reads, **refusal}, always)


def _sent(operation: Operation[Any]) -> Iterator[tuple[str, str | None]]:
    for name, value in operation.params.items():
        yield f"query parameter {name}", _KINDS[type(value)]
    if operation.body:
        yield "JSON request", None
        for name, value in json.loads(operation.body).items():
            yield f"request field {name}", _KINDS[type(value)]
            if isinstance(value, list) and value:
                yield f"request field {name}[]", _KINDS[type(value[0])]


def _in_path(pin: Pin) -> Iterator[tuple[str, str]]:
    for name in re.findall(r"\{(\w+)\}", pin.path):
        yield name, _KINDS[type(ARGUMENTS[re.sub(r"(?=[A-Z])", "_", name).lower()])]


def _envelope() -> list[tuple[str, str]]:
    return [(name, "string") for name in ENVELOPE]


def _read_by(parse: Any) -> Iterator[tuple[str, str]]:
    """Iterate over the fields that an operation reads in its answer, with the object that contains each."""
    table = getattr(parse, "__self__", None)
    if isinstance(table, ListOf):
        yield table.name, "array"
        yield f"{table.name}[]", "object"
        yield from _by_fields(Listing, table.fields, "")
        yield from _by_fields(table.shape.model, table.shape.fields, f"{table.name}[].")
    elif isinstance(table, Shape):
        yield from _by_fields(table.model, table.fields, "")


def _by_fields(model: Any, fields: Iterable[Field], where: str) -> Iterator[tuple[str, str]]:
    made = typing.cast("type[Any]", model.func if isinstance(model, partial) else model)
    annotations = {field.name: field.type for field in attrs.fields(made)}
    for field in fields:
        for depth in range(1, len(field.path)):
            yield where + ".".join(field.path[:depth]), "object"
        path = where + ".".join(field.path)
        if isinstance(field.read, Part):
            yield path, "object"
            yield from _by_fields(field.read.shape.model, field.read.shape.fields, f"{path}.")
        else:
            yield from _of_type(path, annotations[field.attribute])


def _of_type(path: str, annotation: Any) -> Iterator[tuple[str, str]]:
    """The JSON types of a model's annotation: `datetime | None` is text."""
    if isinstance(annotation, types.UnionType):
        (annotation,) = (each for each in typing.get_args(annotation) if each is not types.NoneType)
    origin = typing.get_origin(annotation) or annotation
    yield path, _KINDS[origin]
    if origin is tuple and attrs.has(typing.get_args(annotation)[0]):
        yield f"{path}[]", "object"
        yield from ((f"{path}[].{field.name}", "string") for field in attrs.fields(typing.get_args(annotation)[0]))
