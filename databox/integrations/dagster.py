"""For Dagster: a resource that gives clients and ingests rows, and a report as metadata and as an asset check."""

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

from databox import (
    Databox,
    DataboxError,
    Dataset,
    IngestError,
    IngestReport,
    OnAmbiguous,
    RateLimit,
    Verify,
)
from databox.integrations.remedies import before_sending_again
from databox.integrations.transience import is_transient

try:
    import dagster
    from dagster import AssetCheckResult, ConfigurableResource, Failure, MetadataValue
except ImportError as error:
    raise ImportError('databox.integrations.dagster needs Dagster: pip install "databox-sdk[dagster]".') from error

from pydantic import Field  # Dagster's resources are pydantic models

__all__ = ["DataboxResource", "check_of", "metadata_of"]

_NOT_REPEATABLE = before_sending_again("the asset is materialized")


class DataboxResource(ConfigurableResource[Any]):
    """The Databox API as a Dagster resource.

    Args:
        api_key: the key, as `EnvVar("DATABOX_API_KEY")`, since Dagster shows and stores what is given literally.
        base_url: where to send, if not to the service itself.
        rate_limit_store: by which all processes keep the limit of the key together, as in `RateLimit`. Dagster's
            default executor runs each step in a process of its own.
    """

    api_key: str = Field(repr=False)
    base_url: str | None = None
    rate_limit_store: str | None = None

    def get_client(self) -> Databox:
        """Return a client, which the caller closes or uses in a `with` block.

        Raises:
            ConfigurationError: the key or the URL cannot be used.
        """
        limit = RateLimit(store=self.rate_limit_store)
        return Databox(self.api_key, self.base_url, rate_limit=limit, app=f"dagster/{dagster.__version__}")

    def ingest(
        self,
        dataset: str | Dataset,
        records: Iterable[Any],
        *,
        primary_keys: Sequence[str] | None = None,
        journal: str | PathLike[str] | None = None,
        verify: Verify | None = "counts",
        verify_timeout: float = 300.0,
        patience: float = 0.0,
        on_ambiguous: OnAmbiguous = "auto",
        raise_on_failure: bool = True,
    ) -> IngestReport:
        """Return the report on rows that all arrived. The arguments are those of `datasets.ingest`.

        Without `patience`, the default here, a service that takes nothing fails the op, and a retry policy tries again.
        With `raise_on_failure=False` the report may tell of rows that did not arrive; an asset check can say so
        (`check_of`).

        Raises:
            Failure: not every row arrived; its metadata has the counts. A retry policy is followed only when another
                try may help and cannot store a row twice: with primary keys, a journal, or `on_ambiguous="resend"`.
                Nor is it followed where an argument is wrong.
        """
        keys = primary_keys or (dataset.primary_keys if isinstance(dataset, Dataset) else None)
        repeatable = bool(keys or journal or on_ambiguous == "resend")
        try:
            with self.get_client() as client:
                return client.datasets.ingest(
                    dataset,
                    records,
                    primary_keys=primary_keys,
                    journal=journal,
                    verify=verify,
                    verify_timeout=verify_timeout,
                    patience=patience,
                    on_ambiguous=on_ambiguous,
                    raise_on_failure=raise_on_failure,
                )
        except DataboxError as error:
            report = error.report if isinstance(error, IngestError) else None
            doubtful = report and not repeatable and (report.accepted or report.ambiguous)
            raise Failure(
                f"{error}{_NOT_REPEATABLE if doubtful else ''}",
                metadata=metadata_of(report) if report else None,
                allow_retries=repeatable and is_transient(error),
            ) from error
        except (TypeError, ValueError) as error:  # an argument; what the rows raise comes as an IngestError
            raise Failure(f"{error} Nothing was sent.", allow_retries=False) from error


def metadata_of(report: IngestReport) -> dict[str, MetadataValue[Any]]:
    """Return a report's counts as metadata of a materialization."""
    counts = {name: MetadataValue.int(getattr(report, name)) for name in _COUNTS}
    return {**counts, "seconds": MetadataValue.float(report.seconds)}


def check_of(report: IngestReport, check_name: str | None = None) -> AssetCheckResult:
    """Return whether every row is stored, as the result of an asset check.

    Args:
        report: of an ingest with `raise_on_failure=False`.
        check_name: the check's name, where the asset has several.
    """
    return AssetCheckResult(
        passed=report.ok, check_name=check_name, description=str(report), metadata=metadata_of(report)
    )


_COUNTS = (
    "rows",
    "accepted",
    "appended",
    "overwritten",
    "rejected",
    "uncounted",
    "unverified",
    "failed",
    "invalid",
    "ambiguous",
    "unsent",
    "resent",
    "requests",
)
