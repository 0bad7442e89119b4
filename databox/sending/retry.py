"""Whether to retry a request, and after how long: decisions without I/O.

The one question that matters is whether the failed request may have taken effect. RFC 9110 (sections 9.2.2 and
10.2.3) says which methods may be repeated and how `Retry-After` is written.
"""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

import attrs

from databox.errors import APIConnectionError, APIError, APIStatusError, InvalidResponseError

__all__ = ["Attempts", "Effect", "effect_of", "retry_after", "wait_before_retry"]

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_RETRY_AFTER = 120.0
LONGEST_TOLD = 365 * 86_400.0
"""Seconds; longer waits that a server asks for are capped at this."""

Randomness = Callable[[float, float], float]


class Effect(Enum):
    """What a failed request may have done to the data."""

    NONE = "none"
    """It certainly had no effect, and a later attempt may succeed."""
    OPEN = "open"
    """It may or may not have taken effect."""
    REFUSED = "refused"
    """The API refused it; the same request would be refused again."""


@attrs.define(eq=False, repr=False)
class Attempts:
    """What the attempts at one operation may have done so far."""

    open: bool = False
    """Whether one may have taken effect without its answer being read."""
    again: bool = False
    """Whether the last one was sent after an earlier one may have taken effect."""
    started_at: float | None = None
    """When the last one was sent, on the monotonic clock."""
    failed_at: float | None = None
    """When the first one failed."""
    lost: APIError | None = None
    """Why it is not known whether one took effect; the last one's reason where there are several."""


_PASSING_CODES = {"rate_limited", "service_unavailable"}


def effect_of(error: APIError) -> Effect:
    """Return the possible effect of the request that ended in this error."""
    match error:
        case APIConnectionError(retryable=False):
            return Effect.REFUSED
        case APIConnectionError(request_sent=sent):
            return Effect.OPEN if sent else Effect.NONE
        case APIStatusError(status_code=408 | 429 | 503):
            return Effect.NONE
        case APIStatusError(status_code=status, code=code) if status < 300 and code in _PASSING_CODES:
            return Effect.NONE
        case APIStatusError(status_code=status, code=code) if status >= 500 or (
            status < 300 and code == "internal_error"
        ):
            return Effect.OPEN
        case InvalidResponseError():
            return Effect.OPEN
        case _:
            return Effect.REFUSED


def wait_before_retry(
    error: APIError,
    *,
    attempt: int,
    max_retries: int,
    repeatable: bool,
    randomness: Randomness = random.uniform,
) -> float | None:
    """Return the seconds to wait before the next attempt, or None if the error is final.

    `attempt` counts from 0. `repeatable` says that repeating the operation is harmless, so that it may be retried
    although the first request may have taken effect.
    """
    if attempt >= max_retries:
        return None
    effect = effect_of(error)
    if effect is Effect.REFUSED or (effect is Effect.OPEN and not repeatable):
        return None
    asked = error.retry_after if isinstance(error, APIStatusError) else None
    if asked is not None:
        return min(asked, LONGEST_RETRY_AFTER)
    return randomness(0.0, min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt, 16)))


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, in seconds or as a date; None without one."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.replace(".", "", 1).isdecimal():
        return min(float(value), LONGEST_TOLD)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # not a date, or not a valid one
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - (now or datetime.now(UTC))).total_seconds()), LONGEST_TOLD)
