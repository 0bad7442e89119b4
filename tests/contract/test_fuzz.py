"""The fuzzer finds nothing in the sandbox, and is able to find something."""

import json

import pytest

from databox.sandbox import Fault, Sandbox
from tests.contract.fuzz import CONTRADICTIONS, MAKERS, fuzz, fuzzable
from tests.pipeline.forms import FORMS, described
from tests.reference import REFERENCE
from tools.contract.description import Description
from tools.spec.document import operations, parse

BRIEF = ["--phases", "examples,coverage,stateful", "--max-examples", "4", "--generation-deterministic", "--seed", "1"]


@pytest.mark.slow
def test_the_fuzzer_finds_nothing(box: Sandbox, description: Description) -> None:
    done = fuzz(box, description, arguments=BRIEF)
    assert done.returncode == 0, done.stdout + done.stderr
    # It did its work: every operation was asked, and did what it is for.
    reached = {request.operation for request in box.requests if request.status == 200}
    assert len(reached) == 13


@pytest.mark.slow
def test_the_fuzzer_finds_no_contradiction_to_what_was_pulled(box: Sandbox, published: Description) -> None:
    done = fuzz(box, published.loosened(), arguments=[*BRIEF, *CONTRADICTIONS])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_fuzzer_finds_a_contradiction(box: Sandbox, description: Description) -> None:
    body = {"requestId": "r", "status": "success", "accounts": [{"id": 123456, "name": 5}]}
    box.inject(Fault("accounts.list", status=200, body=body))
    done = fuzz(box, description.loosened(), arguments=[*BRIEF, *CONTRADICTIONS, "--include-path", "/v1/accounts"])
    assert done.returncode == 1
    assert "5 is not of type" in done.stdout


@pytest.mark.slow
def test_the_fuzzer_names_what_is_missing_from_an_answer(box: Sandbox, description: Description) -> None:
    body = {"requestId": "r", "status": "success", "accounts": [{"id": 123456, "name": "Acme Corp"}]}
    box.inject(Fault("accounts.list", status=200, body=body))
    done = fuzz(
        box, description, arguments=["--phases", "fuzzing", "--max-examples", "1", "--include-path", "/v1/accounts"]
    )
    assert done.returncode == 1
    assert "'accountType' is a required property" in done.stdout.replace('"', "'")
    assert box.api_key not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_however_the_api_is_described_it_can_be_fuzzed(form: str) -> None:
    description = Description.of(parse(described(form, REFERENCE), form))
    found = fuzzable(description)
    made = {f"{method.upper()} {path}": operation for path, method, operation in operations(found)}
    assert set(made) == {operation.key for operation in description.ours}
    assert len(made) == 13
    for maker, _ in MAKERS.values():
        assert made[maker]["responses"]["200"]["links"]
    body = made["POST /v1/data-sources"]["requestBody"]["content"]["application/json"]["schema"]
    assert json.dumps(body).count("Europe/Berlin") == 1
