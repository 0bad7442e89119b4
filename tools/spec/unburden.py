"""Step 5: nothing that would be requested or sent without intent."""

from collections.abc import Callable
from typing import Any

from databox.config import KEY_HEADER
from tools.spec.document import each_operation, with_words
from tools.spec.schemas import NULL, Schema

__all__ = ["unburdened"]

_IGNORED_HEADERS = {"accept", "authorization", "content-type"}
"""OpenAPI says that parameters of these names are to be ignored."""


def unburdened(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document without artefacts of its form.

    Header parameters that OpenAPI says to ignore are dropped. A key as a parameter becomes security. An object that is
    described as one query parameter becomes the parameters that are sent. Defaults of parameters and body fields become
    part of the description, because a generated client would send them unasked. Bodies lose read-only fields, and
    answers write-only ones, because one model may describe both.
    """
    components = document.get("components", {})
    schemes = dict(components.get("securitySchemes", {}))
    ours = next((name for name, scheme in schemes.items() if _is_key(scheme.get("in"), scheme.get("name"))), KEY_HEADER)

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        whole = dict(operation)
        if any(_is_key(each["in"], each["name"]) for each in operation["parameters"]):
            schemes.setdefault(ours, {"type": "apiKey", "in": "header", "name": KEY_HEADER})
            whole["security"] = whole.get("security") or [{ours: []}]
        sent = [part for each in operation["parameters"] if not _is_burden(each) for part in _apart(each)]
        whole["parameters"] = [_of_parameter(each) for each in sent]
        if "requestBody" in whole:
            body = whole["requestBody"]
            whole["requestBody"] = _with_schemas(body, lambda each: _unasked(_without(each, "readOnly")))
        answers = operation["responses"].items()
        whole["responses"] = {
            status: _with_schemas(answer, lambda each: _without(each, "writeOnly")) for status, answer in answers
        }
        return whole

    found = each_operation(document, changed)
    return {**found, "components": {**components, "securitySchemes": schemes}} if schemes else found


def _with_schemas(part: dict[str, Any], change: Callable[[Schema], Schema]) -> dict[str, Any]:
    content = {
        kind: {**media, "schema": change(media["schema"])} if "schema" in media else media
        for kind, media in part.get("content", {}).items()
    }
    return {**part, "content": content} if content else part


def _is_key(where: Any, name: Any) -> bool:
    return where == "header" and str(name).lower() == KEY_HEADER


def _is_burden(parameter: dict[str, Any]) -> bool:
    name = parameter["name"].lower()
    return parameter["in"] == "header" and (name in _IGNORED_HEADERS or name == KEY_HEADER)


def _apart(parameter: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters for an object in the query, one for each field; any other parameter unchanged."""
    schema = parameter["schema"]
    exploded = parameter.get("style", "form") == "form" and parameter.get("explode") is not False
    if parameter["in"] != "query" or not exploded or not schema.get("properties"):
        return [parameter]
    always = schema.get("required", []) if parameter["required"] else []
    return [
        {
            **({"description": each["description"]} if "description" in each else {}),
            "name": name,
            "in": "query",
            "required": name in always,
            "schema": {key: value for key, value in each.items() if key != "description"},
        }
        for name, each in schema["properties"].items()
    ]


def _of_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter["schema"]
    if "default" in schema:
        parameter = with_words(parameter, f"By default {schema['default']}.")
    return {**parameter, "schema": _unasked({key: value for key, value in schema.items() if key != "default"})}


def _without(schema: Schema, mark: str) -> Schema:
    """Return a schema without the fields anywhere in it that have a mark."""
    found = _inside(schema, lambda each: _without(each, mark))
    if "properties" in found:
        kept = {name: each for name, each in found["properties"].items() if not _is_marked(each, mark)}
        required = [name for name in found.get("required", []) if name in kept]
        found = {key: value for key, value in found.items() if key != "required"} | {"properties": kept}
        found |= {"required": required} if required else {}
    return found


def _is_marked(schema: Schema, mark: str) -> bool:
    choices = [each for each in schema.get("anyOf", ()) if each != NULL]
    return schema.get(mark) is True or (bool(choices) and all(each.get(mark) is True for each in choices))


def _unasked(schema: Schema) -> Schema:
    """Return a schema without the defaults anywhere in it."""
    found = {key: value for key, value in schema.items() if key != "default"}
    if "default" in schema:
        found = with_words(found, f"By default {schema['default']}.")
    return _inside(found, _unasked)


def _inside(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return a schema with its direct subschemas changed."""
    found = dict(schema)
    if "properties" in found:
        found["properties"] = {name: change(each) for name, each in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = change(found[key])
    if "anyOf" in found:
        found["anyOf"] = [change(each) for each in found["anyOf"]]
    return found
