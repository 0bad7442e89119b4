"""Whether a failure passes: what engines ask before they try a task again."""

from databox import (
    APIConnectionError,
    APIStatusError,
    DataboxError,
    IngestError,
    IngestionTimeoutError,
    IngestReport,
    InvalidRecordError,
    InvalidResponseError,
    RateLimitError,
    ServerError,
)

__all__ = ["is_transient"]


def is_transient(error: DataboxError) -> bool:
    """Return whether the same call may succeed later, without anybody having changed anything.

    An ingest with ambiguous rows is not transient: whether to send them again is for a person to say.
    """
    match error:
        case IngestError(__cause__=InvalidRecordError()):  # of a file or a query, whose rows cannot be read
            return False
        case IngestError(report=report):
            return _may_be_completed(report)
        case APIConnectionError(retryable=retryable):
            return retryable
        case APIStatusError(status_code=408) | RateLimitError() | ServerError():
            return True
        case InvalidResponseError() | IngestionTimeoutError():
            return True
        case _:
            return False


def _may_be_completed(report: IngestReport) -> bool:
    if report.invalid or report.ambiguous or report.rejected:
        return False
    failures = [batch.error for batch in report.batches if batch.outcome == "failed" and batch.error]
    return all(is_transient(failure) for failure in failures)
