"""What a description says about the wire: operations, parameters, fields, and their JSON types.

It is derived from the plain form, so the organisation of the description makes no difference. Descriptions and
examples are not part of the wire.
"""

from collections.abc import Iterator
from typing import Any

import attrs

from tools.spec.classes import is_refusal
from tools.spec.document import operations
from tools.spec.normalise import plain
from tools.spec.pins import blank
from tools.spec.schemas import NULL, nullable

__all__ = ["NUMBERS", "Fact", "Wire", "facts_of", "wire_of"]

NUMBERS = frozenset({"integer", "number"})
_DEEPEST = 12
_DESCRIBED = ("format", "pattern", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum")


@attrs.frozen
class Fact:
    """The facts about one thing on the wire."""

    kinds: frozenset[str] = frozenset()
    """The allowed JSON types except null; empty if nothing is said."""
    required: bool = False
    """Whether it is required in a request."""
    details: frozenset[str] = frozenset()
    """How narrowly it is described: formats, closed enumerations, what may be null or missing."""


Wire = dict[str, dict[str, Fact]]
"""For each operation (`GET /v1/accounts`), what it has: `query parameter page`, `request field title`, …"""


def wire_of(document: dict[str, Any]) -> Wire:
    """Return the wire of a published description. Raises SpecError as `plain` does."""
    return facts_of(plain(document))


def facts_of(document: dict[str, Any]) -> Wire:
    """Return the wire of a description in the plain form."""
    return {
        f"{method.upper()} {blank(path)}": dict(_facts(document, operation))
        for path, method, operation in operations(document)
    }


def _facts(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[tuple[str, Fact]]:
    for parameter in operation["parameters"]:
        place, name, schema = parameter["in"], parameter["name"], parameter["schema"]
        if place != "path":
            name = name.lower() if place == "header" else name
            yield f"{place} parameter {name}", Fact(_kinds([schema]), parameter["required"], _details([schema]))
        else:
            yield f"path parameter {name}", Fact(_kinds([schema]), details=_details([schema]))
    yield from _keys(document, operation)
    body = operation.get("requestBody", {})
    if "application/json" in body.get("content", {}):  # which is what the client says that it sends
        yield "JSON request", Fact(required=body.get("required") is True)
        yield from _fields(document, _schemas([body]), "request field", answers=False)
    answers = operation["responses"].items()
    good = [answer for status, answer in answers if not is_refusal(status, operation) and status[0] in "2d"]
    bad = [answer for status, answer in answers if is_refusal(status, operation)]
    for name, found in (("answer", good), ("error", bad)):
        if any(map(_has_json, found)):
            yield f"JSON {name}", Fact()
            yield from _fields(document, _schemas(found), f"{name} field", answers=True)


def _keys(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[tuple[str, Fact]]:
    """The credentials of a request; required if every alternative requires them."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    ways = [way for way in operation.get("security") or [] if isinstance(way, dict)]
    for name in dict.fromkeys(name for way in ways for name in way):
        scheme = schemes.get(name, {})
        where = f"in {scheme.get('in')} {str(scheme.get('name')).lower()}"
        known = where if scheme.get("type") == "apiKey" else f"by {scheme.get('scheme', scheme.get('type'))}"
        yield f"key {known}", Fact(required=all(name in way for way in ways))


def _has_json(part: dict[str, Any]) -> bool:
    return any(map(_is_json, part.get("content", {})))


def _is_json(kind: str) -> bool:
    return kind == "application/json" or kind.endswith("+json")  # `application/x-ndjson` is not


def _schemas(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        media["schema"]
        for part in parts
        for kind, media in part.get("content", {}).items()
        if _is_json(kind) and "schema" in media
    ]


def _fields(
    document: dict[str, Any],
    schemas: list[dict[str, Any]],
    word: str,
    *,
    answers: bool,
    where: str = "",
    depth: int = 0,
) -> Iterator[tuple[str, Fact]]:
    if depth > _DEEPEST:
        return  # it holds itself
    objects = [each for schema in schemas for each in _choices(document, schema)]
    holders = [each for each in objects if "properties" in each]
    for name in dict.fromkeys(name for each in holders for name in each["properties"]):
        inner = [each["properties"][name] for each in holders if name in each["properties"]]
        path = f"{where}.{name}" if where else name
        always = all(name in each.get("required", []) for each in holders)
        details = _details(inner) | ({"always there"} if answers and always else set())
        yield f"{word} {path}", Fact(_kinds(inner), always and not answers, details)
        yield from _fields(document, inner, word, answers=answers, where=path, depth=depth + 1)
    items = [each["items"] for each in objects if "items" in each]
    if items:
        yield f"{word} {where}[]", Fact(_kinds(items), details=_details(items))
        yield from _fields(document, items, word, answers=answers, where=f"{where}[]", depth=depth + 1)


def _choices(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The alternatives of a schema."""
    if "$ref" in schema:
        yield from _choices(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _choices(document, each)
    else:
        yield schema


def _kinds(schemas: list[dict[str, Any]]) -> frozenset[str]:
    found = set[str]()
    for schema in schemas:
        for each in schema.get("anyOf", [schema]):
            said = each.get("type", "object" if "$ref" in each else [])
            found |= set(said if isinstance(said, list) else [said])
    return frozenset(found - {"null"})


def _details(schemas: list[dict[str, Any]]) -> frozenset[str]:
    parts = [each for schema in schemas for each in schema.get("anyOf", [schema]) if each != NULL]
    found = {f"{key} {each[key]}" for each in parts for key in _DESCRIBED if key in each}
    found |= {f"one of {', '.join(sorted(map(str, each['enum'])))}" for each in parts if "enum" in each}
    return frozenset(found | ({"may be null"} if any(map(nullable, schemas)) else set()))
