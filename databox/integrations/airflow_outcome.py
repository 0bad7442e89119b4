"""What an ingest comes to in Airflow: counts, or an exception that says whether another try may help."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from databox import DataboxError, IngestError, IngestReport
from databox.integrations.remedies import before_sending_again
from databox.integrations.transience import is_transient

__all__ = ["AMBIGUOUS_IN_JOURNAL", "NOT_REPEATABLE", "counts_of", "failure_of", "report_of", "to_be_asked"]

NOT_REPEATABLE = before_sending_again("the task runs")
AMBIGUOUS_IN_JOURNAL = (
    " Look at whether the dataset has the ambiguous rows. If so, mark the task as successful. If not, set "
    'on_ambiguous="resend" and clear the task: with its journal it sends these rows, and no others that are stored.'
)


def failure_of(error: DataboxError, *, repeatable: bool, journal: bool) -> AirflowException:
    """Return the exception that makes Airflow try again, or not.

    Args:
        error: what ended the ingest.
        repeatable: whether another try can store no row twice, or is to be made all the same.
        journal: whether there is a journal.
    """
    if repeatable and is_transient(error):
        return AirflowException(str(error))
    report = error.report if isinstance(error, IngestError) else None
    remedy = ""
    if report and not repeatable and (report.accepted or report.ambiguous):
        remedy = NOT_REPEATABLE
    elif report and journal and report.ambiguous:
        remedy = AMBIGUOUS_IN_JOURNAL
    return AirflowFailException(f"{error}{remedy}")


def counts_of(report: IngestReport, dataset_id: str) -> dict[str, Any]:
    """Return the report as JSON has it; its batches, of which there may be thousands, stay behind."""
    counts = attrs.asdict(report, filter=lambda field, _: field.name != "batches")
    return {"dataset_id": dataset_id, **counts, "primary_keys": list(report.primary_keys)}


def report_of(counts: Mapping[str, Any]) -> IngestReport:
    """Return the report that counts were taken of, without its batches."""
    own = {name: value for name, value in counts.items() if name != "dataset_id"}
    return IngestReport(**{**own, "primary_keys": tuple(own["primary_keys"])}, batches=())


def to_be_asked(report: IngestReport, dataset_id: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Return what is known already, and how many rows each ingestion has whose outcome is still to be asked for.

    With a journal an earlier try may have learned some outcomes. Those of an ingestion are asked for as a whole, so
    what is known of a part of it does not count.
    """
    ingestions: Counter[str] = Counter()
    open_ = {batch.ingestion_id for batch in report.batches if batch.unverified}
    for batch in report.batches:
        if batch.ingestion_id and batch.ingestion_id in open_:
            ingestions[batch.ingestion_id] += batch.rows
    known = {
        name: sum(getattr(batch, name) for batch in report.batches if batch.ingestion_id not in open_)
        for name in ("appended", "overwritten", "rejected", "uncounted")
    }
    asked = attrs.evolve(report, **known, unverified=ingestions.total(), verify="counts")
    return counts_of(asked, dataset_id), dict(ingestions)
