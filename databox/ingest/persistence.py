"""The files of one run: its journal and its dead letters, if requested."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import attrs

from databox.errors import ConfigurationError, InvalidRecordError
from databox.forks import undivided
from databox.ingest.batch import Batch, End
from databox.ingest.encode import encode, shown
from databox.ingest.isolation import Replaced
from databox.ingest.parts import Answer, Part
from databox.ingest.resume import Earlier, Refused, plan
from databox.ingest.run import Run
from databox.ingest.settings import Settings
from databox.ingest.settle import Shares
from databox.ingest.totals import Total, Totals
from databox.models import Ingestion
from databox.report import Outcome

if TYPE_CHECKING:
    from databox.ingest.deadletter import DeadLetters
    from databox.ingest.journal import Journal

__all__ = ["Persistence"]

_ALL = 2**62
"""A position after all rows."""


class Persistence:
    """Records what happens. A file that cannot be written stops the run, after the batches in flight.

    Args:
        settings: which files, if any.
        about: values that must be the same as in the journal's earlier runs.
        run: the run to stop.

    Raises:
        ConfigurationError: a file cannot be used, or the journal belongs to another dataset or input.
    """

    def __init__(self, settings: Settings, about: Mapping[str, str], run: Run) -> None:
        self._run = run
        self._settings = settings
        self._journal = _journal(settings, about) if settings.journal else None
        self._dead: DeadLetters | None = None
        self._refused: Refused | None = None
        self._ended = False
        self.error: ConfigurationError | None = None
        """The error of a file that could not be written."""
        try:
            self._totals = (
                Totals(self._journal.total, resumed=self._journal.resumed)
                if self._journal
                else Totals(None, resumed=False)
            )
            path = settings.dead_letter or self._those_of_earlier_runs()
            if path:
                run_id = self._journal.id if self._journal else token_hex(8)
                self._dead = _dead_letters(path, run_id, keyed=bool(settings.primary_keys))
        except BaseException:
            self.close()
            raise

    @property
    def ends(self) -> Iterable[End]:
        """Where the batches of earlier runs ended."""
        return self._journal.ends() if self._journal else ()

    def earlier(self, number: int, batch: Batch, *, complete: bool) -> Earlier:
        """Return what earlier runs left to do for a batch, and keep its rows until that is done.

        Args:
            number: its number.
            batch: its rows.
            complete: whether the source certainly has no more rows for it.

        Raises:
            ConfigurationError: the journal has other rows in that position.
        """
        found = Earlier(batch, send=True)
        try:
            if self._journal and self._refused is None:
                entry, whole = self._journal.entry(number, batch, complete=complete)
                newer = self._journal.newer(batch) if entry and entry.state != "accepted" else {}
                resend, in_order = self._settings.resend, self._journal.in_order
                found = plan(entry, batch, newer, resend=resend, whole=whole, in_order=in_order)
                if entry and whole and found.left_out != entry.left_out:
                    self._journal.leave_out(number, found.left_out)
                if found.before and found.before.outcome != "accepted" and not found.send:
                    self._journal.not_sent_again(number, found.rows, found.before.outcome)
                if self._settings.verify == "counts" and found.before and found.before.shares:
                    found = attrs.evolve(found, before=found.before.to_be_counted())
        except ConfigurationError as error:
            self._refused = Refused(batch.first_row, str(error))
            found = Earlier(batch, send=False)
            raise
        finally:
            if self._dead:
                self._guarded(partial(self._dead.keep, number, found.rows))
                if found.left_out:
                    self._guarded(partial(self._dead.keep_left_out, batch, found.left_out))
        return found

    def invalid(self, index: int, record: Any, error: InvalidRecordError) -> None:
        """Keep a row that cannot be sent."""
        if self._dead:
            try:
                row: bytes | str = encode(record, index)[0]  # it may be too large, or have no key
            except InvalidRecordError:
                row = shown(record)
            self._guarded(partial(self._dead.keep_invalid, index, row, str(error)))

    def sending(self, number: int, batch: Batch, whole: Batch) -> None:
        """Record that a batch is about to be sent; `whole` includes its left-out rows.

        Raises:
            ConfigurationError: the record cannot be written, so the batch must not be sent.
        """
        if self._journal:
            self._journal.sending(number, batch, whole=whole, max_batch_bytes=self._settings.max_batch_bytes)

    def waiting(self, number: int, batch: Batch, whole: Batch) -> None:
        """Record a batch that is not sent yet.

        Raises:
            ConfigurationError: the record cannot be written, so the batch must not be sent later either.
        """
        if self._journal:
            self._journal.waiting(number, batch, whole=whole, max_batch_bytes=self._settings.max_batch_bytes)

    def answered(
        self, number: int, outcome: Outcome, ingestion_id: str | None = None, error: Exception | None = None
    ) -> None:
        """Record the result of sending a batch; from any thread."""
        if self._journal:
            said = str(error) if error else None
            self._guarded(partial(self._journal.answered, number, outcome, ingestion_id, said))

    def replaced(self, change: Replaced, answer: Answer) -> None:
        """Record that a refused batch was split, or merged again; from any thread."""
        if self._journal:
            said = str(answer.error) if answer.error else None
            self._guarded(partial(self._journal.replaced, change.old, change.new, answer.outcome, said))

    def parted(self, parts: Iterable[Part]) -> None:
        """Keep the rows of a batch by the parts in which they were sent."""
        if self._dead:
            for part in parts:
                self._guarded(partial(self._dead.keep, part.number, part.batch))

    def withdrawn(self, number: int, error: Exception | None) -> None:
        """Record that the acceptance of a batch is in doubt."""
        if self._journal:
            self._guarded(partial(self._journal.withdrawn, number, str(error)))

    def verified(self, number: int, shares: Shares) -> None:
        """Record how the server processed a batch, which the run already knows."""
        if self._journal and not shares.unverified:
            error = self._run.outcome(number)[2]
            rejected = self._run.rejected(number)
            said = str(error) if error else None
            self._guarded(partial(self._journal.verified, number, shares, rejected, said, self._totals.least))

    def told(self, number: int | None, answer: Ingestion, shares: Shares | None = None) -> None:
        """Process an answer about a batch of this report and its rows, or about any earlier ingestion."""
        rows = answer.dataset_metrics.total_records_count if answer.dataset_metrics else None
        if rows is not None:
            appended = shares.appended if shares and not shares.unverified else 0
            new = number is not None and self._run.is_new(number)
            self._totals.told(Total(rows, answer.id), new=new, appended=appended)

    def question(self, *, settled: bool) -> str | None:
        """Return the next ingestion to request, to check whether rows that earlier runs stored still exist."""
        return self._totals.question(settled=settled)

    def compare(self, *, settled: bool) -> None:
        """Mark rows that earlier runs stored as doubtful, if the dataset has fewer rows than expected."""
        loss = self._totals.loss(settled=settled)
        if loss and self._journal:
            purged, left = loss
            self._run.lost(purged)
            self._guarded(partial(self._journal.lost, str(purged), left))

    def source_ended(self) -> None:
        """Record that there are no more batches.

        Raises:
            ConfigurationError: an earlier run had more.
        """
        if self._journal:
            try:
                self._journal.ended(self._run.batches)
            except ConfigurationError as error:
                self._refused = Refused(self._run.rows, str(error))
                raise
        self._ended = True

    def fail(self, error: ConfigurationError) -> None:
        """Stop the run because something that it requires does not work."""
        self.error = self.error or error
        self._run.stop()

    def write_dead_letters(self) -> None:
        """Write the rows that were not stored, now that all outcomes are known."""
        if self._dead:
            self._guarded(partial(self._write, self._dead))

    def close(self) -> None:
        """Close the files."""
        if self._journal:
            self._journal.close()
        if self._dead:
            self._dead.close()

    def _write(self, dead: "DeadLetters") -> None:
        before = _ALL if self._ended else self._refused.row if self._refused else self._run.rows
        dead.write(self._run, self._journal, before=before, refused=self._refused)

    def _those_of_earlier_runs(self) -> Path | None:
        """The dead letters of earlier runs of this journal, which are kept up to date even if this run writes none."""
        files = self._journal.letter_files() if self._journal else []
        return next((file for file in files if file.exists()), None)

    def _guarded(self, write: Callable[[], object]) -> None:
        try:
            write()
        except ConfigurationError as error:
            self.fail(error)


# Imported on use, because few runs need SQLite and every import of the package would pay for it.


def _journal(settings: Settings, about: Mapping[str, str]) -> "Journal":
    with undivided:
        from databox.ingest.journal import Journal

    assert settings.journal
    return Journal(settings.journal, about)


def _dead_letters(path: Path, run_id: str, *, keyed: bool) -> "DeadLetters":
    with undivided:
        from databox.ingest.deadletter import DeadLetters

    return DeadLetters(path, run_id, keyed=keyed)
