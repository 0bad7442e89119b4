"""Loads dlt's packages: looks at one as a whole, prepares its datasets, and ingests its files."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Optional, cast, get_args

import dlt
from dlt.common import logger
from dlt.common.configuration import configspec
from dlt.common.configuration.container import Container
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import DestinationClientConfiguration, JobClientBase, LoadJob, RunnableLoadJob
from dlt.common.destination.exceptions import DestinationException
from dlt.common.schema import Schema, TSchemaTables
from dlt.common.schema.utils import is_dlt_table_or_column
from dlt.common.storages.load_package import LoadPackageStateInjectableContext, ParsedLoadJobFileName
from dlt.common.typing import TSecretStrValue
from dlt.destinations.job_impl import FinalizedLoadJob

from databox import Databox, OnAmbiguous, RateLimit
from databox.integrations import REQUESTS_PER_SECOND
from databox.integrations.dlt_memory import Memory
from databox.integrations.dlt_places import Places
from databox.integrations.dlt_rows import File, look, rows_of
from databox.integrations.dlt_schema import refusals
from databox.integrations.dlt_words import ABORT, DROPPED, GO_ON, give_up, judge, refuse, tell_left_out, told
from databox.secret import Veiled

__all__ = ["Client", "DataboxConfiguration"]


@configspec
class DataboxConfiguration(DestinationClientConfiguration):
    """What dlt looks for under `destination.databox`; `databox_destination` says what it means."""

    destination_type: Final[str] = dataclasses.field(default="databox", init=False, repr=False, compare=False)  # type: ignore[misc]
    api_key: TSecretStrValue = None  # type: ignore[assignment]  # which makes it required
    data_source_id: Optional[int] = None  # noqa: UP045 - dlt reads these annotations; so below
    datasets: Optional[dict[str, str]] = None  # noqa: UP045
    base_url: Optional[str] = None  # noqa: UP045
    on_ambiguous: str = "auto"
    patience: float = 0.0
    requests_per_second: int = REQUESTS_PER_SECOND
    rate_limit_store: Optional[str] = None  # noqa: UP045
    max_table_nesting: int = 0
    skip_dlt_columns_and_tables: bool = True
    assume_keys: bool = False
    give_up_rows_of: Optional[str] = None  # noqa: UP045
    aborted_rows: Optional[str] = None  # noqa: UP045


class Client(JobClientBase):
    """Loads packages. dlt asks it to look at one, to prepare the datasets, and for a job for each file."""

    config: DataboxConfiguration

    def __init__(self, schema: Schema, config: Any, capabilities: DestinationCapabilitiesContext) -> None:
        super().__init__(schema, config, capabilities)
        self._to_make: list[PreparedTableSchema] = []

    # What dlt asks first, before anything is sent

    def verify_schema(
        self,
        only_tables: Iterable[str] | None = None,
        new_jobs: Iterable[ParsedLoadJobFileName] | None = None,
    ) -> list[PreparedTableSchema]:
        """Return the tables of a package, which can be loaded as a whole.

        Raises:
            DestinationTerminalException: it cannot; the message has all reasons, and nothing was sent.
            DestinationTransientException: the API was busy or out of reach; nothing was sent.
        """
        jobs = list(new_jobs or ())
        prepared = super().verify_schema(cast("Any", only_tables), jobs)
        context = Container()[LoadPackageStateInjectableContext]
        memory = Memory(_working_dir())
        with_rows = {job.table_name for job in jobs if not self._is_of_dlt(job.table_name)}
        tables = [table for table in prepared if table["name"] in with_rows]
        if context.state.get("dropped_tables"):
            refuse([DROPPED], ABORT)
        if wrong := _wrong_options(self.config):
            refuse(wrong, GO_ON)
        if problems := list(refusals(cast("Any", tables))):
            refuse(problems, ABORT)
        with told(), _door(self.config) as client:
            settled = Places(client, self.config, memory).settle(
                cast("Any", tables), context.load_id, emptied=_emptied(tables, context)
            )
        if settled.questions:
            refuse(settled.questions, GO_ON)
        for note in settled.notes:
            logger.warning(note)
        lenient = self.config.give_up_rows_of == context.load_id
        looks = {
            str(table["name"]): look(
                cast("Any", table),
                _files(context, [job for job in jobs if job.table_name == table["name"]]),
                stored=settled.stored.get(str(table["name"]), Counter()),
                lenient=lenient,
            )
            for table in tables
        }
        if problems := [problem for seen in looks.values() for problem in seen.problems]:
            refuse(problems, f"{ABORT} {give_up(context.load_id)}")
        for name, seen in looks.items():
            tell_left_out(name, seen, settled.stored.get(name))
            for job_id, left_out in seen.left_out.items():
                memory.package(context.load_id).plan(job_id, left_out, seen.digests.get(job_id))
        self._to_make = [table for table in tables if settled.datasets[str(table["name"])] is None]
        return prepared

    def update_stored_schema(
        self,
        only_tables: Iterable[str] | None = None,
        expected_update: TSchemaTables | None = None,
        force: bool = False,
    ) -> TSchemaTables | None:
        """Make the datasets that there are none of."""
        if self._to_make:
            with told(), _door(self.config) as client:
                Places(client, self.config, Memory(_working_dir())).make(cast("Any", self._to_make))
        return super().update_stored_schema(cast("Any", only_tables), cast("Any", expected_update), force)

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Purge the datasets of tables that are replaced, or refreshed with "drop_data"."""
        names = [name for name in truncate_tables or () if not self._is_of_dlt(name)]
        if names:
            load_id = Container()[LoadPackageStateInjectableContext].load_id
            with told(), _door(self.config) as client:
                Places(client, self.config, Memory(_working_dir())).purge(names, load_id)

    def is_storage_initialized(self) -> bool:
        """Return True: the data source is there."""
        return True

    def drop_storage(self) -> None:
        """Do nothing: a data source, with what dashboards show of it, is not deleted from here."""

    def prepare_load_table(self, table_name: str) -> PreparedTableSchema:
        """Return a table as it is to be loaded: without dlt's own columns, unless they are wanted."""
        table = super().prepare_load_table(table_name)
        if self.config.skip_dlt_columns_and_tables:
            for column in [name for name in table["columns"] if self._is_of_dlt(name)]:
                del table["columns"][column]
        return table

    # Loading

    def create_load_job(
        self,
        table: PreparedTableSchema,
        file_path: str,
        load_id: str,
        restore: bool = False,
    ) -> LoadJob:
        """Return what loads a file."""
        if self._is_of_dlt(str(table["name"])):
            return FinalizedLoadJob(file_path)  # of no use without a way to read them back
        return _Job(file_path, self.config, Memory(_working_dir()), load_id)

    def complete_load(self, load_id: str) -> None:
        """Forget a package that was loaded."""
        Memory(_working_dir()).completed(load_id)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _is_of_dlt(self, name: str) -> bool:
        return is_dlt_table_or_column(name, self.schema._dlt_tables_prefix)


class _Job(RunnableLoadJob):
    """Loads a file of a package, on a thread of dlt's."""

    def __init__(self, file_path: str, config: DataboxConfiguration, memory: Memory, load_id: str) -> None:
        super().__init__(file_path)
        self._config = config
        self._memory = memory
        self._package = memory.package(load_id)

    def run(self) -> None:
        """Ingest the file.

        Raises:
            DestinationTerminalException: somebody has to do something first.
            DestinationTransientException: another try may help.
        """
        table, job_id, config, package = cast("Any", self._load_table), self.job_id(), self._config, self._package
        giving_up = package.given_up(job_id) if config.give_up_rows_of == package.load_id else None
        with told(table["name"]), _door(config) as client:
            dataset = Places(client, config, self._memory).dataset_of(table)
            report = client.datasets.ingest(
                dataset,
                rows_of(Path(self._file_path), table["columns"], package.left_out(job_id)),
                journal=package.journal(job_id),
                dead_letter=giving_up,
                on_ambiguous=cast("OnAmbiguous", config.on_ambiguous),
                patience=config.patience,
                raise_on_failure=False,
            )
            package.ended(job_id, dataset.id, report)
            judge(report, package, table=table["name"], dataset=dataset.id, giving_up=giving_up)

    def failed_message(self) -> str:
        """Return what went wrong, without the way that it came by."""
        error = self.exception()
        return str(error) if isinstance(error, DestinationException) else super().failed_message()


def _working_dir() -> Path:
    """Return where the pipeline that loads keeps what is its own."""
    return Path(dlt.current.pipeline().working_dir)


def _door(config: DataboxConfiguration) -> Databox:
    limit = RateLimit(per_second=config.requests_per_second, store=config.rate_limit_store, evenly=True)
    return Databox(Veiled(config.api_key), config.base_url, rate_limit=limit, app=f"dlt/{dlt.__version__}")


def _files(context: LoadPackageStateInjectableContext, jobs: Iterable[ParsedLoadJobFileName]) -> list[File]:
    """Return where files are that are still to be loaded."""
    storage, load_id = context.storage, context.load_id
    paths = ((job, storage.get_job_file_path(load_id, "new_jobs", job.file_name())) for job in jobs)
    return [File(job.job_id(), Path(storage.storage.make_full_path(path))) for job, path in paths]


def _emptied(tables: Iterable[PreparedTableSchema], context: LoadPackageStateInjectableContext) -> set[str]:
    """Return the tables of which nothing is there any more when the first row is sent."""
    replaced = {str(table["name"]) for table in tables if table["write_disposition"] == "replace"}
    return replaced | {str(table["name"]) for table in context.state.get("truncated_tables", [])}


def _wrong_options(config: DataboxConfiguration) -> list[str]:
    """Return what is wrong with the configuration, and would be found out in the middle of a load."""
    allowed = {"on_ambiguous": get_args(OnAmbiguous), "aborted_rows": (None, "skip", "send")}
    return [
        f"destination.databox.{name} must be {' or '.join(repr(each) for each in values if each)}, not {value!r}."
        for name, values in allowed.items()
        if (value := getattr(config, name)) not in values
    ]
