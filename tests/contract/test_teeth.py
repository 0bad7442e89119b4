"""A field that is missing anywhere is noticed and named: in an answer, a description, a recording."""

import copy
import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from databox.sandbox import Fault, Sandbox
from tests.contract.agreement import differences
from tests.contract.report import rows, table
from tests.pipeline.forms import FORMS, described
from tests.reference import REFERENCE
from tests.sandbox.http import ask
from tools.contract.description import Description, contradictions
from tools.contract.fields import sent
from tools.contract.recording import Recording, RecordingError, read, read_all
from tools.spec.document import parse
from tools.spec.normalise import plain

RECORDED = [item for item in read_all("documentation", "live") if item.status == 200]


def without(value: Any, path: str) -> Any:
    """Return a JSON value without the field at a path like `accounts[].id`."""
    if path.startswith("[]"):
        return [without(item, path[2:].removeprefix(".")) for item in value]
    name = path.partition(".")[0].partition("[")[0]
    rest = path[len(name) :].removeprefix(".")
    if not rest:
        return {key: item for key, item in value.items() if key != name}
    return {**value, name: without(value[name], rest)}


def fields(recording: Recording) -> list[str]:
    return [path for path in sent(recording.response.body) if not path.endswith("[]")]


def cut(recording: Recording, path: str) -> Recording:
    body = without(recording.response.body, path)
    return attrs.evolve(recording, response=attrs.evolve(recording.response, body=body))


EACH = pytest.mark.parametrize(
    "recording", [item for item in RECORDED if not item.name.startswith("error")], ids=lambda item: item.name
)


@EACH
def test_a_field_gone_from_the_sandbox_s_answer(emulated: dict[str, Recording], recording: Recording) -> None:
    for path in fields(recording):
        found = differences(cut(emulated[recording.name], path), recording)
        assert any(f"{path} is in the recording, but the sandbox does not send it" in line for line in found)
        assert all(recording.operation in line for line in found)


@EACH
def test_a_field_gone_from_a_recording(emulated: dict[str, Recording], recording: Recording) -> None:
    for path in fields(recording):
        found = differences(emulated[recording.name], cut(recording, path))
        assert any(f"{path} is sent by the sandbox, but is not in the recording" in line for line in found)


def undescribe(schema: Any, name: str) -> None:
    """Take a field out of every schema of a description."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            schema["properties"].pop(name, None)
        if isinstance(schema.get("required"), list):
            schema["required"] = [item for item in schema["required"] if item != name]
    for item in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        undescribe(item, name)


ANSWERED = sorted({path.replace("[]", "").rpartition(".")[2] for item in RECORDED for path in fields(item)})


@pytest.mark.parametrize("name", ANSWERED)
def test_a_field_gone_from_the_description(emulated: dict[str, Recording], name: str) -> None:
    document = copy.deepcopy(REFERENCE)
    undescribe(document, name)
    description = Description(plain(document))  # without our corrections, which know some of them
    for source in (RECORDED, emulated.values()):
        found = [problem for item in source for problem in problems(description, item)]
        assert any(name in problem and "is not described" in problem for problem in found)


NARROWER = {"dotnet": "the status is not described", "strict": "'errors' is a required property"}
"""Forms that say less than the others, or demand more."""


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(FORMS.keys() - NARROWER.keys()))
def test_the_same_api_described_otherwise_is_the_same(emulated: dict[str, Recording], form: str) -> None:
    description = Description.of(parse(described(form, REFERENCE), form))
    assert [problem for item in [*RECORDED, *emulated.values()] for problem in problems(description, item)] == []


@pytest.mark.parametrize("form", NARROWER)
def test_a_narrower_description_is_not(emulated: dict[str, Recording], form: str) -> None:
    description = Description.of(parse(described(form, REFERENCE), form))
    for item in emulated.values():
        sent = item.response
        found = description.response_problems(item.operation, item.status, sent.content, sent.content_type)
        assert contradictions(found) == []  # it is narrower, and no more than that
    told = [problem for item in emulated.values() for problem in problems(description, item)]
    assert any(NARROWER[form] in problem for problem in told)


def problems(description: Description, item: Recording) -> list[str]:
    sent = item.response
    found = description.response_problems(item.operation, item.status, sent.content, sent.content_type)
    return [problem.text for problem in found]


def test_a_required_field_gone_from_an_answer_is_against_the_description(
    box: Sandbox, description: Description
) -> None:
    body = {"requestId": "r", "status": "success", "accounts": [{"id": 1, "name": "n"}]}
    box.inject(Fault("accounts.list", body=body))
    answer = ask(box, "GET", "/v1/accounts")
    (found,) = description.response_problems(
        "GET /v1/accounts", answer.status_code, answer.content, answer.headers["content-type"]
    )
    assert found.text == "GET /v1/accounts 200: accounts[0]: 'accountType' is a required property"


def test_a_key_in_a_recording_is_refused(tmp_path: Path) -> None:
    document = RECORDED[0].document()
    document["request"]["headers"]["x-api-key"] = "not masked"
    path = tmp_path / "with-a-key.json"
    path.write_text(json.dumps(document))
    with pytest.raises(RecordingError, match="x-api-key"):
        read(path)


def test_the_report(description: Description) -> None:
    found = rows(description, RECORDED)
    assert [row for row in found if not row.is_fine] == []
    told = {(row.operation, row.status): row for row in found}
    assert {key for key, _ in told} == {operation.key for operation in description.ours}
    assert attrs.astuple(told["GET /v1/accounts", 200])[2:] == ("page", "documentation", "itself", "Page[Account]")
    assert told["DELETE /v1/data-sources/{dataSourceId}", 403].emulated == "on demand"
    assert told["DELETE /v1/datasets/{datasetId}", 404].documented == "general"
    text = table(found)
    assert len(text.splitlines()) == len(found) + 1
    assert "emulated" in text.splitlines()[0]


def test_the_report_names_what_is_wrong(description: Description) -> None:
    document = copy.deepcopy(REFERENCE)
    document["components"]["schemas"]["Account"]["properties"]["accountType"] = {"type": "integer"}
    told = {(row.operation, row.status): row for row in rows(Description.of(document), RECORDED)}
    assert told["GET /v1/accounts", 200].emulated == "not as described"
    assert not told["GET /v1/accounts", 200].is_fine
