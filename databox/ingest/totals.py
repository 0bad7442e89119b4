"""Whether the rows that earlier runs of a journal stored still exist, as far as the server's totals show.

Only a purge removes rows, so otherwise a total never falls. An answer about an ingestion may have the current total,
or the total after that ingestion. So two totals are compared only if the later one must not be smaller in
either case. Likewise, the largest of the totals reported with some ingestions is never smaller than what these
appended together, on top of the total before they were created: whichever of them came last includes all the others
in its total.
"""

import attrs

from databox.errors import DataboxError

__all__ = ["Purged", "Total", "Totals"]

_REMEDY = (
    "The API does not say which of these rows are left, and they are not sent again. Purge the dataset and start anew "
    "with another journal; then each row is stored once."
)


class Purged(DataboxError):
    """Why rows may no longer exist, although they were stored."""


@attrs.frozen
class Total:
    """The number of rows in the dataset, and the ingestion whose answer reported it."""

    rows: int
    ingestion_id: str


class Totals:
    """The totals that a run receives.

    Args:
        before: the number of rows after earlier runs of its journal.
        resumed: whether rows were accepted in earlier runs.
    """

    def __init__(self, before: Total | None, *, resumed: bool) -> None:
        self._before = before
        self._resumed = resumed
        self._compared = before is None
        self._fell = False
        """Whether there were fewer rows than before."""
        self._told: Total | None = None
        """The largest total of this run; the next ones are from answers that can be compared with `before`."""
        self._since: Total | None = None
        self._appended = 0
        """Rows that this run's answers count as appended; the next ones were created in this run."""
        self._appended_new = 0
        self._asked: set[str] = set()

    def told(self, total: Total, *, new: bool, appended: int = 0) -> None:
        """Record a total from an answer.

        Args:
            total: the total.
            new: whether its ingestion was created in this run.
            appended: how many rows the ingestion appended; passed once for each, when all its rows are counted.
        """
        self._told = _larger(self._told, total)
        self._appended += appended
        self._appended_new += appended if new else 0
        again = self._since is not None and total.ingestion_id == self._since.ingestion_id
        if self._before and (new or again or total.ingestion_id == self._before.ingestion_id):
            self._compared = True
            self._since = _larger(self._since, total)
            self._fell = self._fell or total.rows < self._before.rows

    def question(self, *, settled: bool) -> str | None:
        """Return the next ingestion to request, each once, to check whether stored rows still exist.

        It is requested if no known total can be compared, and once more before a mismatch is reported,
        because the server's total may lag behind. `settled` says that no outcome is open.
        """
        short = self._short if settled and not self._fell else None
        wanted = short[1] if short else None if self._compared else self._before
        if wanted is None or wanted.ingestion_id in self._asked:
            return None
        self._asked.add(wanted.ingestion_id)
        return wanted.ingestion_id

    @property
    def least(self) -> Total | None:
        """The number of rows that the next run expects."""
        largest = _larger(self._before, self._told) if self._told else self._before
        short = self._short
        if largest and short and short[0] > largest.rows:
            return Total(short[0], short[1].ingestion_id)
        return largest

    def loss(self, *, settled: bool) -> tuple[Purged, Total] | None:
        """Return the outcome of the rows of earlier runs, and the current total, if some of them no longer exist."""
        if self._before and self._since and self._fell:
            return Purged(
                f"The dataset held {self._before.rows:,} rows after an earlier run of this journal, and "
                f"{self._since.rows:,} now: it was purged in between. {_REMEDY}"
            ), self._since
        if settled and self._short:
            expected, total = self._short
            return Purged(
                f"The dataset holds {total.rows:,} rows, and with all that the runs of this journal appended there "
                f"would be at least {expected:,}: it was purged in between. {_REMEDY}"
            ), total
        return None

    @property
    def _short(self) -> tuple[int, Total] | None:
        """The minimum number of rows expected, and the total if it is smaller."""
        if not self._resumed:
            return None
        if self._before and self._since and self._since.rows < self._before.rows + self._appended_new:
            return self._before.rows + self._appended_new, self._since
        if self._told and self._told.rows < self._appended:
            return self._appended, self._told
        return None


def _larger(one: Total | None, other: Total) -> Total:
    return one if one and one.rows >= other.rows else other
