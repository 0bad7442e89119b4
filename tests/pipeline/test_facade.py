"""What the client sends and reads is in the description; what is not is named, by operation and field."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from databox.api.answers import ACCOUNT
from databox.api.reading import Field, Shape
from tests.pipeline.conftest import REAL
from tests.pipeline.forms import FORMS, described
from tests.reference import REFERENCE
from tools.spec.diff import compare
from tools.spec.document import load, parse
from tools.spec.facade import of_the_client, unmet
from tools.spec.normalise import corrected
from tools.spec.validity import read
from tools.spec.wire import facts_of

Document = dict[str, Any]
OVERLAY = load(REAL.overlay)
RELIED = of_the_client()


def of(document: Document) -> list[str]:
    return list(unmet(RELIED, facts_of(corrected(document, OVERLAY))))


def test_the_description_has_everything_that_the_client_sends_and_reads() -> None:
    assert of(read(REAL.description).document) == []


def test_so_has_the_reference() -> None:
    assert of(REFERENCE) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_and_every_other_form_of_it(form: str) -> None:
    assert of(parse(described(form, REFERENCE), form)) == []


def schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def renamed(document: Document, schema_name: str, field: str) -> None:
    properties = schema(document, schema_name)["properties"]
    properties["renamed"] = properties.pop(field)


def at_the_listing(document: Document, **parameter: Any) -> None:
    parameters = document["paths"]["/v1/datasets/{datasetId}/ingestions"]["get"]["parameters"]
    parameters[1] = {**parameters[1], **parameter}


CHANGES: dict[str, tuple[Callable[[Document], object], str]] = {
    "an answer field": (
        lambda document: renamed(document, "Account", "accountType"),
        (
            "GET /v1/accounts (accounts.list): answer field accounts[].accountType is not in the description, and the "
            "client reads it."
        ),
    ),
    "a list": (
        lambda document: renamed(document, "DatasetsResponse", "datasets"),
        (
            "GET /v1/data-sources/{dataSourceId}/datasets (data_sources.list_datasets): answer field datasets is not "
            "in the description, and the client reads it."
        ),
    ),
    "a deep field": (
        lambda document: schema(document, "IngestionResponse")["properties"]["metrics"]["properties"][
            "ingestionMetrics"
        ]["properties"].pop("rejectedRecordsCount"),
        (
            "GET /v1/datasets/{datasetId}/ingestions/{ingestionId} (datasets.get_ingestion): answer field "
            "metrics.ingestionMetrics.rejectedRecordsCount is not in the description, and the client reads it."
        ),
    ),
    "a request field": (
        lambda document: renamed(document, "CreateDataSourceRequest", "timezone"),
        (
            "POST /v1/data-sources (data_sources.create): request field timezone is not in the description, and the "
            "client sends it."
        ),
    ),
    "a type that is read": (
        lambda document: schema(document, "Dataset")["properties"].update(id={"type": "integer"}),
        (
            "GET /v1/data-sources/{dataSourceId}/datasets (data_sources.list_datasets): answer field datasets[].id is "
            "described as integer, and the client reads string."
        ),
    ),
    "a type that is sent": (
        lambda document: at_the_listing(document, schema={"type": "boolean"}),
        (
            "GET /v1/datasets/{datasetId}/ingestions (datasets.list_ingestions): query parameter page is described as "
            "boolean, and the client sends integer."
        ),
    ),
    "a type in a path": (
        lambda document: document["components"]["parameters"]["AccountId"].update(schema={"type": "string"}),
        (
            "GET /v1/accounts/{accountId}/data-sources (accounts.list_data_sources): path parameter accountId is "
            "described as string, and the client sends integer."
        ),
    ),
    "a field that must be sent": (
        lambda document: schema(document, "CreateDataSourceRequest")["required"].append("accountId"),
        (
            "POST /v1/data-sources (data_sources.create): request field accountId is required, and the client does not "
            "always send it."
        ),
    ),
    "a parameter that must be sent": (
        lambda document: at_the_listing(document, name="since", required=True),
        (
            "GET /v1/datasets/{datasetId}/ingestions (datasets.list_ingestions): query parameter since is required, "
            "and the client does not always send it."
        ),
    ),
    "an operation": (
        lambda document: document["paths"].pop("/v1/auth/validate-key"),
        "GET /v1/auth/validate-key (auth.validate_key): the description does not have this operation.",
    ),
    "the key's header": (
        lambda document: document["components"]["securitySchemes"]["x-api-key"].update(name="x-other"),
        "GET /v1/accounts (accounts.list): key in header x-api-key is not in the description, and the client sends it.",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_there_is_named_with_operation_and_field(name: str) -> None:
    change, said = CHANGES[name]
    document = copy.deepcopy(REFERENCE)
    change(document)
    found = of(document)
    assert any(line.startswith(said) for line in found), found
    assert all(line.startswith(said[:40]) for line in found) or name == "the key's header"
    if name != "an operation":
        assert "openapi/overlay.yaml" in found[0]


def test_what_nothing_is_said_of_is_not_missed() -> None:
    """Neither keys nor errors, nor types."""
    document = copy.deepcopy(REFERENCE)
    del document["security"], document["components"]["securitySchemes"]
    for item in document["paths"].values():
        for operation in item.values():
            operation["responses"] = {
                status: answer for status, answer in operation["responses"].items() if status[0] == "2"
            }
    schema(document, "Account")["properties"] = {"id": {}, "name": True, "accountType": {"description": "The kind."}}
    document["components"]["parameters"]["AccountId"]["schema"] = {}
    schema(document, "CreateIngestionRequest")["properties"]["records"] = {"description": "The rows."}
    schema(document, "DatasetsResponse")["properties"]["datasets"] = {}
    assert of(document) == []


def test_refusals_that_only_a_framework_writes_are_not_missed() -> None:
    document = copy.deepcopy(REFERENCE)
    schema(document, "ErrorResponse")["properties"] = {"detail": {"type": "array", "items": {"type": "object"}}}
    schema(document, "ErrorResponse")["required"] = ["detail"]
    assert of(document) == []
    assert {change.weight for change in compare(REFERENCE, document)} == {"described", "harmless"}


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/vnd.databox+json", "text/csv"])
def test_a_body_that_is_not_plain_json_is_not_what_the_client_sends(kind: str) -> None:
    document = copy.deepcopy(REFERENCE)
    body = document["paths"]["/v1/datasets/{datasetId}/data"]["post"]["requestBody"]
    body["content"] = {kind: body["content"]["application/json"]}
    where = "POST /v1/datasets/{datasetId}/data (datasets.create_ingestion): JSON request"
    assert of(document)[0].startswith(f"{where} is not in the description, and the client sends it.")
    assert [str(each) for each in compare(REFERENCE, document) if each.weight == "breaks"] == [f"{where} is gone"]


def test_a_name_in_a_reading_table_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is listed anywhere else."""
    plan = Field("name", ("plan", "tier"), str)
    monkeypatch.setattr("databox.api.answers.ACCOUNT", Shape(ACCOUNT.model, (*ACCOUNT.fields, plan)))
    places = of_the_client()["GET /v1/accounts"].places
    assert places["answer field accounts[].plan"] == "object"
    assert places["answer field accounts[].plan.tier"] == "string"


def test_a_request_that_cannot_be_built_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(dataset_id: str) -> None:
        raise ImportError("cannot import name 'purge_dataset'")

    monkeypatch.setattr("databox.api.operations.datasets_purge", broken)
    found = list(unmet(of_the_client(), facts_of(corrected(REFERENCE, OVERLAY))))
    assert found == [
        (
            "POST /v1/datasets/{datasetId}/purge (datasets.purge): the client cannot build this request: ImportError: "
            "cannot import name 'purge_dataset'. Fix databox/api/operations.py."
        )
    ]


def test_a_request_that_goes_elsewhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from databox.api import operations

    monkeypatch.setattr("databox.api.operations.datasets_purge", operations.datasets_delete)
    assert of_the_client()["POST /v1/datasets/{}/purge"].broken == "it is DELETE /v1/datasets/dataset"
