"""What a description says of the wire, whatever its form: operations, parameters, fields, and their JSON types.

References are followed, combinations put together, `nullable` and type lists folded, parameters of a path and of an
operation joined, and the names in path templates blanked. Ids, tags, names of components and prose are form.
"""

import re
from collections.abc import Iterator
from typing import Any

import attrs

from tools.spec.document import find, operations, resolve_path_items, wire_path

__all__ = ["NUMBERS", "Fact", "Wire", "blank", "wire_of"]

NUMBERS = frozenset({"integer", "number"})
_IGNORED_HEADERS = {"accept", "authorization", "content-type"}  # as OpenAPI says
_JSON = re.compile(r"application/json|application/\*|\*/\*|.+[/+]json", re.IGNORECASE)
_DEEPEST = 12


@attrs.frozen
class Fact:
    """What is said of one thing on the wire."""

    kinds: frozenset[str] = frozenset()
    """The JSON types that may stand there, null apart; empty where nothing is said."""
    required: bool = False
    """Whether a request must have it."""
    details: frozenset[str] = frozenset()
    """How narrowly it is described: formats, closed lists, what may be null or missing."""


Wire = dict[str, dict[str, Fact]]
"""For each operation (`GET /v1/accounts`), what it has: `query parameter page`, `request field title`, …"""


@attrs.frozen
class _Shape:
    """A schema with everything that it is put together from."""

    kinds: frozenset[str] = frozenset()
    details: frozenset[str] = frozenset()
    properties: dict[str, list[Any]] = attrs.field(factory=dict[str, list[Any]])
    required: frozenset[str] = frozenset()
    items: tuple[Any, ...] = ()


def wire_of(document: dict[str, Any]) -> Wire:
    """Return the wire that a description is about."""
    whole = resolve_path_items(document)
    return {
        f"{method.upper()} {blank(wire_path(whole, path))}": dict(_facts(whole, path, operation))
        for path, method, operation in operations(whole)
    }


def blank(path: str) -> str:
    """Return a path template without the names in it."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def _facts(document: dict[str, Any], path: str, operation: dict[str, Any]) -> Iterator[tuple[str, Fact]]:
    for parameter in _parameters(document, path, operation):
        place, name = parameter.get("in"), str(parameter.get("name"))
        name = name.lower() if place == "header" else name
        if place != "path" and not (place == "header" and name in _IGNORED_HEADERS):
            shape = _shape(document, parameter.get("schema") or _json_schema(parameter))
            yield f"{place} parameter {name}", Fact(shape.kinds, parameter.get("required") is True, shape.details)
    yield from _keys(document, operation)
    body = _whole(document, operation.get("requestBody"))
    if _has_json(body):
        yield "JSON request", Fact(required=body.get("required") is True)
        yield from _fields(document, [_json_schema(body)], "request field", answers=False)
    answers, errors = _responses(document, operation)
    if any(map(_has_json, answers)):
        yield "JSON answer", Fact()
        yield from _fields(document, [_json_schema(answer) for answer in answers], "answer field", answers=True)
    if any(map(_has_json, errors)):
        yield "JSON error", Fact()
        yield from _fields(document, [_json_schema(answer) for answer in errors], "error field", answers=True)


def _parameters(document: dict[str, Any], path: str, operation: dict[str, Any]) -> list[dict[str, Any]]:
    shared = document["paths"][path].get("parameters") or []
    both = [_whole(document, parameter) for parameter in (*shared, *(operation.get("parameters") or []))]
    return list({(each.get("in"), each.get("name")): each for each in both}.values())


def _keys(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[tuple[str, Fact]]:
    """What a request may show to be let in; required where every way in asks for it."""
    schemes = find(document, "#/components/securitySchemes") or {}
    ways = operation.get("security", document.get("security")) or []
    for name in dict.fromkeys(name for way in ways for name in way):
        scheme = _whole(document, schemes.get(name))
        where = f"in {scheme.get('in')} {str(scheme.get('name')).lower()}"
        known = where if scheme.get("type") == "apiKey" else f"by {scheme.get('scheme', scheme.get('type'))}"
        yield f"key {known}", Fact(required=all(name in way for way in ways))


def _responses(document: dict[str, Any], operation: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """The answers that say yes, and those that say no; `default` is what the others are not."""
    named = {str(status): _whole(document, answer) for status, answer in (operation.get("responses") or {}).items()}
    rest = named.pop("default", None)
    good = [answer for status, answer in named.items() if status.startswith("2")]
    bad = [answer for status, answer in named.items() if status.startswith(("4", "5"))]
    if rest is not None:
        (bad if good else good).append(rest)
    return good, bad


def _has_json(part: dict[str, Any]) -> bool:
    return any(_JSON.fullmatch(kind.partition(";")[0].strip()) for kind in part.get("content") or {})


def _json_schema(part: dict[str, Any]) -> Any:
    content = part.get("content") or {}
    found = [kind for kind in content if _JSON.fullmatch(kind.partition(";")[0].strip())]
    best = sorted(found, key=lambda kind: not kind.lower().startswith("application/json"))
    return (content[best[0]] or {}).get("schema") if best else None


def _whole(document: dict[str, Any], part: Any) -> dict[str, Any]:
    """Return a part, or what it refers to."""
    seen: set[str] = set()
    while isinstance(part, dict) and isinstance(part.get("$ref"), str) and part["$ref"] not in seen:
        seen.add(part["$ref"])
        part = find(document, part["$ref"])
    return part if isinstance(part, dict) else {}


def _fields(
    document: dict[str, Any], schemas: list[Any], word: str, *, answers: bool, where: str = "", depth: int = 0
) -> Iterator[tuple[str, Fact]]:
    shape = _either([_shape(document, schema) for schema in schemas])
    if depth > _DEEPEST:
        return  # it holds itself
    for name, inner in shape.properties.items():
        path = f"{where}.{name}" if where else name
        fact = _either([_shape(document, schema) for schema in inner])
        required = name in shape.required
        details = fact.details | ({"always there"} if answers and required else set())
        yield f"{word} {path}", Fact(fact.kinds, required and not answers, details)
        yield from _fields(document, inner, word, answers=answers, where=path, depth=depth + 1)
    if shape.items:
        path = f"{where}[]"
        yield f"{word} {path}", Fact(_either([_shape(document, schema) for schema in shape.items]).kinds)
        yield from _fields(document, list(shape.items), word, answers=answers, where=path, depth=depth + 1)


def _shape(document: dict[str, Any], schema: Any, seen: tuple[str, ...] = ()) -> _Shape:
    if not isinstance(schema, dict):
        return _Shape()
    both = [_own(schema)]
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        both.append(_shape(document, find(document, reference), (*seen, reference)))
    both += [_shape(document, part, seen) for part in schema.get("allOf") or ()]
    for way in ("anyOf", "oneOf"):
        if schema.get(way):
            both.append(_either([_shape(document, part, seen) for part in schema[way]]))
    return _all(both)


def _own(schema: dict[str, Any]) -> _Shape:
    """What a schema says itself."""
    said = schema.get("type")
    kinds = set(said if isinstance(said, list) else [said] if said else ())
    closed = schema.get("enum") if isinstance(schema.get("enum"), list) else None
    values = [schema["const"]] if "const" in schema else closed or []
    if not kinds:
        kinds = {_kind(value) for value in values}
        kinds |= {"object"} if "properties" in schema else set()
        kinds |= {"array"} if "items" in schema else set()
    details = {f"one of {', '.join(sorted(map(str, values)))}"} if values else set()
    details |= {f"format {schema['format']}"} if "format" in schema else set()
    details |= {"may be null"} if "null" in kinds or schema.get("nullable") is True else set()
    return _Shape(
        kinds=frozenset(kinds - {"null"}),
        details=frozenset(details),
        properties={str(name): [inner] for name, inner in (schema.get("properties") or {}).items()},
        required=frozenset(map(str, schema.get("required") or ())),
        items=(schema["items"],) if isinstance(schema.get("items"), dict) else (),
    )


def _all(shapes: list[_Shape]) -> _Shape:
    """What holds when all of them hold."""
    kinds: frozenset[str] = frozenset()
    for shape in shapes:
        both = kinds & shape.kinds or ({"integer"} if {"integer", "number"} <= kinds | shape.kinds else set())
        kinds = frozenset(both) or kinds | shape.kinds
    return _together(shapes, kinds, frozenset().union(*(shape.required for shape in shapes)))


def _either(shapes: list[_Shape]) -> _Shape:
    """What holds when one of them holds; one that is only null takes nothing away."""
    said = [shape for shape in shapes if shape.kinds or shape.properties]
    required = frozenset[str].intersection(*(shape.required for shape in said)) if said else frozenset[str]()
    return _together(shapes, frozenset().union(*(shape.kinds for shape in shapes)), required)


def _together(shapes: list[_Shape], kinds: frozenset[str], required: frozenset[str]) -> _Shape:
    properties: dict[str, list[Any]] = {}
    for shape in shapes:
        for name, inner in shape.properties.items():
            properties.setdefault(name, []).extend(inner)
    details = frozenset[str]().union(*(shape.details for shape in shapes))
    return _Shape(kinds, details, properties, required, tuple(item for shape in shapes for item in shape.items))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")
