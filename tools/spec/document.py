"""Reading descriptions: bytes to a document, or an error that says what is wrong with them."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "METHODS",
    "SpecError",
    "dump",
    "find",
    "load",
    "operations",
    "parse",
    "resolve_path_items",
    "wire_path",
]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class SpecError(Exception):
    """A description, overlay or lock that cannot be used; the message says why and what to do."""


TEXT = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"
LEFT_AS_TEXT = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
"""Moments, which bundlers write without quotes and a datetime would change, and a bare `=`, which PyYAML refuses."""


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Reads YAML as JSON would be: keys are text, also `200` and `on`, and so are moments."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):
            self.flatten_mapping(node)
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                    key.tag = TEXT
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in LEFT_AS_TEXT]
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
        document = _json(content) or yaml.load(content, Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        problem = " ".join(str(error).split())[:300]
        raise SpecError(f"{name} is not YAML: {problem}") from None
    if document is None:
        raise SpecError(f"{name} is empty.")
    if not isinstance(document, dict):
        raise SpecError(f"{name} holds {type(document).__name__} where a mapping belongs; is it a web page?")
    return document


def _json(content: bytes) -> Any:
    """Return what some JSON holds, None when it is not: YAML reads most of it, but not every escape."""
    try:
        return json.loads(content) if content.lstrip().startswith(b"{") else None
    except ValueError:
        return None


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


def wire_path(document: dict[str, Any], path: str) -> str:
    """Return a path as requests have it: with the path that all servers have in common, unless it is there already."""
    bases = {_base(server) for server in document.get("servers") or () if isinstance(server, dict)}
    base = bases.pop() if len(bases) == 1 else ""
    return path if path.startswith(f"{base}/") else base + path


def _base(server: dict[str, Any]) -> str:
    """Return the path of a server's address, such as `/v1`; empty when it has none."""
    address = str(server.get("url", ""))
    for name, variable in (server.get("variables") or {}).items():
        address = address.replace(f"{{{name}}}", str((variable or {}).get("default", "")))
    return re.sub(r"^(\w+:)?//[^/]*", "", address).partition("?")[0].rstrip("/")


def resolve_path_items(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with path items written out: the generator silently skips those that are references."""
    resolved = copy.deepcopy(document)
    paths: dict[str, Any] = resolved["paths"] if isinstance(resolved.get("paths"), dict) else {}
    for path, item in paths.items():
        seen: set[str] = set()
        while isinstance(item, dict) and isinstance(item.get("$ref"), str):
            reference = item["$ref"]
            target = find(resolved, reference)
            if reference in seen or not isinstance(target, dict):
                raise SpecError(f"The path {path} refers to {reference}, which is not there.")
            seen.add(reference)
            item = {**copy.deepcopy(target), **{key: value for key, value in item.items() if key != "$ref"}}
        paths[path] = item
    return resolved


def find(document: Any, reference: str) -> Any:
    """Return what a reference like `#/components/schemas/Account` points at (RFC 6901), or None."""
    value = document
    for part in reference.removeprefix("#").split("/")[1:]:
        name = re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), part)
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdecimal():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value
