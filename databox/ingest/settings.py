"""The options of an ingest, checked before anything is sent."""

from collections.abc import Callable, Iterable
from os import PathLike, fspath
from pathlib import Path

import attrs

from databox.api.arguments import seconds_of
from databox.api.documented import MAX_RECORDS, SAFE_BODY_BYTES
from databox.ingest.batch import Batcher, End
from databox.ingest.options import OnAmbiguous, OnRefusal, Verify
from databox.misuse import ArgumentTypeError, ArgumentValueError
from databox.paths import is_possible
from databox.report import IngestProgress
from databox.wording import message, setting

__all__ = ["Settings"]


def _path(value: object) -> Path | None:
    if value is None:
        return None
    if isinstance(value, str | PathLike) and fspath(value):
        return Path(fspath(value))
    raise ArgumentTypeError(f"dead_letter and journal take a path, not {value!r}.")


def _is_one_file(one: Path, other: Path) -> bool:
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except OSError:  # one of them does not exist, or cannot be read
        return False


@attrs.frozen(kw_only=True)
class Settings:
    """The arguments of `datasets.ingest`."""

    primary_keys: tuple[str, ...] = ()
    keys_assumed: bool = False
    """Whether the keys come only from the caller."""
    batch_size: int = MAX_RECORDS
    max_batch_bytes: int = SAFE_BODY_BYTES
    concurrency: int = 4
    verify: Verify | None = "counts"
    verify_timeout: float = 300.0
    patience: float = 300.0
    on_refusal: OnRefusal = "isolate"
    dead_letter: Path | None = attrs.field(default=None, converter=_path)
    journal: Path | None = attrs.field(default=None, converter=_path)
    on_ambiguous: OnAmbiguous = "auto"
    progress: Callable[[IngestProgress], object] | None = None

    def __attrs_post_init__(self) -> None:
        self.batcher()
        if not isinstance(self.concurrency, int) or isinstance(self.concurrency, bool):
            raise ArgumentTypeError(f"concurrency must be an int, not {type(self.concurrency).__name__}.")
        if not 1 <= self.concurrency <= 100:
            raise ArgumentValueError(f"concurrency must be 1 to 100 requests in flight, not {self.concurrency}.")
        if self.verify not in ("counts", "status", None):
            raise ArgumentValueError(f'verify must be "counts", "status" or None, not {self.verify!r}.')
        seconds_of("verify_timeout", self.verify_timeout)
        seconds_of("patience", self.patience)
        if self.on_refusal not in ("isolate", "report"):
            raise ArgumentValueError(f'on_refusal must be "isolate" or "report", not {self.on_refusal!r}.')
        if self.on_ambiguous not in ("auto", "resend", "report"):
            raise ArgumentValueError(f'on_ambiguous must be "auto", "resend" or "report", not {self.on_ambiguous!r}.')
        if self.progress is not None and not callable(self.progress):
            raise ArgumentTypeError(f"progress must be callable, not {type(self.progress).__name__}.")
        for name, path in (("journal", self.journal), ("dead_letter", self.dead_letter)):
            if path is not None and (not path.name or not is_possible(path)):
                raise ArgumentValueError(f"{name} must be the path of a file, not {str(path)!r}.")
        if self.journal and any(_is_one_file(self.journal, file) for file in self._letter_files):
            raise ArgumentValueError(
                message(
                    setting("journal"),
                    " and ",
                    setting("dead_letter"),
                    " must be different files, but both are ",
                    f"{str(self.journal)!r}.",
                )
            )

    def check_files_read(self, names: Iterable[str]) -> None:
        """Refuse to write a file that the rows come from.

        Raises:
            ValueError: one of the files in `names`, which are read, would be written.
        """
        for name in names:
            if any(_is_one_file(Path(name), file) for file in self._letter_files):
                raise ArgumentValueError(
                    message(
                        setting("dead_letter"),
                        f" is {str(self.dead_letter)!r}, which the rows come from: those that fail would be in it "
                        "twice. Name another file.",
                    )
                )

    @property
    def _letter_files(self) -> tuple[Path, ...]:
        """The files of dead letters."""
        path = self.dead_letter
        return (path, path.with_name(f"{path.name}.reasons.jsonl")) if path else ()

    @property
    def resend(self) -> bool:
        """Whether a batch whose answer was lost is sent again."""
        return self.on_ambiguous == "resend" or (self.on_ambiguous == "auto" and bool(self.primary_keys))

    @property
    def going_on(self) -> str:
        """How to resume after a run that was stopped."""
        if self.journal:
            return "Run the same again later, to go on where it stopped."
        if self.primary_keys:
            return "Run the same again later: with its primary keys, rows that are stored already stay stored once."
        return "Send the rows that were not accepted again later; the report says which they are."

    def batcher(self, ends: Iterable[End] = ()) -> Batcher:
        """Return the object that splits rows into batches."""
        return Batcher(self.batch_size, self.max_batch_bytes, ends, self.primary_keys)
