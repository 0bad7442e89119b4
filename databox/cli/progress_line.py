"""How far an ingest is, on standard error: a bar in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from databox import APIConnectionError, APIError, APIStatusError, IngestProgress, RateLimit
from databox.api.documented import MAX_RECORDS
from databox.cli.terminal import errors
from databox.limit.rate import least_seconds

__all__ = ["EVERY", "Bar", "Lines", "Meter", "Shown", "Unreachable", "Watch", "duration", "seconds_left"]

EVERY = 10.0
"""Seconds between plain lines."""
_WAITING = {
    "source": "reading",
    "answers": "sending",
    "service": "waiting",
    "outcomes": "verifying",
    "nothing": "done",
}


class Meter(Protocol):
    """Shows how far an ingest is, for as long as the `with` block lasts."""

    def __call__(self, now: IngestProgress) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def seconds_left(
    now: IngestProgress, fraction: float | None, limit: RateLimit | None, *, asks_each: bool
) -> float | None:
    """Return how long the rest will take at least, or None when that cannot be known.

    It is the longer of what the limits allow and what the pace so far says.

    Args:
        now: how far it is.
        fraction: how much of the rows has been read, 0 to 1.
        limit: the requests that are allowed.
        asks_each: whether each batch costs a second request, for its outcome.
    """
    unverified = (now.accepted - now.verified) / MAX_RECORDS if asks_each else 0
    if now.waiting_for == "outcomes":
        return least_seconds(round(unverified), limit)
    if not fraction or not now.rows:
        return None
    rows = now.rows / fraction - now.rows
    by_limit = least_seconds(round(rows / MAX_RECORDS * (2 if asks_each else 1) + unverified), limit)
    answered = now.accepted + now.failed
    by_pace = rows * now.seconds / answered if answered else 0.0
    return max(by_limit, by_pace)


def duration(seconds: float) -> str:
    """Return a length of time as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _what_is_waited_for(now: IngestProgress, error: APIError, left: float) -> str:
    """Say what keeps everything from going on, for how long it has, and for how long it may yet."""
    if isinstance(error, APIStatusError):
        what = f"status {error.status_code}{f', {error.code}' if error.code else ''}"
    else:
        what = "no answer" if getattr(error, "request_sent", True) else "no connection"
    return f"waiting for the service ({what}) for {duration(now.waited)}, at most {duration(left)} more"


class Unreachable(BaseException):
    """Nobody answers at the address, so that the run is ended as an interrupt would end it."""


class Watch:
    """Shows how far an ingest is, and ends one that cannot reach anybody from the start.

    Args:
        meter: what shows it, if anything is to.
        at_first: seconds to wait for a first connection; None for as long as the run does.
    """

    def __init__(self, meter: Meter | None, at_first: float | None) -> None:
        self._meter = meter
        self._at_first = at_first
        self._reached = False

    def __call__(self, now: IngestProgress) -> None:
        """Show how far it is.

        Raises:
            Unreachable: there was no connection yet, for too long.
        """
        if self._meter:
            self._meter(now)
        refused = isinstance(now.error, APIConnectionError) and not now.error.request_sent
        self._reached = self._reached or bool(now.batches) or (now.error is not None and not refused)
        if self._at_first is not None and refused and not self._reached and now.waited >= self._at_first:
            raise Unreachable(f"{now.error} It was tried for {now.waited:.0f} seconds; --patience waits longer.")

    def __enter__(self) -> Self:
        if self._meter:
            self._meter.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._meter:
            self._meter.__exit__(kind, error, trace)


class Shown:
    """What there is to say, whoever is told."""

    def __init__(self, fraction: Callable[[], float | None], limit: RateLimit | None, *, asks_each: bool) -> None:
        self._fraction = fraction
        self._limit = limit
        self._asks_each = asks_each

    def share(self, now: IngestProgress) -> float | None:
        """How much of the run is done: rows are read, and then verified."""
        if now.waiting_for == "outcomes":
            return (now.verified + now.uncounted) / now.accepted if now.accepted else 1.0
        return self._fraction()

    def left(self, now: IngestProgress) -> float | None:
        """Return how many seconds the rest will take at least, or None when that cannot be known."""
        return seconds_left(now, self._fraction(), self._limit, asks_each=self._asks_each)

    def words(self, now: IngestProgress) -> str:
        """Say it."""
        left = self.left(now)
        pace = now.accepted / now.seconds if now.seconds else 0.0
        if now.waiting_for == "outcomes":
            of = f"of {now.accepted:,} rows"
            parts = [f"{now.uncounted:,} {of} listed as done" if now.uncounted else f"{now.verified:,} {of} verified"]
        else:
            doing = "sending" if self._fraction() == 1 else _WAITING[now.waiting_for]
            parts = [f"{now.accepted:,} rows accepted", f"{pace:,.0f}/s", doing]
        if now.failed:
            parts.insert(0, f"{now.failed:,} failed")
        if now.error and now.patience_left is not None:
            return " · ".join([_what_is_waited_for(now, now.error, now.patience_left), *parts[:-1]])
        if left is not None and left >= 1:
            parts.insert(0, f"about {duration(left)} left")
        share = self.share(now)
        return " · ".join(parts if share is None else [f"{share:.0%}", *parts])


class Bar:
    """A bar in a terminal."""

    def __init__(self, fraction: Callable[[], float | None], limit: RateLimit | None, *, asks_each: bool) -> None:
        self._shown = Shown(fraction, limit, asks_each=asks_each)
        self._bar = errors().bar()

    def __call__(self, now: IngestProgress) -> None:
        """Show how far it is."""
        self._bar.show(self._shown.share(now), self._shown.words(now))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class Lines:
    """A line now and then, for logs."""

    def __init__(self, fraction: Callable[[], float | None], limit: RateLimit | None, *, asks_each: bool) -> None:
        self._shown = Shown(fraction, limit, asks_each=asks_each)
        self._next = time.monotonic() + EVERY

    def __call__(self, now: IngestProgress) -> None:
        """Show how far it is, unless that was shown a moment ago."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        errors().print(self._shown.words(now))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to do."""
