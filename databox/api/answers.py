"""The API's answers: which fields make up each model, and which make up a whole answer.

`make check` looks up every name in these tables in the API's description, with the type from the model.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import attrs

from databox.api.documented import PAGE_SIZE
from databox.api.reading import (
    ENVELOPE,
    Field,
    Part,
    Shape,
    UnexpectedAnswer,
    details,
    instant,
    integer,
    items,
    number,
    text,
    truth,
    values,
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
    "ListOf",
    "Listing",
    "acknowledged",
    "deleted",
]

T = TypeVar("T")
Json = Mapping[str, Any]


@attrs.frozen(eq=False, repr=False)
class Listing(Generic[T]):
    """One page of a list, as returned by the API."""

    items: tuple[T, ...]
    size: int | None = None
    total: int | None = None
    request_id: str | None = None

    def more_after(self, seen: int, asked_size: int | None) -> bool:
        """Whether to expect another page after `seen` items have been read, including this page."""
        if not self.items:
            return False
        if self.total is not None:
            return seen < self.total
        return len(self.items) >= (self.size or asked_size or PAGE_SIZE)


# The fields of each answer: attribute, path on the wire, reader, and whether it is required.

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
        Field("dataset_metrics", ("metrics", "datasetMetrics"), Part(DATASET_METRICS)),
        Field("errors", ("errors",), details),
    ),
)


# Reading whole answers.


def _object(answer: Any) -> Json:
    if not isinstance(answer, dict):
        raise UnexpectedAnswer("the answer is not a JSON object")
    return cast("dict[str, Any]", answer)


@attrs.frozen(eq=False)
class ListOf(Generic[T]):
    """How to read an answer that contains a list of one model under a name."""

    name: str
    shape: Shape[T]
    fields: tuple[Field, ...] = (
        Field("size", ("pagination", "pageSize"), integer),
        Field("total", ("pagination", "totalItems"), integer),
        Field("request_id", ("requestId",), text),
    )

    def read(self, answer: Any) -> Listing[T]:
        """Return the list. Raises UnexpectedAnswer if there is none, or an item is not as expected."""
        document = _object(answer)
        about = values(document, self.fields)
        return Listing(
            items=tuple(
                self.shape.read_item(item, where=f"{self.name}[{place}]", request_id=about["request_id"])
                for place, item in enumerate(items(document, self.name))
            ),
            **about,
        )


def acknowledged(answer: Any) -> None:
    """Accept any answer in the API's envelope: an empty object may come from anywhere."""
    if not set(ENVELOPE) & set(_object(answer)):
        raise UnexpectedAnswer("the answer has neither 'requestId' nor 'status'")


def deleted(answer: Any) -> None:
    """Accept what `acknowledged` does, and also the object that was deleted, without an envelope."""
    if "id" not in _object(answer):
        acknowledged(answer)
