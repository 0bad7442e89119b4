"""Step 6: types that accept whatever real servers send, with stricter promises moved to the descriptions.

By rule, not by a list: in answers every property may be missing or null, and objects may have additional ones;
enumerations are open, and formats plain text, for requests too. A strict model would raise on a null or a new value.
"""

from collections.abc import Iterator
from typing import Any

from tools.spec.document import each_operation, with_words
from tools.spec.schemas import NULL, Schema, nullable, said, with_null, without_null

__all__ = ["PROMISED", "loosened"]

PROMISED = "Described as "
"""Starts the description of promises that no type expresses."""

_STRUCTURE = {
    "type",
    "description",
    "examples",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "anyOf",
    "$ref",
}


def loosened(document: dict[str, Any]) -> dict[str, Any]:
    """Return a plain document with loosened types."""

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        whole = {
            **operation,
            "parameters": [_of_parameter(each) for each in operation["parameters"]],
            "responses": {
                status: _with_content(answer, answers=True) for status, answer in operation["responses"].items()
            },
        }
        if "requestBody" in operation:
            whole["requestBody"] = _with_content(operation["requestBody"], answers=False)
        return whole

    found = each_operation(document, changed)
    components = document.get("components", {})
    if components.get("schemas"):
        schemas = {name: _loose(schema, answers=True) for name, schema in components["schemas"].items()}
        found["components"] = {**components, "schemas": schemas}
    return found


def _with_content(part: dict[str, Any], *, answers: bool) -> dict[str, Any]:
    content = {
        kind: {**media, **({"schema": _loose(media["schema"], answers=answers)} if "schema" in media else {})}
        for kind, media in part.get("content", {}).items()
    }
    return {**part, "content": content} if content else part


def _of_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter with the promises of its schema in the parameter's own description, which is the one shown."""
    schema = _loose(parameter["schema"], answers=False)
    words = str(schema.pop("description", ""))
    example = {"example": parameter["example"]} if "example" in parameter else {}
    told = {**parameter, "schema": {**schema, **example}}
    return with_words(told, words) if words else told


def _loose(schema: Schema, *, answers: bool, terms: tuple[str, ...] = ()) -> Schema:
    """Return a loosened schema, with the rest, and some terms of its parent, in the description."""
    united = _united(schema)
    found = {key: value for key, value in united.items() if key in _STRUCTURE}
    if "examples" in found:
        found["example"] = found.pop("examples")[0]  # generated code shows only one
    if found.get("additionalProperties") is False:
        del found["additionalProperties"]
        terms = (*terms, "no other fields")
    if united.get("format") == "binary" and not answers:
        found["format"] = "binary"  # a file, which text cannot represent
    required = found.pop("required", []) if answers else found.get("required", [])
    if "properties" in found:
        inner = found["properties"].items()
        found["properties"] = {name: _of_property(each, name in required, answers=answers) for name, each in inner}
    if "items" in found:
        found["items"] = _loose(found["items"], answers=answers)
        words = found["items"].get("description")
        if words and found["items"].get("type") != "object":  # an object's description goes to its class
            found = with_words(found, f"Each: {words}")
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = _loose(found["additionalProperties"], answers=answers)
    if "anyOf" in found:
        found["anyOf"] = [each if each == NULL else _loose(each, answers=answers) for each in found["anyOf"]]
    terms = (*terms, *_terms(united))
    return with_words(found, f"{PROMISED}{'; '.join(terms)}.") if terms else found


def _of_property(schema: Schema, required: bool, *, answers: bool) -> Schema:
    if not answers:
        return _loose(schema, answers=False)
    terms = (*(["required"] if required else []), *(["null at times"] if nullable(schema) else []))
    return with_null(_loose(schema, answers=True, terms=terms))


def _terms(schema: Schema) -> Iterator[str]:
    """The promises of a schema that no type of the generated code expresses."""
    if "enum" in schema:
        yield f"one of {', '.join(map(str, schema['enum']))}"
    yield from (f"{key} {schema[key]}" for key in sorted(schema.keys() - _STRUCTURE - {"enum", "deprecated"}))
    if schema.get("deprecated") is True:
        yield "deprecated"


def _united(schema: Schema) -> Schema:
    """Return a choice between objects as one object, because each may lack fields of the others; otherwise a choice."""
    kinds = [kind for kind in said(schema) if kind != "null"]
    words = {"description": schema["description"]} if "description" in schema else {}
    if len(kinds) > 1 and {"object", "array"} & set(kinds):
        apart = [{**_of_kind(schema, kind), "type": kind} for kind in kinds]
        return {"anyOf": [*apart, *([NULL] if nullable(schema) else [])], **words}
    objects = [each for each in schema.get("anyOf", ()) if each.get("type") == "object"]
    if len(objects) < 2:
        return schema
    others = [each for each in schema["anyOf"] if each.get("type") != "object"]
    holders = [each.get("properties", {}) for each in objects]
    names = dict.fromkeys(name for each in holders for name in each)
    one: Schema = {"type": "object"}
    one["properties"] = {name: _either([each[name] for each in holders if name in each]) for name in names}
    required = [name for name in names if all(name in each.get("required", []) for each in objects)]
    one |= {"required": required} if required else {}
    told = dict.fromkeys(str(each["description"]) for each in (schema, *objects) if each.get("description"))
    one |= {"description": "\n\n".join(told)} if told else {}
    return with_null(one) if others == [NULL] else {"anyOf": [one, *others], **words} if others else one


def _of_kind(schema: Schema, kind: str) -> Schema:
    """Return the part of a multi-type schema that is about one type."""
    only = {"object": {"properties", "required", "additionalProperties"}, "array": {"items"}}
    elsewhere = {"description", *(key for other, keys in only.items() if other != kind for key in keys)}
    return {key: value for key, value in schema.items() if key not in elsewhere}


def _either(schemas: list[Schema]) -> Schema:
    """Return the common schema of a property that several objects have."""
    different = [each for number, each in enumerate(schemas) if each not in schemas[:number]]
    if len(different) == 1:
        return different[0]
    if any(not each.keys() - {"description", "examples"} for each in different):
        return {}
    null = any(nullable(each) for each in different)
    apart = [without_null(each) for each in different]
    return {"anyOf": [inner for each in apart for inner in each.get("anyOf", [each])] + ([NULL] if null else [])}
