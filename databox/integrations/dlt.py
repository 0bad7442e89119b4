"""A destination for dlt: any dlt source runs into Databox datasets, a table into a dataset.

Each file of a load package is one ingest with a journal, which lies in the package and lives as long: whatever stops a
load, the next run goes on where it stopped. So a row that was accepted is not sent again, with or without keys.
"""

import threading
from collections.abc import Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Any, Optional, cast

from databox import Databox, DataboxError, IngestError, OnAmbiguous, RateLimit
from databox.integrations import REQUESTS_PER_SECOND
from databox.integrations.transience import is_transient
from databox.secret import Veiled

try:
    import dlt
except ImportError as error:
    raise ImportError('databox.integrations.dlt needs dlt: pip install "databox-sdk[dlt]".') from error

from dlt.common.destination.exceptions import DestinationTerminalException, DestinationTransientException
from dlt.common.json import json
from dlt.common.schema import TTableSchema
from dlt.common.storages import FileStorage
from dlt.common.storages.load_package import ParsedLoadJobFileName
from dlt.common.typing import TDataItems

__all__ = ["databox_destination"]


_one_at_a_time = threading.Lock()
"""Held while a dataset is looked up, made or purged, so that the files of one table, loaded in parallel, do it once."""


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
) -> dlt.destinations.destination:
    """Return a dlt destination that loads tables into Databox datasets.

    What is left out dlt looks for in its configuration, under `destination.databox`.

    Args:
        data_source_id: the data source in which each table has the dataset of its name; made if there is none.
        datasets: table names and the ids of their datasets, for tables that are to go elsewhere. They must have been
            made with the primary keys that the tables have.
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

    Loading raises dlt's `DestinationTerminalException` when the table, its rows or the configuration have to be
    changed, or when the answer to rows without keys was lost; and its `DestinationTransientException` when the API
    could not be reached or was busy. The next run goes on from there.
    """
    given = {
        "data_source_id": data_source_id,
        "datasets": None if datasets is None else dict(datasets),
        "api_key": None if api_key is None else Veiled(api_key),  # the destination's repr has all of these
        "base_url": base_url,
        "on_ambiguous": on_ambiguous,
        "patience": patience,
        "requests_per_second": requests_per_second,
        "rate_limit_store": rate_limit_store,
        "max_table_nesting": max_table_nesting,
        "skip_dlt_columns_and_tables": skip_dlt_columns_and_tables,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return _load_file(**options)


@dlt.destination(
    name="databox",
    batch_size=0,  # a file at a time: `ingest` cuts the batches, sends several at once, and keeps the journal
    loader_file_format="typed-jsonl",
    naming_convention="direct",
    skip_dlt_columns_and_tables=True,
    max_table_nesting=0,
)
def _load_file(
    items: TDataItems | str,
    table: TTableSchema,
    api_key: dlt.TSecretStrValue = dlt.secrets.value,
    data_source_id: Optional[int] = None,  # noqa: UP045 - dlt reads these annotations
    datasets: Optional[dict[str, str]] = None,  # noqa: UP045
    base_url: Optional[str] = None,  # noqa: UP045
    on_ambiguous: str = "auto",
    patience: float = 0.0,
    requests_per_second: int = REQUESTS_PER_SECOND,
    rate_limit_store: Optional[str] = None,  # noqa: UP045
) -> None:
    """Load a file of a package; dlt calls this, on a thread of its own, with its configuration."""
    try:
        api_key = Veiled(api_key)  # for who shows the locals of the tracebacks that follow
        limit = RateLimit(per_second=requests_per_second, store=rate_limit_store, evenly=True)
        with Databox(api_key, base_url, rate_limit=limit, app=f"dlt/{dlt.__version__}") as client:
            if not isinstance(items, str):
                raise TypeError("batch_size must be 0, for whole files to be loaded. Take it out of the configuration.")
            _load(client, items, table, data_source_id, datasets or {}, cast("OnAmbiguous", on_ambiguous), patience)
    except (DataboxError, TypeError, ValueError) as error:
        transient = isinstance(error, DataboxError) and is_transient(error)
        kind = DestinationTransientException if transient else DestinationTerminalException
        raise kind(f"Table {table.get('name')!r}: {error}") from error


def _load(
    client: Databox,
    path: str,
    table: TTableSchema,
    data_source_id: int | None,
    datasets: Mapping[str, str],
    on_ambiguous: OnAmbiguous,
    patience: float,
) -> None:
    name = str(table.get("name"))
    if name.startswith("_dlt_"):
        return  # dlt's own tables come along with its own columns, and are of no use without a way to read them back
    _refuse_what_would_be_lost(table)
    file = ParsedLoadJobFileName.parse(path)
    folder = Path(path).parents[1] / "databox"  # beside the folders that dlt sorts the package's files into
    folder.mkdir(exist_ok=True)
    read = _parquet_rows if file.file_format == "parquet" else _json_rows
    keys = _primary_keys(table)
    columns = table["columns"].values()
    if any(column.get("merge_key") for column in columns) and not any(column.get("primary_key") for column in columns):
        _refuse_repeated(keys, read(path, table))
    with _one_at_a_time:
        dataset = _dataset_id(client, name, keys, data_source_id, datasets)
        purged = folder / f"{file.table_name}.purged"
        if table["write_disposition"] == "replace" and not purged.exists():
            client.datasets.purge(dataset)
            purged.touch()
    try:
        client.datasets.ingest(
            dataset,
            read(path, table),
            primary_keys=keys,
            journal=folder / f"{file.table_name}.{file.file_id}.journal",
            on_ambiguous=on_ambiguous,
            patience=patience,
        )
    except IngestError as error:
        if error.report.ambiguous:
            raise DestinationTerminalException(_ambiguity(error, name, dataset)) from error
        raise


def _dataset_id(
    client: Databox, name: str, keys: list[str], data_source_id: int | None, datasets: Mapping[str, str]
) -> str:
    if name in datasets:
        return datasets[name]
    if data_source_id is None:
        raise ValueError(
            "it has no dataset. Set destination.databox.data_source_id, in which one is made for each table, or name "
            f"its id under destination.databox.datasets.{name}."
        )
    return client.datasets.ensure(name, data_source=data_source_id, primary_keys=keys or None).id


def _primary_keys(table: TTableSchema) -> list[str]:
    """The columns that tell rows apart: by the schema's hints, or dlt's own row id where it is loaded as well."""
    for hint in ("primary_key", "merge_key", "row_key"):
        keys = [name for name, column in table["columns"].items() if cast("dict[str, Any]", column).get(hint)]
        if keys:
            return keys
    return []


def _refuse_what_would_be_lost(table: TTableSchema) -> None:
    """Raise a ValueError for what dlt promises with other destinations, and the API cannot do."""
    for name, column in table["columns"].items():
        kind = column.get("data_type")
        if kind == "json":
            raise ValueError(
                f"column {name!r} is nested, and a row must be flat. Take its parts out with add_map, make it text "
                "there (json.dumps), or give it a table of its own with max_table_nesting=1."
            )
        if kind == "binary":
            raise ValueError(f"column {name!r} is binary. Drop it or make it text with add_map.")
        if column.get("hard_delete"):
            raise ValueError(f"column {name!r} marks rows to delete, which the API cannot do. Filter them out.")
    if table.get("parent") and table["write_disposition"] == "merge":
        raise ValueError(
            "it is nested in a table that is merged, and the API cannot delete the rows of an old version. Keep "
            "max_table_nesting at 0, or load the parent with append or replace."
        )
    if table.get("parent") and not _primary_keys(table):
        raise ValueError(
            "it is nested, and its link to the parent is in dlt's own columns. Load them as well: "
            "skip_dlt_columns_and_tables=False."
        )
    strategy = table.get("x-merge-strategy", "upsert")
    if table["write_disposition"] == "merge" and strategy not in ("delete-insert", "upsert"):
        raise ValueError(f"the merge strategy {strategy!r} is more than the API can do. Use upsert.")
    if table["write_disposition"] == "merge" and not _primary_keys(table):
        raise ValueError("it is to be merged, and has no primary_key. Name one in the resource.")


def _refuse_repeated(keys: list[str], rows: Iterator[dict[str, Any]]) -> None:
    """Raise a ValueError when a merge_key is that of several rows, of which the API would keep one."""
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        key = tuple(row.get(name) for name in keys)
        if key in seen:
            raise ValueError(
                f"several rows have the same merge_key ({', '.join(map(repr, keys))}), and the API keeps one row "
                "of a key. Name a primary_key, which tells them apart."
            )
        seen.add(key)


def _json_rows(path: str, table: TTableSchema) -> Iterator[dict[str, Any]]:
    with FileStorage.open_zipsafe_ro(path) as file:
        for line in file:
            found = json.typed_loads(line)
            for row in found if isinstance(found, list) else [found]:
                yield _plain(row, table)


def _parquet_rows(path: str, table: TTableSchema) -> Iterator[dict[str, Any]]:
    """What sources of Arrow tables and data frames leave in the package."""
    import pyarrow.parquet as parquet  # whoever has Arrow tables has it

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                yield _plain(row, table)


def _plain(row: dict[str, Any], table: TTableSchema) -> dict[str, Any]:
    """The row with the table's columns alone. A time of day, for which the API has no type, becomes text."""
    return {
        name: row[name].isoformat() if isinstance(row[name], time) else row[name]
        for name in table["columns"]
        if name in row
    }


def _ambiguity(error: IngestError, name: str, dataset: str) -> str:
    """What somebody has to know to decide about rows that may be stored."""
    batches = error.report.batches
    lost = [
        f"{batch.first_row} to {batch.first_row + batch.rows - 1}" for batch in batches if batch.outcome == "ambiguous"
    ]
    known = dict.fromkeys(batch.ingestion_id for batch in batches if batch.ingestion_id)
    return (
        f"Table {name!r}: {error}\nThe rows {', '.join(lost)} of this file may be stored in dataset {dataset}, and "
        "have no keys, so sending them again may store them twice. Ingestions of the file that are known: "
        f"{', '.join(known) or 'none'}; if the dataset has another one, it is theirs. Then load again with "
        'on_ambiguous="resend", or give the package up with pipeline.abort_packages().'
    )
