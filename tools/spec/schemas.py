"""Schemas in the plain form, and the places of schemas in a description.

A plain schema is the same however it was organised. It is one of three:

- `{type, description, format, enum, examples, properties, required, items, additionalProperties, …}`, all optional;
- `{anyOf: [plain, …], description}`, if several really differ; null comes last;
- `{$ref}`, `{$ref, description}`, only for a recursive schema, with its original name.
"""

from collections.abc import Iterator
from typing import Any

from tools.spec.document import at

__all__ = ["KINDS", "NULL", "Schema", "beside", "nullable", "said", "schemas_of", "with_null", "without_null"]

Schema = dict[str, Any]

NULL: Schema = {"type": "null"}
KINDS = frozenset({"array", "boolean", "integer", "number", "object", "string"})
"""The JSON types except null."""

_WORDS = ("description", "examples", "default", "deprecated")
"""Keywords that are allowed next to a reference or a choice."""
_INNER = ("properties", "patternProperties", "$defs")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "unevaluatedProperties", "contains")


def said(schema: Schema) -> list[str]:
    """Return the types that a schema names."""
    kinds = schema.get("type")
    return [str(kind) for kind in kinds] if isinstance(kinds, list) else [str(kinds)] if kinds else []


def beside(schema: Schema) -> Schema:
    """Return the annotations of a schema, which do not restrict values."""
    return {key: schema[key] for key in _WORDS if key in schema}


def nullable(schema: Schema) -> bool:
    """Whether a plain schema says that null is allowed."""
    return "null" in said(schema) or any(nullable(each) for each in schema.get("anyOf", ()))


def with_null(schema: Schema) -> Schema:
    """Return a plain schema that allows null too."""
    if nullable(schema):
        return schema
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], NULL]}
    if "type" in schema:
        return {**schema, "type": [*said(schema), "null"]}
    if "$ref" in schema:
        return {"anyOf": [{"$ref": schema["$ref"]}, NULL], **beside(schema)}
    return schema  # a schema without a type allows null anyway


def without_null(schema: Schema) -> Schema:
    """Return a plain schema that does not allow null."""
    if "anyOf" in schema:
        others = [each for each in schema["anyOf"] if each != NULL]
        return {**others[0], **beside(schema)} if len(others) == 1 else {**schema, "anyOf": others}
    kinds = [kind for kind in said(schema) if kind != "null"]
    return {**schema, "type": kinds[0] if len(kinds) == 1 else kinds} if kinds else schema


def schemas_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterate over the schemas in a description, each with its place; references are not followed."""
    yield from _within(document, ())


def _within(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "schema" and place and place[-1] not in {"properties", "schemas"}:
                yield from _nested(inner, (*place, key))
            elif place == ("components",) and key == "schemas":
                for name, schema in inner.items() if isinstance(inner, dict) else ():
                    yield from _nested(schema, (*place, key, name))
            elif key not in {"example", "examples", "default"}:
                yield from _within(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _within(inner, (*place, number))


def _nested(schema: Any, place: tuple[str | int, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(schema, dict):
        return
    yield at(*place), schema
    for key in _INNER:
        for name, inner in schema[key].items() if isinstance(schema.get(key), dict) else ():
            yield from _nested(inner, (*place, key, name))
    for key in _LISTS:
        for number, inner in enumerate(schema[key]) if isinstance(schema.get(key), list) else ():
            yield from _nested(inner, (*place, key, number))
    for key in _SINGLE:
        yield from _nested(schema.get(key), (*place, key))
