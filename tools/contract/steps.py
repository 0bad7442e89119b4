"""The steps of a walk through the API: all 13 operations, and common errors."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs

from tools.contract.recording import ABSENT

__all__ = ["ASKED_FOR", "STEPS", "Asked", "Step"]

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
NO_ACCOUNT = 2**53 - 1
ASKED_FOR = "$"
"""Starts a placeholder for a value from an earlier step: `$datasetId`."""


@attrs.frozen
class Asked:
    """A request, filled with values from earlier steps."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    text: str | None
    content_type: str | None
    good_key: bool


@attrs.frozen(kw_only=True)
class Step:
    """One request, with `$name` for values from earlier steps."""

    name: str
    operation: str
    refused: bool = False
    """Whether the API should refuse it; otherwise any refusal ends the walk."""
    path: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """Path parameters other than those from earlier steps."""
    query: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: Any = ABSENT
    text: str | None = None
    content_type: str = "application/json"
    good_key: bool = True
    finds: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Values that later steps need, by the answer's field."""
    settles: bool = False
    """Whether to repeat it until the ingestion's counts are complete."""

    def asked(self, found: Mapping[str, Any]) -> Asked:
        """Return the request."""
        method, _, path = self.operation.partition(" ")
        parameters = dict(found) | {name: _filled(value, found) for name, value in self.path.items()}
        for name, value in parameters.items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        has_body = self.text is not None or self.body is not ABSENT
        return Asked(
            method=method,
            path=path,
            query=self.query,
            body=_filled(self.body, found),
            text=self.text,
            content_type=self.content_type if has_body else None,
            good_key=self.good_key,
        )


def _filled(value: Any, found: Mapping[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith(ASKED_FOR):
        return found[value.removeprefix(ASKED_FOR)]
    if isinstance(value, list):
        return [_filled(item, found) for item in value]
    if isinstance(value, dict):
        return {name: _filled(item, found) for name, item in value.items()}
    return value


_CREATE_SOURCE = "POST /v1/data-sources"
_DELETE_SOURCE = "DELETE /v1/data-sources/{dataSourceId}"
_DATASETS = "GET /v1/data-sources/{dataSourceId}/datasets"
_SOURCES = "GET /v1/accounts/{accountId}/data-sources"
_CREATE_DATASET = "POST /v1/datasets"
_DELETE_DATASET = "DELETE /v1/datasets/{datasetId}"
_PURGE = "POST /v1/datasets/{datasetId}/purge"
_INGEST = "POST /v1/datasets/{datasetId}/data"
_INGESTIONS = "GET /v1/datasets/{datasetId}/ingestions"
_INGESTION = "GET /v1/datasets/{datasetId}/ingestions/{ingestionId}"


def _invoice(number: int, amount: float = 12.5) -> dict[str, Any]:
    return {"invoice_id": f"INV-{number}", "amount": amount, "date": "2025-10-01"}


_ROWS = {"records": [_invoice(1), _invoice(2), _invoice(3)]}

STEPS = (
    Step(name="validate-key", operation="GET /v1/auth/validate-key"),
    Step(name="validate-key-wrong", operation="GET /v1/auth/validate-key", refused=True, good_key=False),
    Step(name="list-accounts", operation="GET /v1/accounts"),
    Step(name="list-timezones", operation="GET /v1/accounts/timezones"),
    Step(name="list-data-sources-unknown", operation=_SOURCES, refused=True, path={"accountId": NO_ACCOUNT}),
    # Data sources
    Step(
        name="create-data-source",
        operation=_CREATE_SOURCE,
        body={"title": "$title", "accountId": "$accountId", "timezone": "UTC"},
        finds={"dataSourceId": "id"},
    ),
    Step(
        name="create-data-source-text-id",
        operation=_CREATE_SOURCE,
        refused=True,
        body={"title": "$title", "accountId": "not a number"},
    ),
    Step(name="list-data-sources", operation=_SOURCES),
    # Datasets
    Step(
        name="create-dataset",
        operation=_CREATE_DATASET,
        body={"title": "Transactions", "dataSourceId": "$dataSourceId", "primaryKeys": ["invoice_id"]},
        finds={"datasetId": "id"},
    ),
    Step(
        name="create-dataset-text-id",
        operation=_CREATE_DATASET,
        refused=True,
        body={"title": "Transactions", "dataSourceId": "not a number"},
    ),
    Step(
        name="create-dataset-untitled",
        operation=_CREATE_DATASET,
        refused=True,
        body={"dataSourceId": "$dataSourceId"},
    ),
    Step(name="list-datasets", operation=_DATASETS),
    # Ingestions
    Step(name="create-ingestion", operation=_INGEST, body=_ROWS, finds={"ingestionId": "ingestionId"}),
    Step(name="get-ingestion", operation=_INGESTION, settles=True),
    Step(
        name="create-ingestion-again",
        operation=_INGEST,
        body={"records": [_invoice(3, 99.5), _invoice(4)]},
        finds={"secondIngestionId": "ingestionId"},
    ),
    Step(name="get-ingestion-again", operation=_INGESTION, path={"ingestionId": "$secondIngestionId"}, settles=True),
    Step(
        name="create-ingestion-keyless",
        operation=_INGEST,
        body={"records": [_invoice(5), {"amount": 1.0}]},
        finds={"thirdIngestionId": "ingestionId"},
    ),
    Step(name="get-ingestion-keyless", operation=_INGESTION, path={"ingestionId": "$thirdIngestionId"}, settles=True),
    Step(
        name="create-ingestion-101",
        operation=_INGEST,
        refused=True,
        body={"records": [_invoice(number) for number in range(101)]},
    ),
    Step(name="create-ingestion-bare", operation=_INGEST, refused=True, body=[_invoice(1)]),
    Step(name="create-ingestion-not-json", operation=_INGEST, refused=True, text='{"records": ['),
    Step(name="create-ingestion-not-objects", operation=_INGEST, refused=True, body={"records": ["INV-1"]}),
    Step(
        name="create-ingestion-as-text",
        operation=_INGEST,
        refused=True,
        text='{"records": [{"invoice_id": "INV-1"}]}',
        content_type="text/plain",
    ),
    Step(name="list-ingestions", operation=_INGESTIONS),
    Step(name="list-ingestions-second-page", operation=_INGESTIONS, query={"page": "2", "pageSize": "1"}),
    Step(name="list-ingestions-page-zero", operation=_INGESTIONS, refused=True, query={"page": "0"}),
    Step(name="get-ingestion-unknown", operation=_INGESTION, refused=True, path={"ingestionId": UNKNOWN_ID}),
    # Delete what was created, and check that it is gone: nothing of others is ever deleted.
    Step(name="purge-dataset", operation=_PURGE),
    Step(name="delete-dataset", operation=_DELETE_DATASET),
    Step(name="delete-dataset-unknown", operation=_DELETE_DATASET, refused=True),
    Step(name="purge-dataset-unknown", operation=_PURGE, refused=True),
    Step(name="create-ingestion-unknown", operation=_INGEST, refused=True, body=_ROWS),
    Step(name="list-ingestions-unknown", operation=_INGESTIONS, refused=True),
    Step(name="delete-data-source", operation=_DELETE_SOURCE),
    Step(name="delete-data-source-unknown", operation=_DELETE_SOURCE, refused=True),
    Step(name="list-datasets-unknown", operation=_DATASETS, refused=True),
    Step(
        name="create-dataset-unknown",
        operation=_CREATE_DATASET,
        refused=True,
        body={"title": "Transactions", "dataSourceId": "$dataSourceId"},
    ),
)
"""In an order in which each step finds what it needs."""
