"""A client for the Databox API v1 that loses no row without telling you."""

import typing

try:
    from databox._sync.client import Databox
    from databox._sync.page import Page
    from databox.errors import (
        APIConnectionError,
        APIError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ConfigurationError,
        ConflictError,
        DataboxError,
        IngestionTimeoutError,
        InvalidRecordError,
        InvalidResponseError,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        RequestTooLargeError,
        ServerError,
    )
    from databox.limit.rate import RateLimit
    from databox.models import (
        Account,
        Dataset,
        DatasetMetrics,
        DataSource,
        ErrorDetail,
        Ingestion,
        IngestionReceipt,
        IngestionSummary,
        TimeZone,
    )
    from databox.version import VERSION
except ImportError as problem:  # pragma: no cover - tests/test_distribution.py has an environment of its own for it
    from databox.clash import explain

    explain(problem)
    raise

if typing.TYPE_CHECKING:
    from databox._async.client import AsyncDatabox
    from databox._async.page import AsyncPage
    from databox.files.query import read_query
    from databox.files.reader import read_records
    from databox.ingest.options import OnAmbiguous, OnRefusal, Verify
    from databox.report import BatchOutcome, IngestError, IngestProgress, IngestReport

__version__ = VERSION

_LATER = {
    "AsyncDatabox": "databox._async.client",
    "AsyncPage": "databox._async.page",
    "BatchOutcome": "databox.report",
    "IngestError": "databox.report",
    "IngestProgress": "databox.report",
    "IngestReport": "databox.report",
    "OnAmbiguous": "databox.ingest.options",
    "OnRefusal": "databox.ingest.options",
    "Verify": "databox.ingest.options",
    "read_query": "databox.files.query",
    "read_records": "databox.files.reader",
}
"""Names that are imported on first use, because few programs need all of them."""


def __getattr__(name: str) -> typing.Any:
    if name not in _LATER:
        raise AttributeError(f"module 'databox' has no attribute {name!r}")
    import importlib  # here, so that the name is not part of the package

    return getattr(importlib.import_module(_LATER[name]), name)


__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "Account",
    "AsyncDatabox",
    "AsyncPage",
    "AuthenticationError",
    "BadRequestError",
    "BatchOutcome",
    "ConfigurationError",
    "ConflictError",
    "DataSource",
    "Databox",
    "DataboxError",
    "Dataset",
    "DatasetMetrics",
    "ErrorDetail",
    "IngestError",
    "IngestProgress",
    "IngestReport",
    "Ingestion",
    "IngestionReceipt",
    "IngestionSummary",
    "IngestionTimeoutError",
    "InvalidRecordError",
    "InvalidResponseError",
    "NotFoundError",
    "OnAmbiguous",
    "OnRefusal",
    "Page",
    "PermissionDeniedError",
    "RateLimit",
    "RateLimitError",
    "RequestTooLargeError",
    "ServerError",
    "TimeZone",
    "Verify",
    "__version__",
    "read_query",
    "read_records",
]
