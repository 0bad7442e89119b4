"""Whether the rows that earlier runs of a journal stored are still there, as far as the server's totals tell.

Nothing but a purge takes rows away, so a total never falls otherwise. An answer about an ingestion may tell the total
of now, or the one after that ingestion. So two totals are compared only where the later one must not be smaller in
either case.
"""

import attrs

from databox.errors import DataboxError

__all__ = ["Purged", "Total", "Totals"]


class Purged(DataboxError):
    """Why rows may not be there any more, although they were stored."""


@attrs.frozen
class Total:
    """How many rows the dataset held, and the ingestion whose answer told."""

    rows: int
    ingestion_id: str


class Totals:
    """The totals that a run is told.

    Args:
        before: the largest one that earlier runs of its journal were told.
    """

    def __init__(self, before: Total | None) -> None:
        self._before = before
        self._compared = before is None
        self._now: Total | None = None
        self.largest = before
        """The largest one so far."""

    @property
    def question(self) -> str | None:
        """The ingestion to ask about, since nothing that was told so far can be compared."""
        return None if self._compared or self._before is None else self._before.ingestion_id

    @property
    def left(self) -> Total | None:
        """The total after a purge, if there was one."""
        return self._now

    @property
    def loss(self) -> Purged | None:
        """What has become of the rows of earlier runs, if they are not all there."""
        if self._before is None or self._now is None:
            return None
        return Purged(
            f"The dataset held {self._before.rows:,} rows after an earlier run of this journal, and {self._now.rows:,} "
            "now: it was purged in between. Which of these rows are left the API does not say, and they are not sent "
            "again. Purge the dataset and start anew with another journal; then each row is stored once."
        )

    def told(self, total: Total, *, new: bool) -> None:
        """An answer told a total; `new` says that its ingestion was created in this run."""
        if self.largest is None or total.rows > self.largest.rows:
            self.largest = total
        if self._before and (new or total.ingestion_id == self._before.ingestion_id):
            self._compared = True
            if total.rows < self._before.rows and (self._now is None or total.rows < self._now.rows):
                self._now = total
