"""All 13 operations and the usual refusals, with httpx and the models that datamodel-code-generator generates.

Runs in the environment of that tool, beside `models_made.py`. Bodies are built by the models that the description
names for them, and every answer is read by the model that it names for its status.
"""

import importlib
import os
from pathlib import Path
from typing import Any

import httpx
import yaml

URL, KEY = os.environ["DATABOX_API_URL"], os.environ["DATABOX_API_KEY"]
MADE = importlib.import_module("models_made")
DESCRIPTION = yaml.safe_load(Path("databox-v1.yaml").read_text("utf-8"))
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def operation_of(name: str) -> tuple[str, str, dict[str, Any]]:
    """Find an operation by its id: method, path and what is said of it."""
    return next(
        (method, path, operation)
        for path, item in DESCRIPTION["paths"].items()
        for method, operation in item.items()
        if operation["operationId"] == name
    )


def model_of(part: dict[str, Any]) -> Any:
    """Return the model of a body or an answer."""
    return getattr(MADE, part["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2])


def ask(name: str, *, key: str = KEY, body: Any = None, query: dict[str, Any] | None = None, **in_path: Any) -> Any:
    """Send a request; return its answer as the model for its status."""
    method, path, operation = operation_of(name)
    sent = model_of(operation["requestBody"]).model_validate(body) if body is not None else None
    answer = httpx.request(
        method.upper(),
        URL + path.format(**in_path),
        headers={"x-api-key": key},
        params=query,
        json=sent.model_dump(mode="json", exclude_unset=True) if sent is not None else None,
    )
    answers = operation["responses"]
    return model_of(answers.get(str(answer.status_code), answers["default"])).model_validate(answer.json())


def faulty(operation: str, status: int) -> None:
    """Let the next request of an operation be answered with a status."""
    fault = {"operation": operation, "status": status, "times": 1}
    httpx.post(f"{URL}/_sandbox/faults", json=fault).raise_for_status()


def main() -> None:
    """Do everything once; raise where something is not as it should be."""
    assert ask("validate_key").status == "success"
    account = ask("list_accounts").accounts[0]
    zone = ask("list_timezones").timezones[0].timezone
    source = ask("create_data_source", body={"title": "ERP", "accountId": account.id, "timezone": zone})
    assert source.id in [each.id for each in ask("list_data_sources", accountId=account.id).dataSources]
    body = {"title": "Invoices", "dataSourceId": source.id, "primaryKeys": ["id"]}
    dataset = ask("create_dataset", body=body)
    assert [each.title for each in ask("list_datasets", dataSourceId=source.id).datasets] == ["Invoices"]
    rows = {"records": [{"id": 1, "total": 9.5, "day": "2025-10-01", "note": None}]}
    receipt = ask("create_ingestion", datasetId=dataset.id, body=rows)
    outcome = ask("get_ingestion", datasetId=dataset.id, ingestionId=receipt.ingestionId)
    assert outcome.metrics.ingestionMetrics.appendedRecordsCount == 1
    page = ask("list_ingestions", datasetId=dataset.id, query={"page": 1, "pageSize": 10})
    assert (page.pagination.totalItems, page.ingestions[0].ingestionId) == (1, receipt.ingestionId)

    assert ask("validate_key", key="not-a-key").errors[0].code == "invalid_api_key"
    assert ask("purge_dataset", datasetId=UNKNOWN).errors[0].code == "not_found"
    faulty("create_ingestion", 413)
    assert ask("create_ingestion", datasetId=dataset.id, body=rows).errors[0].code == "request_too_large"
    faulty("list_ingestions", 429)
    assert ask("list_ingestions", datasetId=dataset.id).errors[0].code == "rate_limited"

    for name, in_path in (
        ("purge_dataset", {"datasetId": dataset.id}),
        ("delete_dataset", {"datasetId": dataset.id}),
        ("delete_data_source", {"dataSourceId": source.id}),
    ):
        assert ask(name, **in_path).status


if __name__ == "__main__":
    main()
