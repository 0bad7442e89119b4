"""What engines are told about trying again."""

from typing import Any

import pytest

from databox import (
    APIConnectionError,
    AuthenticationError,
    BatchOutcome,
    ConfigurationError,
    DataboxError,
    IngestError,
    IngestReport,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from databox.integrations.transience import is_transient

WHERE: dict[str, Any] = {"method": "POST", "path": "/v1/datasets/d/data"}
BUSY = ServerError("busy", **WHERE, status_code=503)
REFUSED = AuthenticationError("who?", **WHERE, status_code=401)


def report(*batches: BatchOutcome) -> IngestError:
    found = IngestReport.of(batches, verify="counts", requests=1, seconds=0.1)
    return IngestError("Not every row was stored.", report=found)


def batch(outcome: Any, error: DataboxError | None = None, **counts: Any) -> BatchOutcome:
    return BatchOutcome(index=0, first_row=0, rows=1, outcome=outcome, error=error, **counts)


@pytest.mark.parametrize(
    "error",
    [
        BUSY,
        RateLimitError("slow down", **WHERE, status_code=429),
        InvalidResponseError("not JSON", **WHERE, status_code=200),
        APIConnectionError("refused", **WHERE, request_sent=False),
        report(batch("failed", BUSY), batch("unsent")),
        report(batch("accepted", unverified=1)),
    ],
)
def test_what_passes(error: DataboxError) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        REFUSED,
        NotFoundError("no such dataset", **WHERE, status_code=404),
        ConfigurationError("no key"),
        APIConnectionError("certificate", **WHERE, request_sent=False, retryable=False),
        report(batch("failed", BUSY), batch("failed", REFUSED)),
        report(batch("failed", BUSY), batch("ambiguous", BUSY)),
        report(batch("invalid")),
        report(batch("accepted", rejected=1)),
    ],
)
def test_what_does_not(error: DataboxError) -> None:
    assert not is_transient(error)
