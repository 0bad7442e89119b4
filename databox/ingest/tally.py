"""The values passed to `progress`."""

import time
from typing import Literal, TypeAlias

from databox.display import logger
from databox.ingest.run import Run
from databox.ingest.settings import Settings
from databox.limit.rate import RateLimit, least_seconds
from databox.report import IngestProgress

__all__ = ["Tally", "WaitingFor"]

log = logger("databox")

WaitingFor: TypeAlias = Literal["source", "answers", "outcomes", "nothing"]


class Tally:
    """Counts and times one run, and tells the caller's `progress`.

    Args:
        run: the run.
        total: how many rows its source has, if known.
        settings: its settings.
    """

    def __init__(self, run: Run, total: int | None, settings: Settings) -> None:
        self._run = run
        self._settings = settings
        self._progress = settings.progress
        self._total = total
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started

    def tell(self, requests: int, waiting_for: WaitingFor, limit: RateLimit | None, parts: int) -> None:
        """Call `progress`; an error that it raises is the caller's mistake, and loses no row.

        `parts` is the minimum number of requests left for batches in flight.
        """
        if self._progress is None:
            return
        try:
            self._progress(self._now(requests, waiting_for, limit, parts))
        except Exception:
            log.exception("The progress callback raised; it is not called again.")
            self._progress = None

    def _now(self, requests: int, waiting_for: WaitingFor, limit: RateLimit | None, parts: int) -> IngestProgress:
        run, seconds = self._run, self.seconds
        waiting = run.patience.waiting(time.monotonic()) if waiting_for == "answers" else None
        left: float | None = None
        if self._total is not None:
            batches = -(-max(0, self._total - run.rows) // self._settings.batch_size) + parts
            polls = batches + run.open_batches if self._settings.verify == "counts" else 0
            left = least_seconds(batches + polls, limit)
        return IngestProgress(
            rows=run.rows,
            total_rows=self._total,
            accepted=run.counts["accepted"],
            failed=run.counts["failed"] + run.counts["ambiguous"] + run.counts["invalid"],
            verified=run.verified_rows,
            uncounted=run.uncounted_rows,
            batches=run.answered_batches,
            requests=requests,
            seconds=seconds,
            rows_per_second=run.rows / seconds if seconds else 0.0,
            waiting_for="service" if waiting else waiting_for,
            error=waiting.error if waiting else None,
            waited=waiting.seconds if waiting else 0.0,
            patience_left=waiting.seconds_left if waiting else None,
            seconds_left=left,
        )
