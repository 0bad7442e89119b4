"""How far an ingest is."""

from typing import Literal

import attrs

from databox.errors import APIError
from databox.limit.rate import RateLimit

__all__ = ["IngestProgress", "least_seconds"]


@attrs.frozen(kw_only=True)
class IngestProgress:
    """How far an ingest is; passed to `progress` after each answer."""

    rows: int
    """Rows taken from the source so far."""
    total_rows: int | None
    """Rows that the source has, when it says so."""
    accepted: int
    failed: int
    """Rows that failed, are ambiguous, or could not be encoded."""
    verified: int
    """Accepted rows of which the server has told the outcome."""
    uncounted: int = 0
    """Accepted rows of ingestions that the list calls done, without counting them; with `verify="status"`."""
    batches: int
    """Batches answered so far."""
    requests: int
    """HTTP requests so far."""
    seconds: float
    rows_per_second: float
    waiting_for: Literal["source", "answers", "service", "outcomes", "nothing"]
    """What it waits for now; `answers` includes waiting for the rate limit, and `service` says that nothing goes
    through."""
    seconds_left: float | None
    """The least time that the limits leave for the rest; None when the number of rows is not known."""
    error: APIError | None = None
    """Why nothing went through last, while `waiting_for` is `service`."""
    waited: float = 0.0
    """For how many seconds nothing has gone through."""
    patience_left: float | None = None
    """For how many seconds the service will be waited for yet; None while it takes something."""


def least_seconds(requests: int, limit: RateLimit | None) -> float:
    """Return the least time that so many more requests take by the limits."""
    if limit is None or requests <= 0:
        return 0.0
    hours, rest = divmod(requests, limit.per_hour)
    return hours * 3600.0 + rest / limit.per_second
