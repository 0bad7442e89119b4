"""Step 5: nothing that would be asked for or sent though nobody means it."""

from typing import Any

from databox.config import KEY_HEADER
from tools.spec.document import each_operation, with_words

__all__ = ["unburdened"]

_IGNORED_HEADERS = {"accept", "authorization", "content-type"}
"""OpenAPI says that parameters of these names are to be ignored."""


def unburdened(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document without the burdens of its form.

    Header parameters that OpenAPI says to ignore go. The key as one becomes what it is, security. Defaults of
    parameters and body fields become words: a generated client would send them unasked.
    """
    components = document.get("components", {})
    schemes = dict(components.get("securitySchemes", {}))
    ours = next((name for name, scheme in schemes.items() if _is_key(scheme.get("in"), scheme.get("name"))), KEY_HEADER)

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        whole = dict(operation)
        if any(_is_key(each["in"], each["name"]) for each in operation["parameters"]):
            schemes.setdefault(ours, {"type": "apiKey", "in": "header", "name": KEY_HEADER})
            whole["security"] = whole.get("security") or [{ours: []}]
        whole["parameters"] = [_of_parameter(each) for each in operation["parameters"] if not _is_burden(each)]
        if "requestBody" in whole:
            content = whole["requestBody"].get("content", {})
            unasked = {kind: {**media, "schema": _unasked(media.get("schema", {}))} for kind, media in content.items()}
            whole["requestBody"] = {**whole["requestBody"], "content": unasked}
        return whole

    found = each_operation(document, changed)
    return {**found, "components": {**components, "securitySchemes": schemes}} if schemes else found


def _is_key(where: Any, name: Any) -> bool:
    return where == "header" and str(name).lower() == KEY_HEADER


def _is_burden(parameter: dict[str, Any]) -> bool:
    name = parameter["name"].lower()
    return parameter["in"] == "header" and (name in _IGNORED_HEADERS or name == KEY_HEADER)


def _of_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter["schema"]
    if "default" in schema:
        parameter = with_words(parameter, f"By default {schema['default']}.")
    return {**parameter, "schema": _unasked({key: value for key, value in schema.items() if key != "default"})}


def _unasked(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without the defaults anywhere in it."""
    found = {key: value for key, value in schema.items() if key != "default"}
    if "default" in schema:
        found = with_words(found, f"By default {schema['default']}.")
    if "properties" in found:
        found["properties"] = {name: _unasked(inner) for name, inner in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _unasked(found[key])
    if "anyOf" in found:
        found["anyOf"] = [_unasked(each) for each in found["anyOf"]]
    return found
