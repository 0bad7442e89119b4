"""The fields of a JSON value and of a schema, as paths like `accounts[].id`."""

from collections.abc import Iterator
from typing import Any

from tools.spec.document import find
from tools.spec.schemas import NULL, said

__all__ = ["FREE", "described", "sent", "undescribed"]

FREE = "*"
"""Ends the path of an object that may contain anything, such as a row."""

Paths = dict[str, set[str]]


def sent(value: Any, where: str = "") -> Paths:
    """Return the paths of all fields in a value, each with its JSON types."""
    found: Paths = {}
    if where:
        found[where] = {_kind(value)}
    for path, item in _inside(value, where):
        for name, kinds in sent(item, path).items():
            found.setdefault(name, set()).update(kinds)
    return found


def described(schema: Any, document: dict[str, Any], where: str = "", within: tuple[str, ...] = ()) -> set[str]:
    """Return the paths that a plain schema of a document describes; `FREE` stands for any field."""
    found: set[str] = set()
    for part in _choices(schema, document, within):
        inside = (*within, *([schema["$ref"]] if "$ref" in schema else []))
        for name, inner in part.get("properties", {}).items():
            path = f"{where}.{name}" if where else name
            found |= {path} | described(inner, document, path, inside)
        if "items" in part:
            found |= {f"{where}[]"} | described(part["items"], document, f"{where}[]", inside)
        named = "properties" in part or "items" in part
        if part.get("additionalProperties") or not (named or set(said(part)) - {"object", "null"}):
            found.add(f"{where}.{FREE}" if where else FREE)
    return found


def undescribed(value: Any, known: set[str]) -> list[str]:
    """Return the paths in a value that are not among the described ones."""
    free = tuple(path.removesuffix(FREE) for path in known if path.endswith(FREE))
    return [path for path in sent(value) if path not in known and not path.startswith(free)]


def _choices(schema: Any, document: dict[str, Any], within: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Iterate over the alternatives of a schema; a recursive one is visited once."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        if schema["$ref"] not in within:
            yield from _choices(find(document, schema["$ref"]), document, within)
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            if each != NULL:
                yield from _choices(each, document, within)
    else:
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
