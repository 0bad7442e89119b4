"""For Airflow 3.2 and later: a hook for connections of the type `databox`, and an operator that ingests rows."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import attrs

from databox import (
    ConfigurationError,
    Databox,
    DataboxError,
    IngestError,
    IngestReport,
    OnAmbiguous,
    RateLimit,
    Verify,
    read_records,
)
from databox.integrations.transience import is_transient

try:
    import airflow
    from airflow.sdk import BaseHook, BaseOperator, Context, XComArg
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError as error:
    raise ImportError(
        'databox.integrations.airflow needs Airflow 3.2 or later: pip install "databox-sdk[airflow]".'
    ) from error

__all__ = ["DataboxHook", "DataboxIngestOperator"]

Rows = Iterable[Any] | Callable[[Context], Iterable[Any]]


class DataboxHook(BaseHook):
    """A Databox client from an Airflow connection.

    The connection's password is the API key, its host the base URL (the service itself without one), and `extra` may
    name a `rate_limit_store`, by which all tasks of a machine, or of several, keep the limit of the key together.

    Args:
        databox_conn_id: the connection.
    """

    conn_name_attr = "databox_conn_id"
    default_conn_name = "databox_default"
    conn_type = "databox"
    hook_name = "Databox"

    def __init__(self, databox_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.databox_conn_id = databox_conn_id

    def get_conn(self) -> Databox:
        """Return a client, which the caller closes or uses in a `with` block.

        Raises:
            ConfigurationError: the connection has no key, or one that cannot be used.
        """
        connection = self.get_connection(self.databox_conn_id)
        if not connection.password:  # never the key of the worker's environment instead
            raise ConfigurationError(f"The connection {self.databox_conn_id!r} has no password. Put the API key there.")
        limit = RateLimit(store=connection.extra_dejson.get("rate_limit_store"))
        app = f"airflow/{airflow.__version__}"
        return Databox(connection.password, _base_url(connection), rate_limit=limit, app=app)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the key is valid, and what to tell the person who asked."""
        try:
            with self.get_conn() as client:
                client.auth.validate_key()
        except (DataboxError, ValueError, TypeError) as error:
            return False, str(error)
        return True, "The API knows the key."


class DataboxIngestOperator(BaseOperator):
    """Ingests rows into a dataset, and gives the report's counts on as XCom.

    What a further try does depends on what is known of the earlier ones. With primary keys all rows are sent again,
    which stores none twice. With a journal the try goes on where the last one stopped. With neither, nobody knows what
    an earlier try sent, so the task fails without another try, unless `on_ambiguous="resend"` says that doubled rows
    do no harm.

    Args:
        dataset_id: the dataset; templated.
        rows: the rows, or what returns them when it is called with the task's context. This or `path`.
        path: a CSV, TSV, JSON, JSON Lines or Parquet file; templated.
        primary_keys: the keys that the dataset was made with; templated.
        journal: a file, on a disk that all workers share, that keeps what was sent; templated. Each run needs one of
            its own, and its rows must be the same in each try.
        verify: as in `datasets.ingest`; `verify_timeout` and `patience` too. Without patience, the default here, a
            service that takes nothing fails the task, which Airflow tries again.
        on_ambiguous: as in `datasets.ingest`.
        databox_conn_id: the connection.
    """

    template_fields: Sequence[str] = ("dataset_id", "path", "primary_keys", "journal", "databox_conn_id")
    template_ext: Sequence[str] = ()
    ui_color = "#d6e9f8"

    def __init__(
        self,
        *,
        dataset_id: str | XComArg,
        rows: Rows | None = None,
        path: str | None = None,
        primary_keys: Sequence[str] | None = None,
        journal: str | None = None,
        verify: Verify | None = "counts",
        verify_timeout: float = 300.0,
        patience: float = 0.0,
        on_ambiguous: OnAmbiguous = "auto",
        databox_conn_id: str = DataboxHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (rows is None) == (path is None):
            raise ValueError("DataboxIngestOperator takes either rows or path.")
        self.dataset_id: Any = dataset_id  # a str by the time of execute
        self.rows = rows
        self.path = path
        self.primary_keys = primary_keys
        self.journal = journal
        self.verify = verify
        self.verify_timeout = verify_timeout
        self.patience = patience
        self.on_ambiguous = on_ambiguous
        self.databox_conn_id = databox_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the report's counts.

        Raises:
            AirflowException: not every row arrived, and another try may help.
            AirflowFailException: not every row arrived, and somebody has to do something before another try.
        """
        repeatable = bool(self.primary_keys or self.journal or self.on_ambiguous == "resend")
        if context["ti"].try_number > 1 and not repeatable:
            raise AirflowFailException(
                "An earlier try may have sent rows, and without primary keys they would be stored twice. "
                f"Nothing was sent.{_REMEDY}"
            )
        try:
            report = self._ingest(context)
        except DataboxError as error:
            if isinstance(error, IngestError):
                context["ti"].xcom_push("return_value", _counts(error.report, self.dataset_id))
            raise _failure(error, repeatable=repeatable) from error
        self.log.info("%s", report)
        return _counts(report, self.dataset_id)

    def _ingest(self, context: Context) -> IngestReport:
        with ExitStack() as stack:
            client = stack.enter_context(DataboxHook(self.databox_conn_id).get_conn())
            rows: Any = self.rows
            if self.path is not None:
                rows = stack.enter_context(read_records(self.path))
            elif callable(rows):
                rows = rows(context)
            return client.datasets.ingest(
                self.dataset_id,
                rows,
                primary_keys=self.primary_keys,
                journal=self.journal,
                verify=self.verify,
                verify_timeout=self.verify_timeout,
                patience=self.patience,
                on_ambiguous=self.on_ambiguous,
            )


_REMEDY = (
    " Look at the dataset, then do one of these: give it primary keys, and name them here; give a journal, so that "
    'further tries go on where the last one stopped; or set on_ambiguous="resend", and all rows are sent again.'
)


def _base_url(connection: Any) -> str | None:
    """The address in a connection: whole in its host, or in parts, as a connection URI has them."""
    host: str | None = connection.host
    if not host:
        return None
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    return f"{host}:{connection.port}" if connection.port else host


def _failure(error: DataboxError, *, repeatable: bool) -> AirflowException:
    """The exception that makes Airflow try again, or not."""
    if repeatable and is_transient(error):
        return AirflowException(str(error))
    doubtful = isinstance(error, IngestError) and (error.report.accepted or error.report.ambiguous)
    return AirflowFailException(f"{error}{_REMEDY if doubtful else ''}")


def _counts(report: IngestReport, dataset_id: str) -> dict[str, Any]:
    """The report as JSON has it; its batches, of which there may be thousands, stay behind."""
    counts = attrs.asdict(report, filter=lambda field, _: field.name != "batches")
    return {"dataset_id": dataset_id, **counts}
