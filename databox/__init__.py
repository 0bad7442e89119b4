"""A client for the Databox API v1 that loses no row without telling you."""

import typing

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
    IngestError,
    IngestionTimeoutError,
    InvalidRecordError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ServerError,
)
from databox.ingest.progress import IngestProgress
from databox.limits import RateLimit
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
from databox.report import BatchOutcome, IngestReport
from databox.version import VERSION

if typing.TYPE_CHECKING:
    from databox._async.client import AsyncDatabox
    from databox._async.page import AsyncPage
    from databox.files.reader import read_records

__version__ = VERSION


def __getattr__(name: str) -> typing.Any:
    """Import the asynchronous half and the reader of files when they are first asked for: few programs need all."""
    if name == "AsyncDatabox":
        from databox._async.client import AsyncDatabox

        return AsyncDatabox
    if name == "AsyncPage":
        from databox._async.page import AsyncPage

        return AsyncPage
    if name == "read_records":
        from databox.files.reader import read_records

        return read_records
    raise AttributeError(f"module 'databox' has no attribute {name!r}")


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
    "Page",
    "PermissionDeniedError",
    "RateLimit",
    "RateLimitError",
    "RequestTooLargeError",
    "ServerError",
    "TimeZone",
    "__version__",
    "read_records",
]
