"""For Dagster: a resource that gives clients and ingests rows, and a report as metadata."""

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
from databox.integrations.transience import is_transient

try:
    import dagster
    from dagster import ConfigurableResource, Failure, MetadataValue
except ImportError as error:
    raise ImportError('databox.integrations.dagster needs Dagster: pip install "databox-sdk[dagster]".') from error

from pydantic import Field  # Dagster's resources are pydantic models

__all__ = ["DataboxResource", "metadata_of"]


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
    ) -> IngestReport:
        """Return the report on rows that all arrived. The arguments are those of `datasets.ingest`.

        Without `patience`, the default here, a service that takes nothing fails the op, and a retry policy tries again.

        Raises:
            Failure: not every row arrived; its metadata has the counts. A retry policy is followed only when another
                try may help and cannot store a row twice: with primary keys, a journal, or `on_ambiguous="resend"`.
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
                )
        except DataboxError as error:
            raise Failure(
                str(error),
                metadata=metadata_of(error.report) if isinstance(error, IngestError) else None,
                allow_retries=repeatable and is_transient(error),
            ) from error


def metadata_of(report: IngestReport) -> dict[str, MetadataValue[Any]]:
    """Return a report's counts as metadata of a materialization."""
    counts = {
        name: MetadataValue.int(getattr(report, name))
        for name in (
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
            "requests",
        )
    }
    return {**counts, "seconds": MetadataValue.float(report.seconds)}
