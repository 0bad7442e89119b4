"""How the facade makes each request, and how it must read each answer, written by hand.

The models are built from the wire's fields without the library's own tables, so that the two can disagree.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import attrs

from databox import (
    Account,
    APIStatusError,
    AsyncPage,
    Dataset,
    DatasetMetrics,
    DataSource,
    ErrorDetail,
    Ingestion,
    IngestionReceipt,
    IngestionSummary,
    InvalidResponseError,
    Page,
    TimeZone,
)
from tools.contract.recording import Recording

__all__ = ["CALLS", "VALID_BODIES", "Call", "Outcome", "ask", "expected"]

Json = Mapping[str, Any]


@attrs.frozen
class Outcome:
    """What the caller of the facade gets."""

    result: Any = None
    """Models; of a list those of its first page."""
    error: str | None = None
    """The name of the error's class."""
    status: int | None = None
    errors: tuple[ErrorDetail, ...] = ()
    request_id: str | None = None


@attrs.frozen
class Call:
    """One operation of the facade."""

    make: Callable[[Any, Json, Json], Any]
    """From a client, path parameters and body to the facade's answer."""
    read: Callable[[Json, Json, Json], Any]
    """From the answer, path parameters and body to what that should be."""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _source(item: Json) -> DataSource:
    return DataSource(
        id=item["id"],
        title=item["title"],
        created=_moment(item["created"]),
        timezone=item["timezone"],
        key=item["key"],
        ingestion_supported=item.get("ingestionSupported"),
    )


def _ingestion(answer: Json) -> Ingestion:
    metrics = answer.get("metrics") or {}
    counts, dataset = metrics.get("ingestionMetrics") or {}, metrics.get("datasetMetrics")
    return Ingestion(
        id=answer["ingestionId"],
        timestamp=_moment(answer["timestamp"]),
        status=answer["status"],
        received=counts.get("receivedRecordsCount"),
        appended=counts.get("appendedRecordsCount"),
        overwritten=counts.get("overwrittenRecordsCount"),
        rejected=counts.get("rejectedRecordsCount"),
        dataset_metrics=None
        if dataset is None
        else DatasetMetrics(
            columns_count=dataset["columnsCount"],
            size_mb=dataset["datasetSizeMB"],
            total_records_count=dataset["totalDatasetRecordsCount"],
        ),
        errors=_errors(answer),
    )


def _errors(answer: Json) -> tuple[ErrorDetail, ...]:
    names = ("code", "message", "field", "type")
    return tuple(ErrorDetail(**{name: entry.get(name) for name in names}) for entry in answer.get("errors") or ())


CALLS: dict[str, Call] = {
    "GET /v1/accounts": Call(
        lambda client, path, body: client.accounts.list(),
        lambda answer, path, body: [
            Account(id=item["id"], name=item["name"], account_type=item["accountType"]) for item in answer["accounts"]
        ],
    ),
    "GET /v1/accounts/{accountId}/data-sources": Call(
        lambda client, path, body: client.accounts.list_data_sources(int(path["accountId"])),
        lambda answer, path, body: [_source(item) for item in answer["dataSources"]],
    ),
    "GET /v1/accounts/timezones": Call(
        lambda client, path, body: client.accounts.list_timezones(),
        lambda answer, path, body: [
            TimeZone(name=item["timezone"], offset=item["offset"]) for item in answer["timezones"]
        ],
    ),
    "GET /v1/auth/validate-key": Call(
        lambda client, path, body: client.auth.validate_key(),
        lambda answer, path, body: None,
    ),
    "POST /v1/data-sources": Call(
        lambda client, path, body: client.data_sources.create(
            body["title"], account_id=body.get("accountId"), timezone=body.get("timezone")
        ),
        lambda answer, path, body: _source(answer),
    ),
    "DELETE /v1/data-sources/{dataSourceId}": Call(
        lambda client, path, body: client.data_sources.delete(int(path["dataSourceId"])),
        lambda answer, path, body: None,
    ),
    "GET /v1/data-sources/{dataSourceId}/datasets": Call(
        lambda client, path, body: client.data_sources.list_datasets(int(path["dataSourceId"])),
        lambda answer, path, body: [
            Dataset(
                id=item["id"],
                title=item["title"],
                created=_moment(item["created"]),
                data_source_id=int(path["dataSourceId"]),
            )
            for item in answer["datasets"]
        ],
    ),
    "POST /v1/datasets": Call(
        lambda client, path, body: client.datasets.create(
            body["title"], data_source=body["dataSourceId"], primary_keys=body.get("primaryKeys")
        ),
        lambda answer, path, body: Dataset(
            id=answer["id"],
            title=answer["title"],
            created=_moment(answer["created"]),
            data_source_id=body["dataSourceId"],
            primary_keys=tuple(body.get("primaryKeys") or ()),
        ),
    ),
    "DELETE /v1/datasets/{datasetId}": Call(
        lambda client, path, body: client.datasets.delete(path["datasetId"]),
        lambda answer, path, body: None,
    ),
    "POST /v1/datasets/{datasetId}/purge": Call(
        lambda client, path, body: client.datasets.purge(path["datasetId"]),
        lambda answer, path, body: None,
    ),
    "POST /v1/datasets/{datasetId}/data": Call(
        lambda client, path, body: client.datasets.create_ingestion(path["datasetId"], body["records"]),
        lambda answer, path, body: IngestionReceipt(ingestion_id=answer["ingestionId"], message=answer["message"]),
    ),
    "GET /v1/datasets/{datasetId}/ingestions": Call(
        lambda client, path, body: client.datasets.list_ingestions(path["datasetId"]),
        lambda answer, path, body: [
            IngestionSummary(id=item["ingestionId"], timestamp=_moment(item["timestamp"]), status=item["status"])
            for item in answer["ingestions"]
        ],
    ),
    "GET /v1/datasets/{datasetId}/ingestions/{ingestionId}": Call(
        lambda client, path, body: client.datasets.get_ingestion(path["datasetId"], path["ingestionId"]),
        lambda answer, path, body: _ingestion(answer),
    ),
}
"""By method and path, as the names of operations differ between descriptions."""

VALID_BODIES = {
    "POST /v1/data-sources": {"title": "t"},
    "POST /v1/datasets": {"title": "t", "dataSourceId": 1},
    "POST /v1/datasets/{datasetId}/data": {"records": [{"a": 1}]},
}
"""For answers to requests that the facade would not send."""


ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    413: "RequestTooLargeError",
    429: "RateLimitError",
}
"""By status; others are an APIStatusError, or a ServerError from 500 on."""


def ask(client: Any, operation: str, path: Json, body: Any) -> Outcome:
    """Let the facade make a call to its end."""
    try:
        result = CALLS[operation].make(client, path, body)
        return Outcome(list(result.items) if isinstance(result, (Page, AsyncPage)) else result)
    except InvalidResponseError as error:
        return Outcome(error=type(error).__name__, status=error.status_code)
    except APIStatusError as error:
        return Outcome(
            error=type(error).__name__, status=error.status_code, errors=error.errors, request_id=error.request_id
        )


def expected(recording: Recording, path: Json) -> Outcome:
    """Return what the facade should make of a recorded answer."""
    answer = recording.response.body
    if recording.status == 200 and recording.operation in VALID_BODIES and answer.get("id", "") is None:
        return Outcome(error="InvalidResponseError", status=200)  # made or not: nothing can be done with it
    if recording.status == 200:
        return Outcome(CALLS[recording.operation].read(answer, path, recording.request.body))
    name = ERRORS.get(recording.status, "ServerError" if recording.status >= 500 else "APIStatusError")
    if not isinstance(answer, dict):
        return Outcome(error=name, status=recording.status)
    return Outcome(error=name, status=recording.status, errors=_errors(answer), request_id=answer.get("requestId"))
