"""What the API answers: which fields make each model, and which make a whole answer."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

import attrs

from databox.api.documented import PAGE_SIZE
from databox.api.reading import (
    Field,
    Shape,
    UnexpectedAnswer,
    details,
    instant,
    integer,
    items,
    number,
    object_of,
    text,
    truth,
)
from databox.models import (
    Account,
    Dataset,
    DatasetMetrics,
    DataSource,
    Ingestion,
    IngestionReceipt,
    IngestionSummary,
    TimeZone,
)

__all__ = [
    "ACCOUNT",
    "DATASET",
    "DATA_SOURCE",
    "INGESTION",
    "INGESTION_SUMMARY",
    "RECEIPT",
    "TIME_ZONE",
    "Listing",
    "acknowledged",
    "listing",
]

T = TypeVar("T")
Json = Mapping[str, Any]


@attrs.frozen(eq=False, repr=False)
class Listing(Generic[T]):
    """One page of a list as the API answered it."""

    items: tuple[T, ...]
    size: int | None = None
    total: int | None = None
    request_id: str | None = None

    def more_after(self, seen: int, asked_size: int | None) -> bool:
        """Whether a further page is to be expected once `seen` items have been read up to this page."""
        if not self.items:
            return False
        if self.total is not None:
            return seen < self.total
        return len(self.items) >= (self.size or asked_size or PAGE_SIZE)


# What each answer holds: attribute, path on the wire, reader, and whether it must be there.

_ID = Field("id", ("id",), integer, required=True)
_TITLE = Field("title", ("title",), text)
_CREATED = Field("created", ("created",), instant)

ACCOUNT = Shape(Account, (_ID, Field("name", ("name",), text), Field("account_type", ("accountType",), text)))
DATA_SOURCE = Shape(
    DataSource,
    (
        _ID,
        _TITLE,
        _CREATED,
        Field("timezone", ("timezone",), text),
        Field("key", ("key",), text),
        Field("ingestion_supported", ("ingestionSupported",), truth),
    ),
)
TIME_ZONE = Shape(TimeZone, (Field("name", ("timezone",), text, required=True), Field("offset", ("offset",), text)))
DATASET = Shape(Dataset, (Field("id", ("id",), text, required=True), _TITLE, _CREATED))
RECEIPT = Shape(
    IngestionReceipt,
    (Field("ingestion_id", ("ingestionId",), text, required=True), Field("message", ("message",), text)),
)
_INGESTION = (
    Field("id", ("ingestionId",), text, required=True),
    Field("timestamp", ("timestamp",), instant),
    Field("status", ("status",), text),
)
INGESTION_SUMMARY = Shape(IngestionSummary, _INGESTION)


def _dataset_metrics(value: object) -> DatasetMetrics | None:
    metrics = object_of(value)
    return DATASET_METRICS.read(metrics) if metrics else None


DATASET_METRICS = Shape(
    DatasetMetrics,
    (
        Field("columns_count", ("columnsCount",), integer),
        Field("size_mb", ("datasetSizeMB",), number),
        Field("total_records_count", ("totalDatasetRecordsCount",), integer),
    ),
)
INGESTION = Shape(
    Ingestion,
    (
        *_INGESTION,
        Field("received", ("metrics", "ingestionMetrics", "receivedRecordsCount"), integer),
        Field("appended", ("metrics", "ingestionMetrics", "appendedRecordsCount"), integer),
        Field("overwritten", ("metrics", "ingestionMetrics", "overwrittenRecordsCount"), integer),
        Field("rejected", ("metrics", "ingestionMetrics", "rejectedRecordsCount"), integer),
        Field("dataset_metrics", ("metrics", "datasetMetrics"), _dataset_metrics),
        Field("errors", ("errors",), details),
    ),
)


# Reading whole answers.


def _object(answer: Any) -> Json:
    if not isinstance(answer, dict):
        raise UnexpectedAnswer("the answer is not a JSON object")
    return cast("dict[str, Any]", answer)


def listing(name: str, shape: Shape[T]) -> Callable[[Any], Listing[T]]:
    """Return how to read an answer that is a list of one model under a name."""

    def parse(answer: Any) -> Listing[T]:
        document = _object(answer)
        request_id = text(document.get("requestId"))
        pages = object_of(document.get("pagination"))
        return Listing(
            items=tuple(
                shape.read_item(item, where=f"{name}[{place}]", request_id=request_id)
                for place, item in enumerate(items(document, name))
            ),
            size=integer(pages.get("pageSize")),
            total=integer(pages.get("totalItems")),
            request_id=request_id,
        )

    return parse


def acknowledged(answer: Any) -> None:
    """Accept any answer in the API's envelope: an empty object may come from anywhere."""
    if not {"requestId", "status"} & set(_object(answer)):
        raise UnexpectedAnswer("the answer has neither 'requestId' nor 'status'")
