"""Valid examples: the valid published ones, combined from parts if there is none for the whole."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from openapi_schema_validator import OAS31Validator

from tools.spec.classes import is_refusal
from tools.spec.document import each_operation
from tools.spec.schemas import NULL, Schema, said

__all__ = ["with_examples"]

_PLAIN: Mapping[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True}
_TEXTS: Mapping[str, str] = {
    "date-time": "2025-10-01T12:00:00Z",
    "date": "2025-10-01",
    "uuid": "b0eac937-c25c-47a5-bb7e-552f6b860458",
}
"""Example values for required fields without an example."""


def with_examples(document: dict[str, Any], codes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain document with an example for every body and answer, all of which their schemas allow.

    Args:
        document: the document.
        codes: the error codes with their statuses and meanings; the example of a refusal has one that fits its status.
    """

    def whole(part: dict[str, Any], status: str | None) -> dict[str, Any]:
        content = {}
        for kind, media in part.get("content", {}).items():
            schema = _cleared(media.get("schema", {}), document)
            candidates = _candidates(media, schema, codes, status)
            example = next((each for each in candidates if _fits(each, schema, document)), None)
            kept = {key: value for key, value in media.items() if key != "example"}
            kept |= {"schema": schema} if "schema" in media else {}
            content[kind] = {**kept, **({"example": example} if example is not None else {})}
        return {**part, **({"content": content} if content else {})}

    def parameter(each: dict[str, Any]) -> dict[str, Any]:
        schema = _cleared(each["schema"], document)
        fits = "example" in each and _fits(each["example"], schema, document)
        return {**{key: value for key, value in each.items() if key != "example" or fits}, "schema": schema}

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        answers = operation["responses"].items()
        found = {
            **operation,
            "parameters": [parameter(each) for each in operation["parameters"]],
            "responses": {
                status: whole(each, status if is_refusal(status, operation) else None) for status, each in answers
            },
        }
        if "requestBody" in operation:
            found["requestBody"] = whole(operation["requestBody"], None)
        return found

    return each_operation(document, changed)


def _candidates(media: dict[str, Any], schema: Schema, codes: Mapping[str, Any], status: str | None) -> Iterator[Any]:
    """Yield candidates for the example of a body or an answer, the best first."""
    if status is None and "example" in media:
        yield media["example"]
    example = _example(schema, needed=True)
    errors = example.get("errors") if status and isinstance(example, dict) else None
    if errors and isinstance(errors[0], dict):
        fitting = (code for code, each in codes.items() if str(each.get("status")) == status)
        code = next(fitting, "invalid_input")
        told = {"code": code, "message": codes[code]["meaning"]}
        yield {**example, "errors": [told]}
        yield {**example, "errors": [{**errors[0], **told}]}
    yield example


def _example(schema: Schema, needed: bool) -> Any:
    """Return an example combined from those of its parts; None if there is none, and none is needed."""
    if schema.get("examples"):
        return copy.deepcopy(schema["examples"][0])
    if "anyOf" in schema:
        return next((found for each in schema["anyOf"] if (found := _example(each, needed)) is not None), None)
    if "properties" in schema:
        required = schema.get("required", [])
        inner = {name: _example(each, name in required) for name, each in schema["properties"].items()}
        return {name: each for name, each in inner.items() if each is not None} or ({} if needed else None)
    if "items" in schema:
        item = _example(schema["items"], needed and bool(schema.get("minItems")))
        return [item] if item is not None else [] if needed else None
    kinds = [kind for kind in said(schema) if kind != "null"]
    if not needed or schema == NULL:
        return None
    if kinds == ["string"]:
        return _TEXTS.get(str(schema.get("format")), _PLAIN["string"])
    return _PLAIN.get(kinds[0], {} if kinds[0] == "object" else []) if kinds else "text"


def _cleared(schema: Schema, document: dict[str, Any]) -> Schema:
    """Return a schema without examples that it does not allow."""
    found = dict(schema)
    if "examples" in found:
        fitting = [each for each in found.pop("examples") if _fits(each, schema, document)]
        found |= {"examples": fitting} if fitting else {}
    if "properties" in found:
        found["properties"] = {name: _cleared(each, document) for name, each in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _cleared(found[key], document)
    if "anyOf" in found:
        found["anyOf"] = [_cleared(each, document) for each in found["anyOf"]]
    return found


def _fits(example: Any, schema: Schema, document: dict[str, Any]) -> bool:
    """Whether a schema allows an example; the document around it resolves its references."""
    try:
        judge = OAS31Validator({**document, **schema}, format_checker=OAS31Validator.FORMAT_CHECKER)
        return not any(judge.iter_errors(example))
    except Exception:  # noqa: BLE001 - a pattern, say, that is none
        return False
