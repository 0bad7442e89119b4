"""Part of step 7: each name is unique in Python, and not one that generated code needs for itself.

In addition to `pageSize`, an older `page_size` would become the argument `page_size`, and a value for one would
silently go to the other. A field that is left out can still be sent and read, as an additional property of a model.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from openapi_python_client.strings import PythonIdentifier

from tools.spec.document import Report, at, each_operation
from tools.spec.schemas import Schema

__all__ = ["distinct"]

_OF_FUNCTIONS = {"body", "cookies", "headers", "params", "quote"}
"""Names that the generated functions use themselves."""
_OF_MODELS = {"additional_keys", "additional_properties", "cast", "cls", "d", "field_dict", "from_dict", "to_dict"}
"""Names that the generated models have or use themselves."""


def distinct(document: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return a plain document without optional names that clash with others.

    Of several, the one in the API's own style stays.
    """

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        place = at("paths", path, method)
        answers = operation["responses"].items()
        whole = {
            **operation,
            "parameters": _parameters(operation["parameters"], f"{place}.parameters", report),
            "responses": {status: _content(each, f"{place}.responses.{status}", report) for status, each in answers},
        }
        if "requestBody" in operation:
            whole["requestBody"] = _content(operation["requestBody"], f"{place}.requestBody", report)
        return whole

    found = each_operation(document, changed)
    components = document.get("components", {})
    schemas = {name: _schema(each, name, report) for name, each in components.get("schemas", {}).items()}
    return {**found, "components": {**components, "schemas": schemas}} if schemas else found


def _parameters(parameters: list[dict[str, Any]], place: str, report: Report) -> list[dict[str, Any]]:
    first = sorted(parameters, key=lambda each: (each["in"] != "path", not each["required"], _is_foreign(each["name"])))
    left: list[dict[str, Any]] = []
    for number, why in _clashes([each["name"] for each in first], _OF_FUNCTIONS, as_written=False):
        if not first[number]["required"]:
            left.append(first[number])
            report(f"left out: {place}[{first[number]['name']!r}], {why}")
    return [each for each in parameters if not any(each is other for other in left)]


def _content(part: dict[str, Any], place: str, report: Report) -> dict[str, Any]:
    content = {
        kind: {**media, "schema": _schema(media["schema"], place, report)} if "schema" in media else media
        for kind, media in part.get("content", {}).items()
    }
    return {**part, "content": content} if content else part


def _schema(schema: Schema, place: str, report: Report) -> Schema:
    found = dict(schema)
    if "properties" in schema:
        required = schema.get("required", [])
        names = sorted(schema["properties"], key=lambda name: (name not in required, _is_foreign(name)))
        clashes = _clashes(names, _OF_MODELS, as_written=True)
        left = {names[number]: why for number, why in clashes if names[number] not in required}
        for name, why in left.items():
            report(f"left out: {place}.{name}, {why}")
        kept = [name for name in schema["properties"] if name not in left]
        found["properties"] = {name: _schema(schema["properties"][name], f"{place}.{name}", report) for name in kept}
    for key, word in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(key), dict):
            found[key] = _schema(schema[key], place + word, report)
    if "anyOf" in schema:
        found["anyOf"] = [_schema(each, place, report) for each in schema["anyOf"]]
    return found


def _clashes(names: Iterable[str], reserved: set[str], *, as_written: bool) -> Iterator[tuple[int, str]]:
    """Yield the places of names that are not available in Python, or clash with an earlier one, each with the reason.

    Args:
        names: the names, those that should stay first.
        reserved: the names that are not available in Python.
        as_written: whether the generator lets names that clash be as they are written, which takes a name from an
            earlier one only if that is written in another way in Python. To parameters it gives new names.
    """
    taken: dict[str, str] = {}
    for number, name in enumerate(names):
        ours = str(PythonIdentifier(name, prefix="field_"))
        if ours in reserved:
            yield number, "a name that generated code uses itself"
        elif ours not in taken:
            taken[ours] = name
        elif taken[ours] != ours or not as_written:
            yield number, f"which has the same name in Python as {taken[ours]}"


def _is_foreign(name: str) -> bool:
    """Whether a name is not in the API's own style, like `dataSourceId`."""
    return re.fullmatch(r"[a-z][A-Za-z0-9]*", name) is None
