"""Which fields a JSON value holds and which a schema describes, as paths like `accounts[].id`."""

from collections.abc import Iterator
from typing import Any

from tools.spec.document import find

__all__ = ["FREE", "described", "sent", "undescribed"]

FREE = "*"
"""Ends the path of an object that may hold anything, such as a row."""

Paths = dict[str, set[str]]


def sent(value: Any, where: str = "") -> Paths:
    """Return the paths of all fields in a value, each with the JSON types that stand there."""
    found: Paths = {}
    if where:
        found[where] = {_kind(value)}
    for path, item in _inside(value, where):
        for name, kinds in sent(item, path).items():
            found.setdefault(name, set()).update(kinds)
    return found


def described(schema: Any, document: dict[str, Any], where: str = "", within: tuple[int, ...] = ()) -> set[str]:
    """Return the paths that a schema describes, however it is put together; `FREE` stands for any field."""
    parts = list(_parts(schema, document))
    if any(id(part) in within for part in parts):
        return set()  # it holds itself
    inside = within + tuple(id(part) for part in parts)
    found: set[str] = set()
    named = False
    for part in parts:
        for name, inner in (part.get("properties") or {}).items():
            named = True
            path = f"{where}.{name}" if where else name
            found |= {path} | described(inner, document, path, inside)
        if isinstance(part.get("items"), dict):
            path = f"{where}[]"
            found |= {path} | described(part["items"], document, path, inside)
    any_more = any(part.get("additionalProperties") not in (None, False) for part in parts)
    if any_more or not (named or any("items" in part or part.get("type") not in _OBJECT for part in parts)):
        found.add(f"{where}.{FREE}" if where else FREE)
    return found


def undescribed(value: Any, known: set[str]) -> list[str]:
    """Return the paths in a value that are not among the described ones."""
    free = tuple(path.removesuffix(FREE) for path in known if path.endswith(FREE))
    return [path for path in sent(value) if path not in known and not path.startswith(free)]


_OBJECT: tuple[object, ...] = (None, "object", ["object", "null"], ["null", "object"])


def _parts(schema: Any, document: dict[str, Any], seen: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Walk the schemas that one is made of: itself, what it refers to, and what it is combined from."""
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        yield from _parts(find(document, reference), document, (*seen, reference))
    combined = [part for way in ("allOf", "anyOf", "oneOf") for part in schema.get(way) or ()]
    for part in combined:
        yield from _parts(part, document, seen)
    if set(schema) - {"$ref", "allOf", "anyOf", "oneOf", "description", "title", "nullable"}:
        yield schema


def _inside(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield f"{where}.{name}" if where else str(name), item
    elif isinstance(value, list):
        for item in value:
            yield f"{where}[]", item


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
