"""Reading descriptions: bytes to a document, or an error that says what is wrong with them."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "METHODS",
    "SpecError",
    "dangling_references",
    "dump",
    "load",
    "operations",
    "parse",
    "resolve_path_items",
]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class SpecError(Exception):
    """A description, overlay or lock that cannot be used; the message says why and what to do."""


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Leaves timestamps as text: bundlers write them without quotes, and a datetime would come out changed."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    """Writes repeated parts out; anchors only make a description harder to read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def parse(content: bytes, name: str) -> dict[str, Any]:
    """Return the mapping that some YAML (or JSON) holds.

    Raises:
        SpecError: it does not parse, or holds something else.
    """
    try:
        document = yaml.load(content, Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        problem = " ".join(str(error).split())[:300]
        raise SpecError(f"{name} is not YAML: {problem}") from None
    if document is None:
        raise SpecError(f"{name} is empty.")
    if not isinstance(document, dict):
        raise SpecError(f"{name} holds {type(document).__name__} where a mapping belongs; is it a web page?")
    return document


def load(path: Path) -> dict[str, Any]:
    """Return the mapping in a file. Raises SpecError when there is none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SpecError(f"Cannot read {path}: {error.strerror}.") from None
    return parse(content, path.name)


def dump(document: dict[str, Any]) -> bytes:
    """Return a document as YAML, in its own order so that people can compare it."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120).encode()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Walk the operations as path, method and operation."""
    for path, item in (document.get("paths") or {}).items():
        for method, operation in item.items() if isinstance(item, dict) else ():
            if method in METHODS and isinstance(operation, dict):
                yield str(path), method, operation


def resolve_path_items(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with path items written out: the generator silently skips those that are references."""
    resolved = copy.deepcopy(document)
    paths: dict[str, Any] = resolved["paths"] if isinstance(resolved.get("paths"), dict) else {}
    for path, item in paths.items():
        seen: set[str] = set()
        while isinstance(item, dict) and isinstance(item.get("$ref"), str):
            reference = item["$ref"]
            target = _find(resolved, reference)
            if reference in seen or not isinstance(target, dict):
                raise SpecError(f"The path {path} refers to {reference}, which is not there.")
            seen.add(reference)
            item = {**copy.deepcopy(target), **{key: value for key, value in item.items() if key != "$ref"}}
        paths[path] = item
    return resolved


def dangling_references(document: dict[str, Any]) -> list[str]:
    """Return the local references that lead nowhere: the sign of a file that was cut off."""
    found = {text for text in _references(document) if text.startswith("#") and _find(document, text) is None}
    return sorted(found)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner
            elif key not in {"example", "examples", "default", "enum", "const"}:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _find(document: Any, reference: str) -> Any:
    """What a reference like `#/components/schemas/Account` points at (RFC 6901), or None."""
    value = document
    for part in reference.removeprefix("#").split("/")[1:]:
        name = re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), part)
        name = name.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else None
    return value
