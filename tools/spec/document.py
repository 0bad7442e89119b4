"""Access to a description: its operations, its references, and how to show a place in it to people."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.spec.reading import SpecError, parse

__all__ = [
    "METHODS",
    "PUBLISHED",
    "Report",
    "SpecError",
    "at",
    "content_of",
    "dump",
    "each_operation",
    "find",
    "follow",
    "kind_of",
    "load",
    "mapping",
    "operations",
    "parse",
    "parts_of",
    "references",
    "silent",
    "with_words",
]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

PUBLISHED = "x-published"
"""The key under which a document keeps its original."""

Report = Callable[[str], None]
"""Receives, line by line, what was left out or corrected."""

NAMED = {"responses", "properties", "schemas", "patternProperties", "$defs", "definitions", "parameters", "headers"}
"""Keys below which keys are chosen names: a property may be called `default`, and a response is."""

VALUES = {"example", "examples", "default", "enum", "const"}
"""Keys below which anything is allowed, including a `$ref` that refers to nothing."""


def silent(line: str) -> None:
    """Discard the report."""


class _Dumper(yaml.SafeDumper):
    """Writes repeated parts without anchors, which only make a description harder to read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def load(path: Path) -> dict[str, Any]:
    """Return the mapping in a file. Raises SpecError if there is none."""
    return parse(content_of(path), path.name)


def content_of(path: Path) -> bytes:
    """Return the content of a file. Raises SpecError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"Cannot read {path}: {error.strerror}.") from None


def dump(document: dict[str, Any]) -> bytes:
    """Return a document as YAML, in its own order so that people can compare it."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120).encode()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Iterate over the operations as path, method and operation."""
    for path, item in (document.get("paths") or {}).items():
        for method, operation in item.items() if isinstance(item, dict) else ():
            if method in METHODS and isinstance(operation, dict):
                yield str(path), method, operation


def each_operation(
    document: dict[str, Any], change: Callable[[str, str, dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Return the document with each operation changed: from path, method and operation to the new one."""
    paths: dict[str, dict[str, Any]] = {}
    for path, method, operation in operations(document):
        paths.setdefault(path, {})[method] = change(path, method, operation)
    return {**document, "paths": paths}


def with_words(part: dict[str, Any], words: str) -> dict[str, Any]:
    """Return a part of a description with a sentence added to its description."""
    said = str(part.get("description") or "").rstrip()
    return {**part, "description": f"{said} {words}".strip() if words not in said else said}


def find(document: Any, reference: str) -> Any:
    """Return what a reference like `#/components/schemas/Account` points at (RFC 6901), or None.

    In OpenAPI 3.1, it may also be the name of an anchor: `#account`.
    """
    if not reference.startswith("#/") and reference != "#":
        return next(_anchored(document, reference.removeprefix("#")), None)
    value = document
    for name in parts_of(reference):
        if isinstance(value, list) and name.isdecimal():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _anchored(value: Any, name: str) -> Iterator[dict[str, Any]]:
    """Iterate over the parts of a document that have an anchor with a name."""
    if isinstance(value, dict) and name in (value.get("$anchor"), value.get("$dynamicAnchor")):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _anchored(inner, name)


def parts_of(reference: str) -> list[str]:
    """Return the names in the path of a reference."""
    parts = reference.removeprefix("#").split("/")[1:]
    plain = [re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), part) for part in parts]
    return [part.replace("~1", "/").replace("~0", "~") for part in plain]


def follow(document: dict[str, Any], part: Any, place: str) -> dict[str, Any]:
    """Return a part of a description, or what it refers to, with the description next to the reference.

    Raises:
        SpecError: it refers to nothing, to itself, or to something that is not a mapping.
    """
    seen: list[str] = []
    beside: dict[str, Any] = {}
    while isinstance(part, dict) and isinstance(part.get("$ref"), str):
        reference = part["$ref"]
        beside = {key: value for key, value in part.items() if key != "$ref"} | beside
        if reference in seen:
            raise SpecError(f"{place} refers to itself: {' → '.join([*seen, reference])}.")
        seen.append(reference)
        part = find(document, reference)
        if part is None:
            raise SpecError(f"{place} refers to {reference}, which is not there.")
    return {**mapping(part, place), **beside}


def mapping(value: Any, place: str) -> dict[str, Any]:
    """Return a value that must be a mapping. Raises SpecError if it is not."""
    if not isinstance(value, dict):
        raise SpecError(f"{place} holds {kind_of(value)} where a mapping belongs.")
    return value


def references(value: Any, place: tuple[str | int, ...] = (), named: bool = False) -> Iterator[tuple[str, str]]:
    """Iterate over the references in a part of a description: the place and the target of each."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str) and not named:
                yield at(*place), inner
            elif named or key not in VALUES:
                yield from references(inner, (*place, key), named=not named and key in NAMED)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from references(inner, (*place, number))


def at(*place: str | int) -> str:
    """Return a place in the form for people: `paths['/v1/accounts'].get`."""
    words = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" if re.fullmatch(r"[\w-]+", part) else f"[{part!r}]"
        for part in place
    )
    return words.removeprefix(".") or "the document"


def kind_of(value: Any) -> str:
    """Return the kind of a JSON value, for a message."""
    names: dict[type, str] = {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}
    return "nothing" if value is None else f"{names.get(type(value), 'a number')} ({json.dumps(value)[:40]})"
