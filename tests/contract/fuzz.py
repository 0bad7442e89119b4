"""Fuzzes the sandbox from the description with schemathesis: single requests, and chains of them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from databox.sandbox import Sandbox
from tools.contract.description import Description
from tools.contract.recording import ABSENT
from tools.contract.steps import STEPS
from tools.spec.document import operations
from tools.spec.project import Project

__all__ = ["CONTRADICTIONS", "fuzz", "fuzzable"]

CONTRADICTIONS = ["--checks", "not_a_server_error,response_schema_conformance"]
"""What to look for where a description may be narrower or wider than the sandbox: other types, and crashes."""

NARROWED: dict[str, dict[str, Any]] = {
    "accountId": {"minimum": 1},
    "dataSourceId": {"minimum": 1},
    "page": {"minimum": 1, "maximum": 2**63 - 1},
    "pageSize": {"minimum": 1, "maximum": 1000},
    "timezone": {"enum": ["UTC", "Europe/Berlin", "America/New_York"]},
    "primaryKeys": {"items": {"type": "string", "minLength": 1}},
    "records": {"minItems": 1},
}
"""What the reference says in words, or the sandbox infers, of fields and parameters beyond their schemas."""

MAKERS = {
    "dataSourceId": ("POST /v1/data-sources", "id"),
    "datasetId": ("POST /v1/datasets", "id"),
    "ingestionId": ("POST /v1/datasets/{datasetId}/data", "ingestionId"),
}
"""Which answer holds the id for a path."""

_NOT_CHECKED = "ensure_resource_availability"
"""It does not know that deleting a data source takes its datasets with it."""

_FUZZER = "from schemathesis.cli import schemathesis; schemathesis(prog_name='schemathesis')"


def fuzzable(description: Description, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the description with what a fuzzer cannot know: general refusals, words as rules, where ids are from.

    Args:
        description: the description.
        known: ids that there are, by the name of their parameter, to begin with.
    """
    document = description.completed()
    document["paths"] = {
        path: {method: whole for method, whole in item.items() if f"{method.upper()} {path}" in _ours(description)}
        for path, item in document["paths"].items()
    }
    for _, method, operation in operations(document):
        # What is known must last: nothing is deleted by an example.
        examples = dict.fromkeys(known or ()) if method == "delete" else known or {}
        operation["parameters"] = [_narrowed_parameter(item, examples) for item in operation["parameters"]]
        if "requestBody" in operation:
            operation["requestBody"] = _narrowed(operation["requestBody"], known or {})
    for path, method, operation in operations(document):
        _link(document, path, method, operation)
    return document


def fuzz(box: Sandbox, description: Description, *, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run the fuzzer against a sandbox; its exit status is 0 when it found nothing."""
    document = fuzzable(description, _known(box))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "description.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        command = [sys.executable, "-c", _FUZZER, "run", str(file), "--url", box.url, "-H", f"x-api-key: {box.api_key}"]
        return subprocess.run(
            [*command, "--no-color", "--warnings", "off", "--exclude-checks", _NOT_CHECKED, *arguments],
            cwd=folder,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.contract.fuzz_hooks", "PYTHONPATH": str(Project().root)},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )


def _ours(description: Description) -> set[str]:
    return {operation.key for operation in description.ours}


def _link(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> None:
    """Say where the ids in a path come from."""
    pointer = f"#/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}"
    names = [name for name in MAKERS if f"{{{name}}}" in path]
    if names:
        maker, field = MAKERS[names[-1]]
        parameters = {name: f"$request.path.{name}" for name in names[:-1]}
        link = {"operationRef": pointer, "parameters": parameters | {names[-1]: f"$response.body#/{field}"}}
    elif (method, path) == ("post", "/v1/datasets"):
        maker, field = MAKERS["dataSourceId"]
        link = {"operationRef": pointer, "requestBody": {"dataSourceId": f"$response.body#/{field}"}}
    else:
        return
    verb, _, made_at = maker.partition(" ")
    answers = document["paths"][made_at][verb.lower()]["responses"]
    answer = next(answers[status] for status in ("200", "2XX", "default") if status in answers)
    answer.setdefault("links", {})[f"{method} {path}"] = link


def _known(box: Sandbox) -> dict[str, Any]:
    """Return the ids of things made in the sandbox, without which most random requests end in 404."""
    found: dict[str, Any] = {"title": "Known to the fuzzer"}
    with httpx.Client(base_url=box.url, headers={"x-api-key": box.api_key}, verify=False) as http:
        for step in STEPS:
            if step.name in {"list-accounts", "create-data-source", "create-dataset", "create-ingestion"}:
                asked = step.asked(found)
                body = None if asked.body is ABSENT else asked.body
                answer = http.request(asked.method, asked.path, json=body).json()
                found |= {name: answer[field] for name, field in step.finds.items()}
                found.setdefault("accountId", answer.get("accounts", [{}])[0].get("id"))
    return found


def _narrowed_parameter(parameter: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    name = parameter["name"]
    schema = {**parameter.get("schema", {}), **NARROWED.get(name, {})}
    if name not in known:
        return {**parameter, "schema": schema}
    bare = {field: value for field, value in parameter.items() if field not in {"example", "examples"}}
    schema = {field: value for field, value in schema.items() if field not in {"example", "examples"}}
    return {**bare, "schema": schema} | ({} if known[name] is None else {"example": known[name]})


def _narrowed(value: Any, known: Mapping[str, Any]) -> Any:
    """Return a schema with the rules of its fields added."""
    if isinstance(value, list):
        return [_narrowed(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: _narrowed(item, known) for name, item in value.items()}
    properties = found.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    for name, field in properties.items():
        example = {"examples": [known[name]]} if name in known else {}
        properties[name] = {**field, **NARROWED.get(name, {}), **example}
    return found
