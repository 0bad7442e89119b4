"""Parses a document: YAML 1.2, so that text stays text, and JSON."""

import json
import re
from typing import Any

import yaml

__all__ = ["SpecError", "parse"]

LARGEST = 1_000_000
"""The maximum number of values in a document with aliases resolved."""
DEEPEST = 200
"""The maximum depth; no description comes near it, and parsers written in C crash only far above it."""

_TAG = "tag:yaml.org,2002:"
_PLAIN = {f"{_TAG}{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}
_MERGE = f"{_TAG}merge"

_TOO_DEEP = f"is nested more than {DEEPEST} levels deep."

# YAML 1.1 would read NO as false, 12:30:45 and 0777 as other numbers, and a date as a type that JSON lacks.
_CORE_SCHEMA = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+0123456789."),
    ("merge", r"<<", "<"),
)


class SpecError(Exception):
    """A description, overlay or lock that cannot be used; the message says why and what to do."""


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Reads YAML 1.2, with the merge keys that bundlers write; keys are text, including `200` and `on`."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):
            self.flatten_mapping(node)
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    key.tag = f"{_TAG}str"
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping

    def construct_whole_number(self, node: yaml.ScalarNode) -> int:
        text = node.value
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in _CORE_SCHEMA:
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"(?:{_pattern})\Z"), list(_first))
_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"\Z"), [""])
_Loader.add_constructor(f"{_TAG}int", _Loader.construct_whole_number)


def parse(content: bytes, name: str) -> dict[str, Any]:
    """Return the mapping in YAML (or JSON).

    Raises:
        SpecError: it does not parse, has a duplicate key, or is not a mapping.
    """
    try:
        document = _json(content.removeprefix(b"\xef\xbb\xbf"))
        document = _yaml(content) if document is None else document
        json.dumps(document, ensure_ascii=False).encode()
        _check_depth(document)
    except SpecError as error:
        raise SpecError(f"{name} {error}") from None
    except RecursionError:
        raise SpecError(f"{name} {_TOO_DEEP}") from None
    except (yaml.YAMLError, UnicodeError, ValueError, TypeError) as error:
        problem = " ".join(str(error).split())[:300]
        raise SpecError(f"{name} is not YAML: {problem}") from None
    if document is None:
        raise SpecError(f"{name} is empty.")
    if not isinstance(document, dict):
        raise SpecError(f"{name} holds {type(document).__name__} where a mapping belongs; is it a web page?")
    return document


def _json(content: bytes) -> Any:
    """Return the value of JSON, or None if it is not JSON: YAML reads most of it, but not every escape."""
    if not content.lstrip().startswith(b"{"):
        return None
    try:
        return json.loads(content, object_pairs_hook=_once, parse_constant=str)
    except SpecError:
        _yaml(content)  # which knows the place
        raise
    except ValueError:
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SpecError(f"has the key {twice!r} twice in one object; which of the two is meant?")
    return found


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    if level:
        raise SpecError(_TOO_DEEP)


def _yaml(content: bytes) -> Any:
    depth = 0
    for event in yaml.parse(content, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise SpecError(_TOO_DEEP)
    loader = _Loader(content)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, "", {}, [])
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check(node: yaml.Node, place: str, sizes: dict[int, int], within: list[int]) -> int:
    """Return how many values a node represents, with aliases resolved.

    Raises:
        SpecError: a key is duplicated, an alias refers to its own container, or a value is not a JSON value.
    """
    if id(node) in within:
        raise SpecError(f"cannot be written out: the alias at {place or 'the top'} stands for what it is in.")
    if id(node) in sizes:
        return sizes[id(node)]
    if node.tag not in _PLAIN:
        raise SpecError(f"has a {node.tag.removeprefix(_TAG)!r} at {place or 'the top'}, which JSON does not know.")
    within.append(id(node))
    size = 1
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if name in keys and key.tag != _MERGE:
                line = key.start_mark.line + 1
                raise SpecError(f"has the key {name!r} twice at {place or 'the top'} (line {line}); which is meant?")
            keys.add(name)
            size += _check(value, f"{place}/{name}", sizes, within)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            size += _check(value, f"{place}/{number}", sizes, within)
    within.pop()
    if size > LARGEST:
        raise SpecError(f"stands for more than {LARGEST:,} values with its aliases written out.")
    sizes[id(node)] = size
    return size
