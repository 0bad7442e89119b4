"""Write the description for other generators: the same API in one plain form, complete, with open enumerations.

    python -m tools.spec.describe [--out FILE]

It is the plain form with our corrections, and with additions for authors of clients: an error
answer for every operation, the error codes with their meanings, known values as examples rather than closed lists, an
example for every body and answer, and the envelope of successes as a component.
"""

import argparse
import copy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from databox.config import KEY_HEADER
from tools.spec.classes import REFUSAL, is_refusal, with_classes
from tools.spec.document import Report, SpecError, dump, each_operation, load, operations, silent, with_words
from tools.spec.examples import with_examples
from tools.spec.project import Project
from tools.spec.schemas import Schema
from tools.spec.source import needed

__all__ = ["ENVELOPE", "described", "for_others"]

ENVELOPE = "SuccessEnvelope"
_IN_THE_ENVELOPE = ("requestId", "status")
_ABOUT = (
    "This is the published description in a plain form for generators of code, made by `make description` of "
    "databox-sdk for Python: operations are named, every operation has an error answer, and lists of words are open."
)


def described(project: Project, description: Path, report: Report) -> bytes:
    """Return the description for other generators as YAML. Raises SpecError if a description cannot be used."""
    return dump(for_others(needed(project, description, report), load(project.error_codes)))


def for_others(document: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a corrected description in the plain form, completed for other generators.

    Args:
        document: the description.
        known: the content of `openapi/error-codes.yaml`.
    """
    complete = with_examples(_opened(_with_refusals(document, known)), known["codes"])
    named = _with_security(_with_envelope(with_classes(complete)))
    security = [operation.get("security") for _, _, operation in operations(named)]
    same = security[0] if security and all(each == security[0] for each in security) else None
    tags = {name: each for each in document.get("tags", []) for name in [each.get("name")]}

    def finished(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        ours, *theirs = operation["tags"]
        kept = {key: value for key, value in operation.items() if not (key == "security" and same)}
        order = ("operationId", "tags", "summary", "description", "deprecated", "security", "parameters", "requestBody")
        whole = {"summary": operation["operationId"].replace("_", " ").capitalize(), **kept, "tags": theirs or [ours]}
        answers = operation["responses"].items()
        whole["responses"] = {status: {"description": "The answer.", **each} for status, each in answers}
        for tag in whole["tags"]:
            tags.setdefault(tag, {"name": tag})
        return {key: whole[key] for key in (*order, "responses") if whole.get(key)}

    paths = each_operation(named, finished)["paths"]
    info = document["info"] if isinstance(document.get("info"), dict) else {}
    about = {"title": str(info.get("title", "Databox API")), "version": str(info.get("version", "v1"))}
    return {
        "openapi": "3.1.0",
        "info": {**info, **with_words({**about, "description": info.get("description", "")}, _ABOUT)},
        "servers": document.get("servers") or [{"url": "https://api.databox.com"}],
        **({"security": same} if same else {}),
        "tags": list(tags.values()),
        "paths": paths,
        "components": named.get("components", {}),
    }


def _with_refusals(document: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with a refusal for every operation: its own, another operation's, or the known one."""
    codes = known["codes"].items()
    table = "\n".join(f"- `{code}`: {each['meaning']}" for code, each in codes)

    def refusals(operation: dict[str, Any]) -> list[Schema]:
        return [
            media["schema"]
            for status, answer in sorted(operation["responses"].items())
            if is_refusal(status, operation)
            for kind, media in answer.get("content", {}).items()
            if kind == "application/json" and "errors" in media.get("schema", {}).get("properties", {})
        ]

    anywhere = [each for _, _, operation in operations(document) for each in refusals(operation)]

    def explained(schema: Schema) -> Schema:
        whole = copy.deepcopy(schema)
        entry = whole.get("properties", {}).get("errors", {}).get("items", {}).get("properties", {}).get("code")
        if entry is not None:
            words = str(entry.get("description", "The machine code.")).rstrip()
            entry |= {"description": f"{words}\n\n{table}", "examples": [code for code, _ in codes]}
        return whole

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        own = next(iter([*refusals(operation), *anywhere]), known["refusal"])
        answers = {
            status: _mapped(answer, explained) if is_refusal(status, operation) else answer
            for status, answer in operation["responses"].items()
        }
        if "default" not in answers:
            words = "The request was refused, or failed; any operation may answer so. `errors[].code` says why."
            answers["default"] = {"description": words, "content": {"application/json": {"schema": explained(own)}}}
        return {**operation, "responses": answers}

    return each_operation(document, changed)


def _mapped(part: dict[str, Any], change: Any) -> dict[str, Any]:
    content = part.get("content", {}).items()
    changed = {
        kind: {**media, "schema": change(media["schema"])} if "schema" in media else media for kind, media in content
    }
    return {**part, "content": changed} if changed else part


def _opened(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with open enumerations and open answers."""

    def opened(schema: Schema, answers: bool = False) -> Schema:
        found = {key: value for key, value in schema.items() if key != "enum"}
        if answers and found.get("additionalProperties") is False:
            del found["additionalProperties"]
        if "enum" in schema:
            values = ", ".join(f"`{value}`" for value in schema["enum"])
            found = with_words(found, f"Known values: {values}; new ones may appear.")
            found["examples"] = schema["enum"]
        if "properties" in found:
            found["properties"] = {name: opened(each, answers) for name, each in found["properties"].items()}
        for key in ("items", "additionalProperties"):
            if isinstance(found.get(key), dict):
                found[key] = opened(found[key], answers)
        if "anyOf" in found:
            found["anyOf"] = [opened(each, answers) for each in found["anyOf"]]
        return found

    def in_answers(schema: Schema) -> Schema:
        return opened(schema, answers=True)

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        answers = operation["responses"].items()
        whole = {
            **operation,
            "parameters": [{**each, "schema": opened(each["schema"])} for each in operation["parameters"]],
            "responses": {status: _mapped(each, in_answers) for status, each in answers},
        }
        if "requestBody" in operation:
            whole["requestBody"] = _mapped(operation["requestBody"], opened)
        return whole

    found = each_operation(document, changed)
    components = document.get("components", {})
    schemas = {name: in_answers(each) for name, each in components.get("schemas", {}).items()}
    return {**found, "components": {**components, "schemas": schemas}} if schemas else found


def _with_envelope(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the common part of all successes as a component."""
    schemas = document.get("components", {}).get("schemas", {})
    successes = {
        name: schema
        for name, schema in schemas.items()
        if name != REFUSAL and set(_IN_THE_ENVELOPE) <= schema.get("properties", {}).keys() and _answers(name, document)
    }
    barest = min(successes.values(), key=lambda each: len(each["properties"]), default=None)
    if barest is None:
        return document
    shared = {name: barest["properties"][name] for name in _IN_THE_ENVELOPE}
    envelope: Schema = {"type": "object", "description": "What every success holds beside its own fields."}
    always = [name for name in shared if all(name in each.get("required", []) for each in successes.values())]
    envelope |= {"required": always, "properties": shared} if always else {"properties": shared}
    for name, schema in successes.items():
        if any(_bare(schema["properties"][field]) != _bare(shared[field]) for field in shared):
            continue
        inner = schema["properties"].items()
        own = {field: each for field, each in inner if field not in shared or each != shared[field]}
        required = [field for field in schema.get("required", []) if field in own]
        rest = {**schema, "properties": own}
        rest = {key: value for key, value in rest.items() if key not in {"required", "description"}}
        parts: list[Schema] = [{"$ref": f"#/components/schemas/{ENVELOPE}"}]
        parts += [{**rest, **({"required": required} if required else {})}] if own else []
        words = {"description": schema["description"]} if "description" in schema else {}
        schemas = {**schemas, name: {**words, "allOf": parts}}
    components = {**document["components"], "schemas": dict(sorted({ENVELOPE: envelope, **schemas}.items()))}
    return {**document, "components": components}


def _with_security(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the key as security, if it says nothing about security."""
    if any("security" in operation for _, _, operation in operations(document)):
        return document
    components = document.get("components", {})
    scheme = {"type": "apiKey", "in": "header", "name": KEY_HEADER}
    whole = {**document, "components": {**components, "securitySchemes": {KEY_HEADER: scheme}}}
    return each_operation(whole, lambda path, method, operation: {**operation, "security": [{KEY_HEADER: []}]})


def _answers(name: str, document: dict[str, Any]) -> bool:
    """Whether a component is a complete success answer."""
    reference = f"#/components/schemas/{name}"
    return any(
        media.get("schema", {}).get("$ref") == reference
        for _, _, operation in operations(document)
        for status, answer in operation["responses"].items()
        if not is_refusal(status, operation)
        for media in answer.get("content", {}).values()
    )


def _bare(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in {"description", "examples"}}


def main(arguments: list[str] | None = None, project: Project | None = None) -> int:
    """Run as a command; return the exit status."""
    project = project or Project()
    parser = argparse.ArgumentParser(description="Write the description for other generators.")
    parser.add_argument("--out", type=Path, default=project.root / "build" / project.description.name)
    given = parser.parse_args(arguments)
    try:
        content = described(project, project.description, silent)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_bytes(content)
    except SpecError as error:
        print(f"Nothing was written. {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Cannot write {given.out}: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"The description for other generators is {given.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
