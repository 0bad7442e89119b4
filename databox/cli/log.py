"""A log for machines, on standard output: one JSON object a line, each with time, level and event; the summary last."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from databox import IngestProgress, RateLimit
from databox.cli.progress_line import EVERY, Shown
from databox.cli.terminal import LogFormatter, echo_line
from databox.wording import for_command, words_of

__all__ = ["Log", "Warnings", "summarise", "write"]


def write(event: str, level: str = "info", **about: Any) -> None:
    """Write one line."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    echo_line({"time": now, "level": level, "event": event, **about})


def summarise(document: dict[str, Any]) -> None:
    """Write the last line: what became of everything, by a document that has a `status`."""
    write("summary", "info" if document["status"] == "success" else "error", **document)


class Log:
    """How far an ingest is, a line now and then."""

    def __init__(self, fraction: Callable[[], float | None], limit: RateLimit | None, *, asks_each: bool) -> None:
        self._shown = Shown(fraction, limit, asks_each=asks_each)
        self._next = time.monotonic() + EVERY

    def __call__(self, now: IngestProgress) -> None:
        """Write how far it is, unless that was written a moment ago."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        share, left = self._shown.share(now), self._shown.left(now)
        write(
            "progress",
            "warning" if now.error else "info",
            rows=now.rows,
            accepted=now.accepted,
            failed=now.failed,
            verified=now.verified,
            uncounted=now.uncounted,
            requests=now.requests,
            seconds=round(now.seconds, 1),
            share=share and round(share, 3),
            secondsLeft=left and round(left, 1),
            waitingFor=now.waiting_for,
            waited=round(now.waited, 1),
            error=for_command(words_of(now.error)) if now.error else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to do."""


class Warnings(logging.Handler):
    """Writes the records of loggers as lines of this log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        write("log", record.levelname.lower(), message=LogFormatter("%(message)s").format(record))
