"""What the dlt destination says when somebody has to decide, and as which of dlt's exceptions it says so."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from dlt.common import logger
from dlt.common.destination.exceptions import DestinationTerminalException, DestinationTransientException

from databox import APIStatusError, DataboxError, IngestError, IngestReport
from databox.integrations.dlt_memory import Package
from databox.integrations.dlt_rows import Look
from databox.integrations.dlt_schema import shown
from databox.integrations.transience import is_transient

__all__ = ["ABORT", "DROPPED", "GO_ON", "give_up", "judge", "refuse", "tell_left_out", "told"]

ABORT = (
    "Then give the package up with pipeline.abort_packages(), which repeats nothing, as nothing of it was sent, and "
    "run the pipeline again."
)
GO_ON = "Then run the pipeline again; the package waits for it."
DROPPED = (
    "This run is to drop tables, which would delete datasets with what dashboards show of them. Use "
    'refresh="drop_data", which empties them, or delete the datasets yourself.'
)
_ABOUT_ROWS = (400, 413, 422)
"""What the API answers when it refuses a batch for what is in it."""


def give_up(load_id: str) -> str:
    """Return how to give up the rows of a package that cannot be stored."""
    return f'To give up the rows that did not make it and load the rest, run again with give_up_rows_of="{load_id}".'


def refuse(problems: Sequence[str], advice: str) -> NoReturn:
    """Refuse a package as a whole."""
    raise DestinationTerminalException("\n".join(["Nothing of this package was sent.", *problems, advice]))


@contextmanager
def told(table: str | None = None) -> Iterator[None]:
    """Say what went wrong as dlt understands it, and without the way that it came by."""
    about = f"Table {shown(table)}: " if table else ""
    try:
        yield
    except (DataboxError, TypeError, ValueError) as error:
        transient = isinstance(error, DataboxError) and is_transient(error)
        kind = DestinationTransientException if transient else DestinationTerminalException
        raise kind(f"{about}{error}") from None


def judge(report: IngestReport, package: Package, *, table: str, dataset: str, giving_up: Path | None) -> None:
    """Do nothing when a file was loaded, as far as it is to be.

    Raises:
        DestinationTerminalException: rows may be stored, and have no keys.
        IngestError: rows are missing.
    """
    keyed = bool(report.primary_keys)
    if report.ok:
        if not keyed and report.overwritten:
            logger.warning(
                f"Table {shown(table)}: {report.overwritten:,} rows replaced others in dataset {dataset}, so it was "
                "made with primary keys, which this table does not have."
            )
        if report.resent and (report.primary_keys_assumed or not keyed):
            logger.warning(f"Table {shown(table)}: {report}")
        return
    final = _is_final(report)
    if giving_up and final:
        logger.warning(
            f"Table {shown(table)}: rows were given up, which {giving_up} and the file beside it have. {report}"
        )
        return
    if report.ambiguous and not keyed:
        raise DestinationTerminalException(f"Table {shown(table)}: {_ambiguity(report, package, dataset)}")
    words = f"Not every row was stored. {report}"
    if report.ambiguous:
        words += "\nRun the pipeline again: they are sent again, and with primary keys stored once."
    elif final:
        words += f"\n{give_up(package.load_id)}"
    raise IngestError(words, report=report)


def _is_final(report: IngestReport) -> bool:
    """Whether all that is missing is rows that were refused or cannot be sent, or whose answer was lost."""
    if not report.complete or report.unsent or report.unverified:
        return False
    failures = [batch.error for batch in report.batches if batch.outcome == "failed"]
    return all(isinstance(failure, APIStatusError) and failure.status_code in _ABOUT_ROWS for failure in failures)


def _ambiguity(report: IngestReport, package: Package, dataset: str) -> str:
    """What somebody has to know to decide about rows that may be stored."""
    lost = [
        f"{batch.first_row} to {batch.first_row + batch.rows - 1}"
        for batch in report.batches
        if batch.outcome == "ambiguous"
    ]
    known = dict.fromkeys(batch.ingestion_id for batch in report.batches if batch.ingestion_id)
    words = (
        f"Not every row was stored. {report}\n"
        f"The rows {', '.join(lost)} of this file may be stored in dataset {dataset}, and have no keys, so sending "
        "them again may store them twice. Ingestions of the file that are known: "
        f"{', '.join(known) or 'none'}; if the dataset has another one, it is theirs. Run the pipeline again with "
        f'give_up_rows_of="{package.load_id}", which gives up these rows alone, stored or not, or with '
        'on_ambiguous="resend", which sends them again.'
    )
    if package.accepted:
        words += (
            f" Do not abort the package: {package.accepted:,} of its rows are stored, and dlt would extract them again."
        )
    return words


def tell_left_out(table: str, seen: Look, stored: Counter[bytes] | None) -> None:
    """Say how many rows are left out since an aborted package stored them."""
    if stored:
        left_out = sum(len(places) for places in seen.left_out.values())
        words = f"Table {shown(table)}: {left_out:,} rows are left out, as an aborted package stored them."
        if more := stored.total() - left_out:
            words += f" It stored {more:,} more, which no row of this package is equal to; they stay."
        logger.warning(words)
