"""For Airflow 3.2 and later: a hook for connections of the type `databox`, and operators that ingest rows."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from typing import Any, ClassVar

from databox import DataboxError, InvalidRecordError, read_records

try:
    from airflow.sdk import BaseHook, Context, ObjectStoragePath, XComArg
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
    from sqlalchemy.exc import ArgumentError  # also of a dialect that is not installed; Airflow has SQLAlchemy
except ImportError as error:
    raise ImportError(
        'databox.integrations.airflow needs Airflow 3.2 or later: pip install "databox-sdk[airflow]".'
    ) from error

from databox.files.query import QueryRecords
from databox.integrations.airflow_arguments import Rows, check_rows, check_text, is_known_later, rows_of
from databox.integrations.airflow_base import IngestingOperator
from databox.integrations.airflow_hook import DataboxHook
from databox.integrations.airflow_trigger import DataboxIngestionTrigger
from databox.misuse import ArgumentTypeError, ArgumentValueError

__all__ = ["DataboxHook", "DataboxIngestOperator", "DataboxIngestionTrigger", "SqlToDataboxOperator"]


class DataboxIngestOperator(IngestingOperator):
    """Ingests rows into a dataset, and gives the report's counts on as XCom.

    Every argument may be a template, the output of a task (`rows=extract()`, which makes the task depend on it), or a
    function. What cannot work is refused when the DAG is parsed.

    What a further try does depends on what is known of the earlier ones. With primary keys all rows are sent again,
    which stores none twice. With a journal the try goes on where the last one stopped. With neither, nobody knows what
    an earlier try sent, so the task fails without another try, unless `on_ambiguous="resend"` says that doubled rows
    do no harm.

    Args:
        dataset_id: the dataset.
        rows: the rows: the output of a task, or a function that returns them when it is called with the task's context,
            or a list. Of a mapped task the rows of all its instances. A list in the file of the DAG is a template like
            any argument; `airflow.sdk.literal` keeps braces in it. This or `path`.
        path: a CSV, TSV, JSON, JSON Lines, Parquet or Excel file, as `read_records` takes it; or an ObjectStoragePath.
        primary_keys: the keys that the dataset was made with.
        journal: a file, on a disk that all workers share, that keeps what was sent. Each run needs one of its own, and
            its rows must be the same in each try.
        verify: as in `datasets.ingest`; `verify_timeout` and `patience` too. Without patience, the default here, a
            service that takes nothing fails the task, which Airflow tries again.
        on_ambiguous: as in `datasets.ingest`.
        deferrable: whether Airflow's triggerer waits for the outcomes, for `verify_timeout` seconds, so that no worker
            does; Airflow's own setting (`operators.default_deferrable`) without. Some 60 bytes for each 100 rows then
            go through Airflow's database.
        databox_conn_id: the connection.

    Raises:
        TypeError, ValueError: an argument cannot work; raised when the DAG is parsed.
    """

    template_fields: Sequence[str] = (*IngestingOperator.template_fields, "rows", "path")

    def __init__(
        self,
        *,
        rows: Rows | None = None,
        path: str | PathLike[str] | ObjectStoragePath | XComArg | Callable[..., str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (rows is None) == (path is None):
            raise ArgumentValueError("DataboxIngestOperator takes either rows or path.")
        self.rows: Any = None if rows is None else check_rows(rows)
        if not isinstance(path, PathLike | ObjectStoragePath | None) and not is_known_later(path):
            check_text("path", path)
        self.path: Any = path

    def _rows(self, context: Context, stack: ExitStack) -> Any:
        if self.path is None:
            try:
                return rows_of(self.rows, context)
            except ArgumentTypeError as error:
                raise AirflowFailException(f"{error} Nothing was sent.") from error
        source = self.path
        if isinstance(source, ObjectStoragePath):
            source = stack.enter_context(source.open("rb"))  # type: ignore[no-untyped-call]
        try:
            return stack.enter_context(read_records(source))
        except (TypeError, ValueError, LookupError) as error:  # the file is not what it is to be
            raise AirflowFailException(f"{error} Nothing was sent.") from error


class SqlToDataboxOperator(IngestingOperator):
    """Ingests the rows of a SQL query, streamed from any database that Airflow has a connection and hook for.

    Rows are fetched as they are sent, at flat memory, by a cursor on the server where the database has one. Values have
    the types of the database, as with `read_query`: numbers with more digits than JSON holds exactly become text, times
    without a zone are UTC. The other arguments are those of `DataboxIngestOperator`.

    Args:
        sql: the query, or a `.sql` file in the folders of templates.
        sql_conn_id: the connection of the database.
        parameters: values for the query, written as the database's driver has them: `%(day)s`, `:day`, `?`.
        hook_params: further arguments of the connection's hook.

    Raises:
        TypeError, ValueError: an argument cannot work; raised when the DAG is parsed.
    """

    template_fields: Sequence[str] = (*IngestingOperator.template_fields, "sql", "parameters", "sql_conn_id")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}

    def __init__(
        self,
        *,
        sql: str | XComArg | Callable[..., str],
        sql_conn_id: str | XComArg,
        parameters: Mapping[str, Any] | Sequence[Any] | XComArg | None = None,
        hook_params: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_text("sql", sql)
        check_text("sql_conn_id", sql_conn_id)
        if not isinstance(parameters, Mapping | list | tuple | None) and not is_known_later(parameters):
            raise ArgumentTypeError(f"parameters must be a mapping or a list, not {type(parameters).__name__}.")
        self.sql: Any = sql
        self.sql_conn_id: Any = sql_conn_id
        self.parameters: Any = parameters
        self.hook_params = hook_params

    def _rows(self, context: Context, stack: ExitStack) -> Any:
        parameters = self.parameters
        if isinstance(parameters, list):  # which SQLAlchemy takes for those of many queries
            parameters = tuple(parameters)
        engine = self._engine()
        stack.callback(engine.dispose)
        try:
            return stack.enter_context(QueryRecords(engine, self.sql, parameters, by_driver=True))
        except InvalidRecordError as error:  # a column that cannot be sent
            raise AirflowFailException(f"{error} Nothing was sent.") from error
        except DataboxError as error:  # as with all operators of Airflow, what a database says is tried again
            raise AirflowException(f"{error} Nothing was sent.") from error

    def _engine(self) -> Any:
        hook: Any = BaseHook.get_hook(self.sql_conn_id, hook_params=self.hook_params)
        try:
            return hook.get_sqlalchemy_engine()
        except (AttributeError, NotImplementedError, ImportError, ArgumentError) as error:
            raise AirflowFailException(
                f"The rows of the connection {self.sql_conn_id!r} cannot be read through SQLAlchemy: {error}. Install "
                "the database's dialect, or use DataboxIngestOperator with a function that returns the rows, "
                "rows=lambda context: …. Nothing was sent."
            ) from error
