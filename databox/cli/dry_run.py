"""What an ingest would do: everything but sending."""

from typing import Any

import attrs

from databox import InvalidRecordError, RateLimit
from databox.api.documented import PAGE_SIZE
from databox.cli.failures import words
from databox.cli.inputs import Inputs
from databox.cli.output import counted
from databox.cli.progress_line import duration
from databox.cli.summary import changed, changed_document
from databox.cli.terminal import Terminal
from databox.ingest.settings import Settings
from databox.limit.rate import least_seconds

__all__ = ["Estimate", "estimate"]

_LISTED = 3


@attrs.frozen
class Estimate:
    """What it would come to."""

    rows: int
    invalid: int
    bytes: int
    requests: int
    """At least: slow processing takes more questions, and a list with ingestions of others more pages."""
    seconds: float
    """At the limits, for so many requests."""
    isolates: bool
    """Whether rows for which a batch is refused will be found, which takes further requests."""
    problems: tuple[str, ...]
    inputs: Inputs

    @property
    def ok(self) -> bool:
        """Whether every row can be sent."""
        return not self.invalid

    def show(self, console: Terminal) -> None:
        """Show it to a person."""
        console.print(("Nothing was sent.", "bold"))
        console.print(
            f"{counted(self.rows, 'row')}, {_size(self.bytes)}, "
            f"{'at least ' if self.requests else ''}{counted(self.requests, 'request')}."
        )
        if self.requests:
            console.print(f"At the rate limit, sending takes at least {duration(self.seconds)}.")
        if self.isolates:
            console.print("Each row that a batch is refused for takes up to 15 more requests.")
        if self.invalid:
            console.print((f"{counted(self.invalid, 'row')} cannot be sent:", "red"))
        for line in (*self.problems, *changed(self.inputs, "Read")):
            console.print(line, whole=True)

    def as_document(self) -> dict[str, Any]:
        """Return it for programs."""
        counts = attrs.asdict(self, filter=attrs.filters.exclude("isolates", "inputs"))
        status = "error" if self.invalid else "success"
        return {"status": status, "dryRun": True, **counts, **changed_document(self.inputs)}


def _size(number: int) -> str:
    """Return a number of bytes as people say it."""
    if number < 1000:
        return counted(number, "byte")
    return f"{number / 1e3:,.0f} kB" if number < 99_500 else f"{number / 1e6:,.1f} MB"


def estimate(inputs: Inputs, settings: Settings, limit: RateLimit | None) -> Estimate:
    """Return what sending the rows would come to, having read, converted and sized each.

    Raises:
        InvalidRecordError: the files cannot be read to their end.
    """
    batcher = settings.batcher()
    rows = invalid = size = batches = 0
    problems: list[str] = []
    for index, row in enumerate(inputs):
        rows += 1
        try:
            batch = batcher.add(index, row)
        except InvalidRecordError as error:
            invalid += 1
            problems += [words(error)] if len(problems) < _LISTED else []
            continue
        if batch:
            batches, size = batches + 1, size + len(batch.body)
    last = batcher.flush()
    if last:
        batches, size = batches + 1, size + len(last.body)
    isolates = settings.on_refusal == "isolate" and batches > 0
    polls = {"counts": batches, "status": -(-batches // PAGE_SIZE)}.get(settings.verify or "", 0)
    return Estimate(
        rows, invalid, size, batches + polls, least_seconds(batches + polls, limit), isolates, tuple(problems), inputs
    )
