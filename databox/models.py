"""The API's objects, as frozen objects with plain types.

Every model has `request_id`, the id to quote to support, and `extra`, the fields that the server sent and
the model does not know. Neither is part of comparisons: two readings of the same dataset are equal.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

__all__ = [
    "Account",
    "DataSource",
    "Dataset",
    "DatasetMetrics",
    "ErrorDetail",
    "Ingestion",
    "IngestionReceipt",
    "IngestionSummary",
    "Model",
    "TimeZone",
]


@attrs.frozen(kw_only=True, repr=False)
class Model:
    """The base class of all models: the request id, and fields that the model does not know."""

    request_id: str | None = attrs.field(default=None, eq=False)
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any], eq=False)

    def __repr__(self) -> str:  # one for all models: generating one for each takes a tenth of importing databox
        fields = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in attrs.fields(type(self)))
        return f"{type(self).__name__}({fields})"


@attrs.frozen
class ErrorDetail:
    """One entry of the API's `errors`, or of an ingestion's."""

    code: str | None = None
    """The machine-readable code, such as `invalid_input`; new codes may appear at any time."""
    message: str | None = None
    """The API's message for people; its wording may change."""
    field: str | None = None
    """The request field that the entry is about."""
    type: str | None = None
    """The category, such as `validation` or `permission`."""


@attrs.frozen(repr=False)
class Account(Model):
    """An account that the key's user can access."""

    id: int
    name: str | None = None
    account_type: str | None = None
    """`organization`, `agency`, `client`, `standard`, or a value that is newer than this library."""


@attrs.frozen(repr=False)
class DataSource(Model):
    """A container of datasets in an account."""

    id: int
    title: str | None = None
    created: datetime | None = None
    timezone: str | None = None
    """An IANA name such as `Europe/Berlin`."""
    key: str | None = None
    """The kind of source; `ingestion` for those that accept rows."""
    ingestion_supported: bool | None = None
    """Whether rows can be sent to it; None if the server does not say."""


@attrs.frozen(repr=False)
class TimeZone(Model):
    """A time zone that a data source can have."""

    name: str
    offset: str | None = None
    """The offset as the API writes it, such as `UTC+1`."""


@attrs.frozen(repr=False)
class Dataset(Model):
    """A table of rows in a data source."""

    id: str
    title: str | None = None
    created: datetime | None = None
    data_source_id: int | None = None
    """Known if the dataset was created or listed through this library."""
    primary_keys: tuple[str, ...] | None = None
    """The columns that identify a row, `()` for none; None if unknown: v1 does not report them."""
    primary_keys_assumed: bool = attrs.field(default=False, eq=False)
    """Whether `primary_keys` are the ones you passed for a dataset that `datasets.ensure` found, rather than those it
    was created with."""


@attrs.frozen(repr=False)
class IngestionReceipt(Model):
    """The API's receipt for an accepted batch. Accepted is not stored: ask for the ingestion's outcome."""

    ingestion_id: str
    message: str | None = None


@attrs.frozen(repr=False)
class IngestionSummary(Model):
    """An entry in a dataset's list of ingestions."""

    id: str
    timestamp: datetime | None = None
    status: str | None = None
    """Any string; the possible values are not documented."""


@attrs.frozen(repr=False)
class DatasetMetrics(Model):
    """The size of a dataset after an ingestion."""

    columns_count: int | None = None
    size_mb: float | None = None
    """The dataset's size in megabytes."""
    total_records_count: int | None = None


@attrs.frozen(repr=False)
class Ingestion(Model):
    """The outcome of one batch. Counts are None until the API knows them."""

    id: str
    timestamp: datetime | None = None
    status: str | None = None
    """Any string (`success`, `processing` and `failed` have been seen); rely on counts and errors instead."""
    received: int | None = None
    appended: int | None = None
    overwritten: int | None = None
    rejected: int | None = None
    dataset_metrics: DatasetMetrics | None = None
    errors: tuple[ErrorDetail, ...] = ()
