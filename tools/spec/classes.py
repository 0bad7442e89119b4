"""Names generated classes by position, so that nothing depends on the publisher's names.

`ListAccountsResponse200`, and the items of its `accounts`, `ListAccountsResponse200AccountsItem`. Refusals
share one class, `ErrorResponse`, if they are the same on the wire.
"""

import json
import re
from collections import Counter
from typing import Any

from tools.spec.document import Report, each_operation, operations, silent
from tools.spec.loosen import PROMISED
from tools.spec.schemas import NULL, Schema, said

__all__ = ["REFUSAL", "is_refusal", "with_classes"]

REFUSAL = "ErrorResponse"


def with_classes(document: dict[str, Any], report: Report = silent) -> dict[str, Any]:
    """Return a plain document with each object as its own component, named by position.

    Args:
        document: the document; its components are recursive schemas.
        report: receives those for which there is no class.
    """
    namer = _Namer(document.get("components", {}).get("schemas", {}), report)
    refused = _commonest_refusal(document)

    def named(media: Schema, name: str) -> Schema:
        return {**media, "schema": namer.named(media["schema"], name)} if "schema" in media else media

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        name = _pascal(operation["operationId"])
        whole = dict(operation)
        if "requestBody" in operation:
            body = operation["requestBody"]
            content = {kind: named(media, f"{name}Body") for kind, media in body.get("content", {}).items()}
            whole["requestBody"] = {**body, "content": content}
        answers = {}
        for status, answer in operation["responses"].items():
            content = {}
            for kind, media in answer.get("content", {}).items():
                shared = is_refusal(status, operation) and _on_the_wire(media.get("schema")) == refused
                content[kind] = (
                    {**media, "schema": namer.shared(media["schema"], REFUSAL)}
                    if shared
                    else named(media, f"{name}Response{_status(status, operation)}")
                )
            answers[status] = {**answer, **({"content": content} if content else {})}
        return {**whole, "responses": answers}

    found = each_operation(document, changed)
    components = {key: value for key, value in document.get("components", {}).items() if key != "schemas"}
    schemas = {"schemas": dict(sorted(namer.classes.items()))} if namer.classes else {}
    return {**found, "components": {**components, **schemas}} if components or schemas else found


def _status(status: str, operation: dict[str, Any]) -> str:
    """Return the name of a status in a class: a success is 200, which is what the API answers, also as a range."""
    ranges = {"2XX", "default"} if "200" not in operation["responses"] and not is_refusal(status, operation) else set()
    return "200" if status in ranges else _pascal(status)


def is_refusal(status: str, operation: dict[str, Any]) -> bool:
    """Whether an answer with a status is a refusal; `default` is one if another one is a success."""
    if status == "default":
        return any(other.startswith("2") for other in operation["responses"])
    return status.startswith(("4", "5"))


def _commonest_refusal(document: dict[str, Any]) -> str | None:
    """Return the most common refusal; one in the API's own envelope takes precedence over any from a framework."""
    schemas = [
        media["schema"]
        for _, _, operation in operations(document)
        for status, answer in operation["responses"].items()
        for media in answer.get("content", {}).values()
        if is_refusal(status, operation) and media.get("schema", {}).get("properties")
    ]
    enveloped = [schema for schema in schemas if "errors" in schema["properties"]]
    found = Counter(map(_on_the_wire, enveloped or schemas))
    return found.most_common(1)[0][0] if found else None


def _on_the_wire(schema: Schema | None) -> str:
    """Return a text that is the same for schemas that differ only in their descriptions."""

    def bare(value: Any, named: bool = False) -> Any:
        if isinstance(value, list):
            return [bare(each) for each in value]
        if not isinstance(value, dict):
            return value
        if named:
            return {name: bare(each) for name, each in value.items()}
        kept = {key: each for key, each in value.items() if key not in {"description", "example", "examples"}}
        promised = str(value.get("description", "")).partition(PROMISED)[2]
        return {key: bare(each, named=key == "properties") for key, each in kept.items()} | {PROMISED: promised}

    return json.dumps(bare(schema), sort_keys=True)


class _Namer:
    """Gives names to objects, each name once."""

    def __init__(self, kept: dict[str, Schema], report: Report) -> None:
        self._report = report
        self._kept = kept
        """The recursive schemas."""
        self._renamed: dict[str, str] = {}
        self._taken = Counter[str]()
        self.classes: dict[str, Schema] = {}

    def shared(self, schema: Schema, name: str) -> Schema:
        """Return a reference to a class that several places share."""
        return _reference(name) if name in self.classes else self.named(schema, name)

    def named(self, schema: Schema, name: str) -> Schema:
        """Return a schema in which each object is a reference to its class."""
        if "$ref" in schema:
            return self._holding_itself(schema, name)
        if "anyOf" in schema:
            several = sum("object" in said(each) or "$ref" in each for each in schema["anyOf"]) > 1
            inner = [
                each if each == NULL else self.named(each, f"{name}Type{number}" if several else name)
                for number, each in enumerate(schema["anyOf"])
            ]
            return {**schema, "anyOf": inner}
        kinds = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
        if "array" in kinds and "items" in schema:
            return {**schema, "items": self.named(schema["items"], f"{name}Item")}
        if "object" not in kinds:
            return schema
        reference = self._made({**schema, "type": "object"}, name)
        if "null" not in kinds:
            return reference
        words = {"description": schema["description"]} if "description" in schema else {}
        return {"anyOf": [reference, NULL], **words}

    def _made(self, schema: Schema, name: str) -> Schema:
        name = self._free(name)
        self.classes[name] = {}  # its position among the others, before its own parts
        self.classes[name] = self._with_inner(schema, name)
        return _reference(name)

    def _with_inner(self, schema: Schema, name: str) -> Schema:
        found = dict(schema)
        if "properties" in schema:
            inner = sorted(schema["properties"].items())
            found["properties"] = {field: self.named(each, name + _pascal(field)) for field, each in inner}
        if isinstance(schema.get("additionalProperties"), dict):
            found["additionalProperties"] = self.named(schema["additionalProperties"], f"{name}Value")
        return found

    def _holding_itself(self, schema: Schema, name: str) -> Schema:
        known = schema["$ref"].rpartition("/")[2]
        words = {"description": schema["description"]} if "description" in schema else {}
        if known not in self._renamed:
            definition = self._kept[known]
            if "array" in said(definition):
                self._report(f"left out: what {known} holds, a list of itself, which no class can stand for")
                return {"type": "array", "items": {}, **words}
            if said(definition) != ["object"]:
                return self.named({**definition, **words}, name)
            self._renamed[known] = self._free(name)
            self.classes[self._renamed[known]] = {}
            self.classes[self._renamed[known]] = self._with_inner(definition, self._renamed[known])
        return _reference(self._renamed[known])

    def _free(self, name: str) -> str:
        """Return the name, with a number if another one differs only in case or underscores."""
        self._taken[name.lower()] += 1
        count = self._taken[name.lower()]
        return name if count == 1 else f"{name}{count}"


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _pascal(name: str) -> str:
    words = re.findall(r"[^\W_]+", name)
    return "".join(word[0].upper() + word[1:] for word in words) or "Unnamed"
