"""The description for other generators: valid, complete, open, and of the same API."""

import copy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from databox.sending.verdict import _STATUS_OF_CODE as STATUS_OF_CODE
from tests.pipeline.conftest import REAL
from tests.pipeline.forms import FORMS, described
from tests.reference import REFERENCE
from tools.spec.describe import ENVELOPE, for_others
from tools.spec.describe import main as describe
from tools.spec.document import load, operations, parse, references
from tools.spec.normalise import corrected
from tools.spec.pins import PINS
from tools.spec.project import Project
from tools.spec.wire import facts_of, wire_of

KNOWN = load(REAL.error_codes)
OVERLAY = load(REAL.overlay)
PLAIN = for_others(corrected(REFERENCE, OVERLAY), KNOWN)


def other_form(form: str) -> dict[str, Any]:
    return for_others(corrected(parse(described(form, REFERENCE), form), OVERLAY), KNOWN)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_it_is_valid_and_says_the_same_whatever_form_it_is_made_from(form: str) -> None:
    found = other_form(form)
    validate(found)
    ours = {(path, method): each["operationId"] for path, method, each in operations(PLAIN)}
    theirs = {(path, method): each["operationId"] for path, method, each in operations(found)}
    assert ours.items() <= theirs.items()
    before, after = wire_of(PLAIN), wire_of(found)
    for key, facts in before.items():
        said = {place for place in facts if not place.startswith("header")}
        assert said <= after[key].keys()


def test_it_loses_nothing_of_the_description() -> None:
    before, after = facts_of(corrected(REFERENCE, OVERLAY)), wire_of(PLAIN)
    for key, facts in before.items():
        for place, fact in facts.items():
            assert after[key][place].kinds == fact.kinds
            assert after[key][place].required == fact.required
            closed = {detail for detail in fact.details if detail.startswith("one of")}
            assert after[key][place].details == fact.details - closed


def test_names_are_ours() -> None:
    assert {(each["operationId"]) for _, _, each in operations(PLAIN)} == {pin.name for pin in PINS}
    assert {"CreateDatasetBody", "ListAccountsResponse200", "ErrorResponse", ENVELOPE} <= set(
        PLAIN["components"]["schemas"]
    )
    assert [tag["name"] for tag in PLAIN["tags"]] == ["Accounts", "Auth", "Data Sources", "Datasets"]
    assert all(tag["description"] for tag in PLAIN["tags"])


def test_server_and_security_are_kept() -> None:
    assert PLAIN["servers"] == REFERENCE["servers"]
    assert PLAIN["security"] == [{"x-api-key": []}]
    assert PLAIN["components"]["securitySchemes"] == REFERENCE["components"]["securitySchemes"]


def test_every_operation_has_a_refusal_and_no_burdens() -> None:
    for _, _, operation in operations(PLAIN):
        refusal = operation["responses"]["default"]["content"]["application/json"]
        assert refusal["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
        assert not [each for each in operation.get("parameters", ()) if each["in"] == "header"]
    text = str(PLAIN)
    assert "'enum'" not in text
    assert "'default':" not in text.replace("'default': {'description'", "")


def test_the_codes_are_those_of_the_client_with_their_meanings() -> None:
    codes = KNOWN["codes"]
    entry = PLAIN["components"]["schemas"]["ErrorResponseErrorsItem"]["properties"]["code"]
    assert entry["examples"] == list(codes)
    for code, each in codes.items():
        assert each.keys() <= {"status", "meaning"}
        assert f"- `{code}`: {each['meaning']}" in entry["description"]
    inferred = {code: each.get("status") for code, each in codes.items()}
    assert STATUS_OF_CODE.items() <= inferred.items()
    assert inferred.keys() - STATUS_OF_CODE.keys() == {
        "method_not_allowed",
        "unsupported_media_type",
        "processing_failed",
    }


def test_known_values_are_examples() -> None:
    entry = PLAIN["components"]["schemas"]["ListAccountsResponse200AccountsItem"]["properties"]["accountType"]
    assert entry == {
        "type": "string",
        "description": "The kind of account. "
        "Known values: `organization`, `agency`, `client`, `standard`; new ones may appear.",
        "examples": ["organization", "agency", "client", "standard"],
    }


def test_successes_are_made_of_the_envelope() -> None:
    schemas = PLAIN["components"]["schemas"]
    assert schemas[ENVELOPE]["required"] == ["requestId", "status"]
    for name, schema in schemas.items():
        if name.endswith("Response200"):
            assert schema["allOf"][0] == {"$ref": f"#/components/schemas/{ENVELOPE}"}
    own = schemas["GetIngestionResponse200"]["allOf"][1]["properties"]
    assert own["status"]["description"].startswith("How far it is")  # which the envelope does not say


def test_every_body_and_answer_has_an_example_that_fits() -> None:
    count = 0
    for path, method, operation in operations(PLAIN):
        parts = {**operation["responses"], **({"body": operation["requestBody"]} if "requestBody" in operation else {})}
        for status, part in parts.items():
            media = part["content"]["application/json"]
            validator = Draft202012Validator({**PLAIN, **media["schema"]})
            assert list(validator.iter_errors(media["example"])) == [], (path, method, status)
            count += 1
    assert count == 13 * 2 + 3 + 24
    refused = PLAIN["paths"]["/v1/accounts"]["get"]["responses"]["401"]["content"]["application/json"]["example"]
    assert refused["errors"] == [{"code": "invalid_api_key", "message": "The key is wrong or expired."}]


def test_where_nothing_is_said_of_errors_it_is_what_is_known() -> None:
    bare = copy.deepcopy(REFERENCE)
    for _, _, operation in operations(bare):
        operation["responses"] = {"200": operation["responses"]["200"]}
    found = for_others(corrected(bare, OVERLAY), KNOWN)
    validate(found)
    assert found["components"]["schemas"]["ErrorResponse"]["required"] == ["requestId", "status", "errors"]
    assert {"default", "200"} == set(found["paths"]["/v1/accounts"]["get"]["responses"])


def test_refusals_that_a_framework_writes_are_not_taken_for_the_api_s() -> None:
    other = copy.deepcopy(REFERENCE)
    problem = {"type": "object", "properties": {"detail": {"type": "string"}, "status": {"type": "integer"}}}
    for _, _, operation in operations(other):
        operation["responses"] = {"200": operation["responses"]["200"], "422": {"description": "No."}}
        operation["responses"]["422"]["content"] = {"application/json": {"schema": problem}}
    found = for_others(corrected(other, OVERLAY), KNOWN)
    validate(found)
    answers = found["paths"]["/v1/accounts"]["get"]["responses"]
    assert answers["default"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
    assert "errors" in found["components"]["schemas"]["ErrorResponse"]["properties"]
    assert answers["422"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/ListAccountsResponse422"
    }


def test_where_nothing_is_said_of_keys_servers_and_summaries_they_are_what_is_known() -> None:
    bare = copy.deepcopy(REFERENCE)
    del (
        bare["security"],
        bare["components"]["securitySchemes"],
        bare["servers"],
        bare["tags"],
        bare["info"]["description"],
    )
    for _, _, operation in operations(bare):
        del operation["summary"], operation["tags"]
        operation["responses"]["200"]["description"] = ""
    found = for_others(corrected(bare, OVERLAY), KNOWN)
    validate(found)
    assert found["security"] == [{"x-api-key": []}]
    assert found["components"]["securitySchemes"]["x-api-key"]["name"] == "x-api-key"
    assert found["servers"] == [{"url": "https://api.databox.com"}]
    assert found["paths"]["/v1/accounts"]["get"]["summary"] == "List accounts"
    assert found["paths"]["/v1/accounts"]["get"]["tags"] == ["accounts"]


def test_examples_that_do_not_fit_go_and_those_that_lack_something_are_completed() -> None:
    spoilt = copy.deepcopy(REFERENCE)
    schemas = spoilt["components"]["schemas"]
    schemas["Account"]["properties"]["name"]["examples"] = [5, "Acme Corp"]
    schemas["requestId"] = {"type": "string", "format": "uuid"}
    schemas["created"] |= {"format": "date-time", "examples": ["yesterday"]}
    schemas["Error"]["required"] = ["code", "message", "field", "type"]
    content = spoilt["paths"]["/v1/auth/validate-key"]["get"]["responses"]["200"]["content"]["application/json"]
    content["example"] = {"requestId": 7}
    found = for_others(corrected(spoilt, OVERLAY), KNOWN)
    name = found["components"]["schemas"]["ListAccountsResponse200AccountsItem"]["properties"]["name"]
    assert name["examples"] == ["Acme Corp"]
    for _, _, operation in operations(found):
        for answer in operation["responses"].values():
            media = answer["content"]["application/json"]
            judge = Draft202012Validator(
                {**found, **media["schema"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
            )
            assert list(judge.iter_errors(media["example"])) == []
    dataset = found["paths"]["/v1/datasets"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert dataset["created"] == "2025-10-01T12:00:00Z"
    refused = found["paths"]["/v1/datasets"]["post"]["responses"]["400"]["content"]["application/json"]["example"]
    assert refused["errors"][0]["field"] == "id"


def test_answers_are_open_and_requests_as_they_were() -> None:
    closed = other_form("scattered")["components"]["schemas"]
    assert closed["CreateDatasetBody"]["additionalProperties"] is False
    assert not [name for name, schema in closed.items() if "Response" in name and "additionalProperties" in str(schema)]


def test_nothing_is_referred_to_that_is_not_there_and_nothing_is_there_for_nothing() -> None:
    used = {reference.rpartition("/")[2] for _, reference in references(PLAIN)}
    assert used == set(PLAIN["components"]["schemas"])


def test_as_a_command(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert describe([], project) == 0
    made = project.root / "build" / "databox-v1.yaml"
    assert str(made) in capsys.readouterr().out
    assert load(made) == PLAIN
    project.description.write_bytes(b"openapi: [")
    before = made.read_bytes()
    assert describe([], project) == 1
    assert "Nothing was written." in capsys.readouterr().err
    assert made.read_bytes() == before


def test_where_it_cannot_be_written(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert describe(["--out", str(tmp_path)], project) == 1
    assert "Cannot write" in capsys.readouterr().err


def test_the_one_beside_the_cases_is_made_of_what_was_pulled() -> None:
    document = load(REAL.plain)
    validate(document)
    assert {each["operationId"] for _, _, each in operations(document)} >= {pin.name for pin in PINS}
