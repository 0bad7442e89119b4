"""The outcome of every row of an ingest, and its progress."""

from collections.abc import Iterable
from typing import Literal, get_args

import attrs

from databox.display import visible_lines
from databox.errors import APIError, DataboxError

__all__ = ["BatchOutcome", "IngestError", "IngestProgress", "IngestReport", "Outcome"]

Outcome = Literal["accepted", "failed", "invalid", "ambiguous", "unsent"]

_LISTED = 3
_MEANING = {
    "failed": "failed: refused, or attempts exhausted",
    "invalid": "invalid: could not be encoded",
    "ambiguous": "ambiguous: sent, but the answer was lost; they may be stored",
    "unsent": "unsent: not tried",
    "rejected": "rejected by the API after it had accepted them",
    "uncounted": "uncounted: the list of ingestions calls them done; rejected ones among them would not show",
    "unverified": "unverified: accepted, but what became of them is not known; ask for their ingestions later",
}
_ACCEPTED = ("appended", "overwritten", "rejected", "uncounted", "unverified")


@attrs.frozen(kw_only=True)
class IngestProgress:
    """The progress of an ingest; passed to `progress` after each answer."""

    rows: int
    """Rows taken from the source so far."""
    total_rows: int | None
    """Number of rows in the source, if known."""
    accepted: int
    failed: int
    """Rows that failed, are ambiguous, or could not be encoded."""
    verified: int
    """Accepted rows whose outcome is known."""
    uncounted: int = 0
    """Accepted rows of ingestions that the list calls done but does not count; with `verify="status"`."""
    batches: int
    """Batches answered so far."""
    requests: int
    """HTTP requests so far."""
    seconds: float
    rows_per_second: float
    waiting_for: Literal["source", "answers", "service", "outcomes", "nothing"]
    """What the run is waiting for; `answers` includes waiting for the rate limit, and `service` means that no request
    succeeds."""
    seconds_left: float | None
    """The minimum time that the limits require for the rest; None if the number of rows is unknown."""
    error: APIError | None = None
    """Why the last request failed, while `waiting_for` is `service`."""
    waited: float = 0.0
    """For how many seconds no request has succeeded."""
    patience_left: float | None = None
    """For how many more seconds the run waits for the service; None while requests succeed."""


@attrs.frozen(kw_only=True)
class BatchOutcome:
    """The outcome of consecutive rows of the input.

    If rows that were sent together are separated in the input by others, they have several entries with the same
    ingestion id. The last five counts add up to the rows of an accepted entry and are 0 for all others; because the API
    counts an ingestion as a whole, its counts are distributed among its entries.
    """

    index: int
    """The entry's position in the report, starting at 0."""
    first_row: int
    """The position of its first row in the input, starting at 0."""
    rows: int
    outcome: Outcome
    ingestion_id: str | None = None
    error: DataboxError | None = None
    """Why the rows are not stored, or why that is unknown; for several invalid rows, the error of the first."""
    appended: int = 0
    overwritten: int = 0
    rejected: int = 0
    uncounted: int = 0
    unverified: int = 0

    def __attrs_post_init__(self) -> None:
        shared = self.appended + self.overwritten + self.rejected + self.uncounted + self.unverified
        if shared != (self.rows if self.outcome == "accepted" else 0):
            raise ValueError(f"{self.rows} rows are {self.outcome}, and {shared} of them are shared out.")


@attrs.frozen(kw_only=True)
class IngestReport:
    """The outcome of every row that was read.

    Always `rows == accepted + failed + invalid + ambiguous + unsent`, and
    `accepted == appended + overwritten + rejected + uncounted + unverified`.
    """

    rows: int
    """Rows taken from the source."""
    accepted: int
    failed: int
    """Refused, or attempts exhausted."""
    invalid: int
    """Could not be encoded, and were not sent."""
    ambiguous: int
    """Sent, but the answer was lost."""
    unsent: int
    """Not tried after a fatal error."""
    appended: int
    overwritten: int
    rejected: int
    """Accepted rows that the API rejected: by its count, or all uncounted rows of an ingestion that failed."""
    uncounted: int
    """Accepted rows of ingestions that the list calls done (`verify="status"`); it counts no rows, so any rejected
    ones among them would not show."""
    unverified: int
    """Accepted rows whose outcome is unknown."""
    verify: str | None
    """How the accepted rows were verified; None if they were not."""
    requests: int
    """HTTP requests that the run made, including retries and polls."""
    seconds: float
    complete: bool = True
    """Whether the source was read to its end; False after an interruption or a fatal error."""
    resent: int = 0
    """Accepted rows that this run sent again because an earlier answer was lost or inconclusive."""
    primary_keys: tuple[str, ...] = ()
    """The primary keys used for sending; with them, a row that is sent again replaces itself."""
    primary_keys_assumed: bool = False
    """Whether the keys were passed by the caller and could not be checked: v1 does not report a dataset's keys."""
    batches: tuple[BatchOutcome, ...] = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        sent = self.accepted + self.failed + self.invalid + self.ambiguous + self.unsent
        shared = self.appended + self.overwritten + self.rejected + self.uncounted + self.unverified
        if self.rows != sent or self.accepted != shared:
            raise ValueError(f"The report does not add up: {self!r}")

    @classmethod
    def of(
        cls,
        batches: Iterable[BatchOutcome],
        *,
        verify: str | None,
        requests: int,
        seconds: float,
        complete: bool = True,
    ) -> "IngestReport":
        """Return the report for the given batches."""
        batches = tuple(sorted(batches, key=lambda batch: batch.index))

        def rows(outcome: str) -> int:
            return sum(batch.rows for batch in batches if batch.outcome == outcome)

        return cls(
            rows=sum(batch.rows for batch in batches),
            accepted=rows("accepted"),
            failed=rows("failed"),
            invalid=rows("invalid"),
            ambiguous=rows("ambiguous"),
            unsent=rows("unsent"),
            appended=sum(batch.appended for batch in batches),
            overwritten=sum(batch.overwritten for batch in batches),
            rejected=sum(batch.rejected for batch in batches),
            uncounted=sum(batch.uncounted for batch in batches),
            unverified=sum(batch.unverified for batch in batches),
            verify=verify,
            requests=requests,
            seconds=seconds,
            complete=complete,
            batches=batches,
        )

    @property
    def ok(self) -> bool:
        """Whether the source was read to its end and every row of it is stored, as far as the run verified it."""
        stored = self.accepted == self.rows and not self.rejected and not (self.verify and self.unverified)
        return stored and self.complete

    def raise_for_failures(self) -> None:
        """Raise an error unless the report is `ok`.

        Raises:
            IngestError: the report is not `ok`; the message says how many rows are missing and why.
        """
        if not self.ok:
            raise IngestError(f"Not every row was stored. {self}", report=self)

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows read, {self.accepted:,} accepted in {self.seconds:.1f} s."]
        if not self.complete:
            lines.append("The source was not read to its end.")
        if self.unverified and not self.verify:
            lines.append(f"{self.unverified:,} of them were not verified: accepted is not stored.")
        if self.appended or self.overwritten or self.rejected:
            # Next to uncounted rows, a 0 would look like a count.
            counts = {name: getattr(self, name) for name in ("appended", "overwritten", "rejected", "unverified")}
            shown = [f"{count:,} {name}" for name, count in counts.items() if count or not self.uncounted]
            lines.append(f"{', '.join(shown)}.")
        for name, meaning in _MEANING.items():
            count = getattr(self, name)
            if count and (name != "unverified" or self.verify):
                lines.append(f"{count:,} {meaning}.")
        if self.resent and (self.primary_keys_assumed or not self.primary_keys):
            lines.append(f"{self.resent:,} were sent again after a lost answer{self._rests_on}.")
        lines += _error_lines(self)
        return "\n".join(lines)

    @property
    def _rests_on(self) -> str:
        """Why rows that were sent again are stored once, or may not be."""
        if not self.primary_keys:
            return ", without primary keys: they may be stored twice"
        keys = ", ".join(self.primary_keys)
        return f"; they are stored once if the dataset's primary keys are those you named ({keys})"


class IngestError(DataboxError):
    """Not every row was stored. `report` says which were, which were not, and why."""

    def __init__(self, message: str, *, report: IngestReport) -> None:
        Exception.__init__(self, visible_lines(message))  # several lines: those of the report
        self.report = report
        words = [word for word in get_args(Outcome)[1:] if getattr(report, word)]
        words += ["rejected"] if report.rejected else []
        if words:  # shown by a traceback, and not needed in the message
            self.add_note(f"What to do: {', '.join(f'databox.errors#{word}' for word in words)}")


def _error_lines(report: IngestReport) -> list[str]:
    """A line for each of the first errors, and for the one that ended a run early; each error appears once."""
    alike: dict[str, list[BatchOutcome]] = {}
    last = ""
    for batch in report.batches:
        if batch.error:
            last = _without_request_id(batch.error)
            alike.setdefault(last, []).append(batch)
    listed = list(alike)[:_LISTED]
    if not report.complete and last not in listed:
        listed[-1:] = [last] if last else []
    lines: list[str] = []
    for first, *others in (alike[error] for error in listed):
        same = f" The same in {_more(len(others))}." if others else ""
        lines.append(f"From row {first.first_row:,}: {first.error}{same}")
    left = sum(len(batches) for error, batches in alike.items() if error not in listed)
    if left:
        lines.append(f"Other errors in {_more(left)}; `batches` has all of them.")
    return lines


def _more(number: int) -> str:
    return f"{number:,} more batch{'' if number == 1 else 'es'}"


def _without_request_id(error: DataboxError) -> str:
    """Return the part of the message that errors of one kind share."""
    request_id = getattr(error, "request_id", None)
    return str(error).replace(request_id, "") if request_id else str(error)
