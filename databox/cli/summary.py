"""What became of the rows, for people and for programs."""

import re
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import attrs

from databox import IngestReport
from databox.cli.inputs import Inputs
from databox.cli.output import counted
from databox.cli.progress_line import duration
from databox.cli.terminal import Terminal
from databox.display import for_shell
from databox.errors import DataboxError
from databox.files.places import Place
from databox.wording import for_command, row_at, words_of

__all__ = ["Ending", "Reason", "changed", "changed_document", "reasons", "resuming"]

_PASSWORD = re.compile(r"(://[^:/]*:)[^@]*(?:@[^@?]*)*(@)")
"""The password in a database's URL, as SQLAlchemy takes it apart: with spaces too, and after a name with an @."""
_OPTIONS = re.compile(r"(://[^?]*\?).+", re.DOTALL)
"""The options of a database's URL, among which passwords may be."""
_DATABASE = "--database"
_HIDDEN = re.compile(r":\*\*\*@|\?\*\*\*")
_LISTED = 5
"""Reasons that are shown; `--json` has all."""


@attrs.frozen(kw_only=True)
class Ending:
    """How an ingest ended."""

    report: IngestReport
    inputs: Inputs
    dataset_id: str
    problem: str | None
    """What stopped it, if anything did."""
    interrupted: bool
    dead_letter: Path | None
    resume: str | None
    """The command that goes on where it stopped, or sends again what failed; None when there is nothing to do."""
    resend: bool = False
    """Whether rows whose answer was lost are sent again."""

    @property
    def ok(self) -> bool:
        """Whether every row of every file is stored, as far as that was to be verified."""
        return self.report.ok and not self.interrupted and self.problem is None

    def show(self, console: Terminal) -> None:
        """Show it to a person."""
        report = self.report
        verified = bool(report.verify)
        known = report.appended + report.overwritten + report.rejected
        by_count = verified and not report.uncounted and bool(known or not report.accepted)  # else a 0 is nobody's
        lines = [
            ("read", report.rows, True, ""),
            ("accepted", report.accepted, True, "" if verified else "not verified: accepted is not yet stored"),
            ("  appended", report.appended, by_count or bool(report.appended), ""),
            ("  overwritten", report.overwritten, by_count or bool(report.overwritten), ""),
            (
                "  rejected",
                report.rejected,
                by_count or bool(report.rejected),
                "by the API, after it had accepted them",
            ),
            (
                "  uncounted",
                report.uncounted,
                bool(report.uncounted),
                "listed as done, but not counted: rejected ones would not show",
            ),
            ("  unverified", report.unverified, bool(report.unverified and verified), "their outcome is not known"),
            ("failed", report.failed, bool(report.failed or report.complete), "refused, or attempts exhausted"),
            ("invalid", report.invalid, bool(report.invalid), "could not be encoded, and were not sent"),
            (
                "ambiguous",
                report.ambiguous,
                bool(report.ambiguous),
                "sent, but the answer was lost: they may be stored",
            ),
            ("unsent", report.unsent, bool(report.unsent), "not tried"),
        ]
        if self.ok:
            head = ("Done.", "bold green")
        elif self.interrupted:
            head = (f"Interrupted. {self._verdict()}", "bold yellow")
        else:
            head = (self._verdict(), "bold red")
        seconds = f" {duration(report.seconds)}, {counted(report.requests, 'request')}." if report.rows else ""
        console.print(head, seconds)
        width = max(len(f"{count:,}") for _, count, _, _ in lines)
        bad = {"  rejected", "failed", "invalid", "ambiguous", "unsent", "  unverified"}
        for name, count, wanted, meaning in lines:
            if wanted:
                style = "red" if name in bad and count else ""
                note = f"  {meaning}" if meaning and (count or name == "accepted") else ""
                console.print(f"  {name:<13} ", (f"{count:>{width},}", style), (note, "dim"))
        for line in self._notes():
            console.print(line, whole=True)

    def _verdict(self) -> str:
        """How much is stored, of a run that did not end well."""
        report = self.report
        stored = report.appended + report.overwritten + report.uncounted
        unknown = report.ambiguous + report.unverified
        if stored:
            known = stored + unknown < report.rows or not report.complete
            return "Not every row is stored." if known else "It is not known of every row whether it is stored."
        return "It is not known whether any row is stored." if unknown else "None of the rows is stored."

    def _notes(self) -> list[str]:
        lines = self.problem.split("\n") if self.problem else []
        lines += self._reasons()
        if not self.report.complete and self.report.rows:
            lines.append(f"Reading stopped after {self._place(self.report.rows - 1)}; the rest was not read.")
        if self.report.ambiguous and not self.report.primary_keys and not self.resend:
            lines.append(
                "Without primary keys, rows whose answer was lost are not sent again, because they could be stored "
                "twice."
            )
        lines += changed(self.inputs, "Sent")
        lines += self._letters()
        if self.resume:
            goes_on = self.interrupted or self.report.unsent or self.problem or not self.report.complete
            lines.append("To go on where it stopped:" if goes_on else "To send again what did not make it:")
            lines.append(f"  {self.resume}")
            if _HIDDEN.search(self.resume):
                lines.append(
                    "Replace *** with what the URL has there, or leave --database out and set DATABOX_DATABASE_URL."
                )
            if "standard input" in self.inputs.names:
                lines.append("Pipe the same rows into it again.")
            for name in self.inputs.names:
                if name.startswith("/dev/fd/"):
                    lines.append(
                        f"Replace {name}, which the shell made for this run only, by what gives the same rows."
                    )
        elif (self.interrupted or self.problem or not self.report.complete) and not self._begun:
            lines.append("No row was accepted, so there is nothing to go on from: run the same command again.")
        return lines

    @property
    def _begun(self) -> bool:
        return bool(self.report.accepted or self.report.ambiguous)

    def _place(self, row: int) -> Place | str:
        return self.inputs.place(row) or f"row {row + 1:,}"

    def _reasons(self) -> list[str]:
        """Why rows are not stored, or why that is not known; each reason once, with its rows."""
        found = reasons(self.report)
        listed = sorted(found, key=attrgetter("first_row"))[:_LISTED]
        if not self.report.complete and found and found[-1] not in listed:
            listed[-1] = found[-1]  # what ended the run is told in any case
        lines = [f"{counted(each.rows, 'row')} {each.outcome}{self._told(each)}" for each in listed]
        left = [each for each in found if each not in listed]
        if left:
            rows = counted(sum(each.rows for each in left), "row")
            lines.append(f"{counted(len(left), 'more reason')} for {rows}; --json lists all.")
        return lines

    def _letters(self) -> list[str]:
        """Where the rows are that did not make it."""
        reasons = Path(f"{self.dead_letter}.reasons.jsonl")
        if self.ok or self.dead_letter is None or not reasons.exists():
            return []
        if self.dead_letter.exists():
            return [
                f"The rows that did not make it are in {reasons}, and those that may go again in {self.dead_letter}."
            ]
        return [f"The rows that did not make it are in {reasons}. None of them may go again as it is."]

    def _told(self, reason: "Reason") -> str:
        """From where on rows have a reason, and the reason."""
        text, place = for_command(words_of(reason.error)), self._place(reason.first_row)
        start = row_at(reason.first_row, "Row").for_command
        if reason.rows == 1 and text.startswith(start):  # which is said in the file's own terms
            return f": {place}{text.removeprefix(start)}"
        if reason.is_among:
            return f", among the rows from {place}: {text}"
        return f", {'from ' if reason.rows > 1 else ''}{place}: {text}"

    def as_document(self) -> dict[str, Any]:
        """Return it for programs."""
        report = self.report
        counts = attrs.asdict(report, filter=attrs.filters.exclude("batches"))
        counts = {_in_camel_case(name): value for name, value in counts.items()}
        return {
            "status": "success" if self.ok else "interrupted" if self.interrupted else "error",
            "datasetId": self.dataset_id,
            "rowsCountedFrom": 1,
            **counts,
            "seconds": round(report.seconds, 3),
            **changed_document(self.inputs),
            "ingestionIds": list(dict.fromkeys(each.ingestion_id for each in report.batches if each.ingestion_id)),
            "errors": [
                {
                    "firstRow": batch.first_row + 1,
                    **self._where(batch.first_row),
                    "rows": batch.rows,
                    "outcome": batch.outcome,
                    "message": for_command(words_of(batch.error)),
                }
                for batch in report.batches
                if batch.error
            ],
            "stoppedAfter": self._where(report.rows - 1) if report.rows and not report.complete else None,
            "message": self.problem,
            "deadLetter": str(self.dead_letter) if self.dead_letter and self.dead_letter.exists() else None,
            "resume": self.resume,
        }

    def _where(self, row: int) -> dict[str, Any]:
        """Where a row stands, for programs: `line` where the file has lines, else its number in the file."""
        place = self.inputs.place(row)
        return {"file": place.file, place.unit: place.number} if place else {}


def _in_camel_case(name: str) -> str:
    """An attribute's name as the API would write it."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _without_secrets(url: str) -> str:
    return _OPTIONS.sub(r"\1***", _PASSWORD.sub(r"\1***\2", url))


def changed(inputs: Inputs, done: str) -> list[str]:
    """Return what was skipped, or read as null, instead of being sent as the files have it.

    Args:
        inputs: the files.
        done: what became of the values: "Sent", or "Read" if nothing is sent.
    """
    lines: list[str] = []
    if inputs.blank:
        lines.append(f"Skipped: {counted(inputs.blank, 'line')} without any value.")
    if inputs.repeated:
        lines.append(f"Skipped: {counted(inputs.repeated, 'line')} with the header repeated, as in concatenated files.")
    for name, count in inputs.misfits.items():
        lines.append(f"{done} as null, because they did not fit: {counted(count, 'value')} of column {name!r}.")
    return lines


def changed_document(inputs: Inputs) -> dict[str, Any]:
    """Return the same for programs."""
    return {"blankLines": inputs.blank, "repeatedHeaders": inputs.repeated, "misfits": dict(inputs.misfits)}


@attrs.frozen
class Reason:
    """Why some rows are not stored, or why that is not known."""

    outcome: str
    rows: int
    first_row: int
    error: DataboxError
    is_among: bool = False
    """Whether it is about some of the rows of a batch, and not said which."""


def reasons(report: IngestReport) -> list[Reason]:
    """Return the reasons of a report, the last rows' last; what differs in ids alone is one."""
    found: dict[tuple[str, str], Reason] = {}
    for batch in report.batches:
        if batch.error is None:
            continue
        outcome, rows, is_among = str(batch.outcome), batch.rows, False
        if outcome == "accepted":
            outcome, rows = ("rejected", batch.rejected) if batch.rejected else ("unverified", batch.unverified)
            is_among = rows < batch.rows
        alike = str(batch.error)
        for id_ in (getattr(batch.error, "request_id", None), batch.ingestion_id):
            alike = alike.replace(id_, "") if id_ else alike
        known = found.pop((outcome, alike), None) or Reason(outcome, 0, batch.first_row, batch.error)
        found[outcome, alike] = attrs.evolve(known, rows=known.rows + rows, is_among=known.is_among or is_among)
    return list(found.values())


def resuming(arguments: Sequence[str], journal: Path) -> str:
    """Return the command that goes on with a journal."""
    words = [
        _without_secrets(word) if before == _DATABASE or word.startswith(f"{_DATABASE}=") else word
        for before, word in pairwise(["", *arguments])
    ]
    if not any(word == "--journal" or word.startswith("--journal=") for word in words):
        # What follows a -- is not an option.
        at = words.index("ingest") + 1 if "--" in words else len(words)
        words[at:at] = ["--journal", str(journal)]
    return " ".join(map(for_shell, ["databox", *words]))
