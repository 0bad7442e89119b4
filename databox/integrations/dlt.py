"""A destination for dlt: any dlt source runs into Databox datasets, a table into a dataset.

A load package is looked at as a whole before the first row of it is sent. Then each file of it is one ingest with a
journal: whatever stops a load, the next run goes on where it stopped. So a row that was accepted is not sent again,
with or without keys.
"""

from collections.abc import Mapping
from typing import Any, cast

from databox import OnAmbiguous

try:
    import dlt  # noqa: F401 - to say what is missing, before anything else needs it
except ImportError as error:
    raise ImportError('databox.integrations.dlt needs dlt: pip install "databox-sdk[dlt]".') from error

from dlt.common.destination import Destination, DestinationCapabilitiesContext

from databox.integrations.dlt_load import Client, DataboxConfiguration
from databox.secret import Veiled

__all__ = ["databox", "databox_destination"]


def databox_destination(
    *,
    data_source_id: int | None = None,
    datasets: Mapping[str, str] | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    on_ambiguous: OnAmbiguous | None = None,
    patience: float | None = None,
    requests_per_second: int | None = None,
    rate_limit_store: str | None = None,
    max_table_nesting: int | None = None,
    skip_dlt_columns_and_tables: bool | None = None,
    assume_keys: bool | None = None,
    give_up_rows_of: str | None = None,
    aborted_rows: str | None = None,
) -> "Destination[Any, Any]":
    """Return a dlt destination that loads tables into Databox datasets.

    What is left out dlt looks for in its configuration, under `destination.databox`.

    Args:
        data_source_id: the data source in which each table has the dataset of its name; made if there is none.
        datasets: table names and the ids of their datasets, for tables that are to go elsewhere.
        api_key: the key, which belongs into dlt's secrets: `DESTINATION__DATABOX__API_KEY` or `secrets.toml`.
        base_url: where to send, if not to the service itself.
        on_ambiguous: what to do when the answer to a batch was lost: "resend" it, "report" it, which fails the load,
            or "auto", the default: resend when the table has keys.
        patience: seconds to wait out a service that takes nothing; 0 by default, as dlt tries the load again.
        requests_per_second: how much of the key's 10 a second a load takes; 9 by default, as some arrive later than
            they left. A 429 costs no row, but time. For long, no load gets more than 10,000 an hour.
        rate_limit_store: a file by which all processes of a machine keep the limit of the key together.
        max_table_nesting: how deep nested values become columns and tables of their own; 0, the default, refuses them.
        skip_dlt_columns_and_tables: False to load dlt's own columns too, which link nested tables to their parents.
        assume_keys: True when the datasets that this pipeline finds, and did not make, were made with the primary keys
            that their tables have. v1 cannot be asked, and without your word such a table is refused.
        give_up_rows_of: the id of a load package, of which rows that did not make it are given up: what is lost or may
            be stored goes into files in the pipeline's directory, and the rest of the package is loaded.
        aborted_rows: what to do about rows without keys that a package stored before it was aborted, as dlt extracts
            them again: "skip" as many as are equal, or "send" them, which stores them twice.

    Loading raises dlt's `DestinationTerminalException` when the table, its rows or the configuration have to be
    changed, or when the answer to rows without keys was lost; and its `DestinationTransientException` when the API
    could not be reached or was busy. The next run goes on from there.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    if datasets is not None:
        given["datasets"] = dict(datasets)
    return databox(**given)


class databox(Destination[DataboxConfiguration, Client]):  # noqa: N801 - its name is the destination's
    """The destination, as dlt finds it by its name; `databox_destination` has the arguments."""

    spec = DataboxConfiguration

    def __init__(self, destination_name: str | None = None, environment: str | None = None, **options: Any) -> None:
        if options.get("api_key") is not None:
            options["api_key"] = Veiled(options["api_key"])
        super().__init__(destination_name=destination_name, environment=environment, **options)

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        caps = DestinationCapabilitiesContext.generic_capabilities("typed-jsonl")
        caps.supported_loader_file_formats = ["typed-jsonl", "parquet"]
        caps.supports_ddl_transactions = False
        caps.supports_transactions = False
        caps.naming_convention = "direct"
        caps.max_table_nesting = 0
        return caps

    @classmethod
    def adjust_capabilities(cls, caps: Any, config: Any, naming: Any) -> DestinationCapabilitiesContext:
        """Return what holds under a configuration."""
        caps = super().adjust_capabilities(caps, config, naming)
        caps.max_table_nesting = config.max_table_nesting
        return cast("DestinationCapabilitiesContext", caps)

    @property
    def client_class(self) -> type[Client]:
        """What loads packages."""
        return Client
