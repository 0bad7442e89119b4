"""Sending the rows of one ingest, and how that ended."""

import secrets
import tempfile
from pathlib import Path

from databox import Databox, IngestError
from databox.cli.failures import words
from databox.cli.inputs import Inputs
from databox.cli.progress_line import Unreachable, Watch
from databox.cli.summary import Ending, resuming
from databox.ingest.outcomes import Overtaken
from databox.ingest.settings import Settings
from databox.ingest.totals import Purged
from databox.report import BatchOutcome, IngestReport

__all__ = ["sent"]


def sent(
    client: Databox, dataset_id: str, inputs: Inputs, settings: Settings, watch: Watch, arguments: list[str]
) -> Ending:
    """Send the rows, and return how that ended."""
    own = settings.journal is None
    journal = settings.journal or _temporary_journal()
    problem: str | None = None
    interrupted = False
    try:
        with watch:
            report = client.datasets.ingest(
                dataset_id,
                inputs,
                primary_keys=settings.primary_keys,
                concurrency=settings.concurrency,
                verify=settings.verify,
                verify_timeout=settings.verify_timeout,
                patience=settings.patience,
                on_refusal=settings.on_refusal,
                on_ambiguous=settings.on_ambiguous,
                raise_on_failure=False,
                dead_letter=settings.dead_letter,
                journal=journal,
                progress=watch,
            )
    except IngestError as error:
        report = error.report
        problem = words(error.__cause__ or error)
    except Unreachable as error:
        report = getattr(error, "report", None) or IngestReport.of([], verify=settings.verify, requests=0, seconds=0.0)
        problem = words(error)
    except KeyboardInterrupt as error:
        found: IngestReport | None = getattr(error, "report", None)
        report = found or IngestReport.of([], verify=settings.verify, requests=0, seconds=0.0)
        interrupted = True
    except BaseException:
        if own:
            journal.unlink(missing_ok=True)
        raise
    unfinished = interrupted or problem is not None or not report.ok
    left = interrupted or problem or any(_may_fare_better(batch, resend=settings.resend) for batch in report.batches)
    begun = report.accepted or report.ambiguous  # else the same command does as well
    resume = resuming(arguments, journal) if unfinished and left and begun else None
    if own and resume is None:
        journal.unlink(missing_ok=True)
    return Ending(
        report=report,
        inputs=inputs,
        dataset_id=dataset_id,
        problem=problem,
        interrupted=interrupted,
        dead_letter=settings.dead_letter,
        resume=resume,
        resend=settings.resend,
    )


def _may_fare_better(batch: BatchOutcome, *, resend: bool) -> bool:
    """Whether a second run of the same may help. It does not where rows were rejected or cannot be encoded, or where
    they could be stored twice."""
    if isinstance(batch.error, Overtaken | Purged) or (batch.outcome == "ambiguous" and not resend):
        return False
    return batch.outcome in ("failed", "unsent", "ambiguous") or bool(batch.unverified)


def _temporary_journal() -> Path:
    """A journal of our own, so that a run can be gone on with that nobody thought would need one."""
    return Path(tempfile.gettempdir()) / f"databox-{secrets.token_hex(8)}.journal"
