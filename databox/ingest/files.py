"""The files of one run: its journal and its dead letters, as far as they are wanted."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databox.errors import ConfigurationError, InvalidRecordError
from databox.ingest.batch import Batch
from databox.ingest.encode import shown
from databox.ingest.run import Run
from databox.ingest.settings import Settings
from databox.ingest.settle import Shares
from databox.report import Outcome

if TYPE_CHECKING:
    from databox.ingest.deadletter import DeadLetters
    from databox.ingest.journal import Entry, Journal

__all__ = ["Files"]


class Files:
    """Notes what happens. A file that cannot be written stops the run, after what is under way.

    Args:
        settings: which files, if any.
        about: what a journal must have in common with its earlier runs.
        run: the run to stop.

    Raises:
        ConfigurationError: a file cannot be used, or the journal belongs to something else.
    """

    def __init__(self, settings: Settings, about: dict[str, str], run: Run) -> None:
        self._run = run
        self._keyed = bool(settings.primary_keys)
        self._journal = _journal(settings.journal, about) if settings.journal else None
        self._dead: DeadLetters | None = None
        self.error: ConfigurationError | None = None
        """Why a file could not be written."""
        if settings.dead_letter:
            try:
                self._dead = _dead_letters(settings.dead_letter)
                self._start_where_an_earlier_run_did(settings.dead_letter)
            except ConfigurationError:
                self.close()
                raise

    @property
    def ends(self) -> list[int]:
        """Where the batches of earlier runs ended."""
        return self._journal.ends if self._journal else []

    def entry(self, number: int, batch: Batch) -> "Entry | None":
        """Return what an earlier run did with a batch, or None.

        Raises:
            ConfigurationError: it held other rows then.
        """
        return self._journal.entry(number, batch) if self._journal else None

    def cut(self, number: int, batch: Batch) -> None:
        """Keep the rows of a batch until its outcome is known."""
        if self._dead:
            self._guarded(partial(self._dead.keep, number, batch))

    def invalid(self, index: int, record: Any, error: InvalidRecordError) -> None:
        """Keep a row that cannot be sent."""
        if self._dead:
            self._guarded(partial(self._dead.keep_invalid, index, shown(record).encode(), f"invalid: {error}"))

    def sending(self, number: int, batch: Batch) -> None:
        """Note that a batch is about to go out.

        Raises:
            ConfigurationError: that cannot be noted, so it must not go.
        """
        if self._journal:
            self._journal.sending(number, batch)

    def answered(self, number: int, outcome: Outcome, ingestion_id: str | None = None) -> None:
        """Note how the sending of a batch ended; from any thread."""
        if self._journal:
            self._guarded(partial(self._journal.answered, number, outcome, ingestion_id))

    def verified(self, number: int, shares: Shares) -> None:
        """Note what the server made of a batch."""
        if self._journal and not shares.unverified:
            self._guarded(partial(self._journal.verified, number, shares))

    def source_ended(self) -> None:
        """Note that there are no more batches than these.

        Raises:
            ConfigurationError: an earlier run had more.
        """
        if self._journal:
            self._journal.ended(self._run.batches)

    def fail(self, error: ConfigurationError) -> None:
        """Stop the run because something that it cannot do without does not work."""
        self.error = self.error or error
        self._run.stop()

    def write_dead_letters(self) -> None:
        """Write the rows that did not make it, now that all is known."""
        if self._dead:
            self._guarded(partial(self._dead.write, self._run, self._keyed))

    def close(self) -> None:
        """Let go of the files."""
        if self._journal:
            self._journal.close()
        if self._dead:
            self._dead.close()

    def _guarded(self, write: Callable[[], object]) -> None:
        try:
            write()
        except ConfigurationError as error:
            self.fail(error)

    def _start_where_an_earlier_run_did(self, path: Path) -> None:
        """Replace the letters of earlier runs of this journal, since this one tells of all its rows again."""
        if not self._journal or not self._dead:
            return
        name = f"offsets of {path.name}"
        offsets = self._journal.value(name)
        if offsets:
            self._dead.start_again_at(offsets)
        else:
            self._journal.note(name, self._dead.offsets)


# Imported on use, since few runs need SQLite and every import of the package would pay for it.


def _journal(path: Path, about: dict[str, str]) -> "Journal":
    from databox.ingest.journal import Journal

    return Journal(path, about)


def _dead_letters(path: Path) -> "DeadLetters":
    from databox.ingest.deadletter import DeadLetters

    return DeadLetters(path)
