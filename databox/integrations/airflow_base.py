"""What the operators share: all but where the rows come from."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from typing import Any, NoReturn

from airflow.sdk import BaseOperator, Context, XComArg
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from databox import DataboxError, IngestError, IngestReport, OnAmbiguous, Verify
from databox.integrations.airflow_arguments import check_options, number_of
from databox.integrations.airflow_hook import DataboxHook
from databox.integrations.airflow_outcome import NOT_REPEATABLE, counts_of, failure_of, report_of, to_be_asked
from databox.integrations.airflow_trigger import DataboxIngestionTrigger

__all__ = ["IngestingOperator"]


class IngestingOperator(BaseOperator):
    """What the operators share: all but where the rows come from."""

    template_fields: Sequence[str] = (
        "dataset_id",
        "primary_keys",
        "journal",
        "verify",
        "verify_timeout",
        "patience",
        "on_ambiguous",
        "databox_conn_id",
    )
    template_ext: Sequence[str] = ()
    ui_color = "#d6e9f8"

    def __init__(
        self,
        *,
        dataset_id: str | XComArg | Callable[..., str],
        primary_keys: Sequence[str] | XComArg | Callable[..., Sequence[str]] | None = None,
        journal: str | PathLike[str] | XComArg | Callable[..., str] | None = None,
        verify: Verify | None = "counts",
        verify_timeout: float | str = 300.0,
        patience: float | str = 0.0,
        on_ambiguous: OnAmbiguous = "auto",
        deferrable: bool | None = None,
        databox_conn_id: str | XComArg = DataboxHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if deferrable is None:  # Airflow's setting for all operators, where they can
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False) and verify == "counts"
        check_options(
            dataset_id=dataset_id,
            primary_keys=primary_keys,
            journal=journal,
            verify=verify,
            verify_timeout=verify_timeout,
            patience=patience,
            on_ambiguous=on_ambiguous,
            deferrable=deferrable,
            databox_conn_id=databox_conn_id,
        )
        # What they are by the time of execute, when Airflow has rendered them.
        self.dataset_id: Any = dataset_id
        self.primary_keys: Any = primary_keys
        self.journal: Any = journal
        self.verify: Any = verify
        self.verify_timeout: Any = verify_timeout
        self.patience: Any = patience
        self.on_ambiguous: Any = on_ambiguous
        self.deferrable = deferrable
        self.databox_conn_id: Any = databox_conn_id

    def _rows(self, context: Context, stack: ExitStack) -> Any:
        """Return the rows; what is to be closed after them goes onto the stack."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the report's counts.

        Raises:
            AirflowException: not every row arrived, and another try may help.
            AirflowFailException: not every row arrived, and somebody has to do something before another try.
        """
        if context["ti"].try_number > 1 and not self._is_repeatable:
            raise AirflowFailException(
                "An earlier try may have sent rows, and without primary keys they would be stored twice. Nothing was "
                f"sent.{NOT_REPEATABLE}"
            )
        try:
            report = self._ingest(context)
        except DataboxError as error:
            self._fail(error, context)
        if self.deferrable and report.unverified:
            self._wait_elsewhere(report)
        self.log.info("%s", report)
        return counts_of(report, self.dataset_id)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the report's counts, after the wait for outcomes; called by Airflow."""
        report = report_of(event["counts"])
        if not report.ok:
            words = "\n".join([f"Not every row was stored. {report}", *event["problems"]])
            self._fail(IngestError(words, report=report), context)
        self.log.info("%s", report)
        return counts_of(report, self.dataset_id)

    @property
    def _is_repeatable(self) -> bool:
        return bool(self.primary_keys or self.journal or self.on_ambiguous == "resend")

    def _ingest(self, context: Context) -> IngestReport:
        with ExitStack() as stack:
            try:
                client = stack.enter_context(DataboxHook(self.databox_conn_id).get_conn())
            except (TypeError, ValueError) as error:
                raise AirflowFailException(str(error)) from error
            rows = self._rows(context, stack)
            try:
                return client.datasets.ingest(
                    self.dataset_id,
                    rows,
                    primary_keys=self.primary_keys,
                    journal=self.journal,
                    verify=None if self.deferrable else self.verify,
                    verify_timeout=number_of("verify_timeout", self.verify_timeout),
                    patience=number_of("patience", self.patience),
                    on_ambiguous=self.on_ambiguous,
                )
            except (TypeError, ValueError) as error:  # an argument; what the rows raise comes as an IngestError
                raise AirflowFailException(f"{error} Nothing was sent.") from error

    def _wait_elsewhere(self, report: IngestReport) -> NoReturn:
        counts, ingestions = to_be_asked(report, self.dataset_id)
        self.defer(
            trigger=DataboxIngestionTrigger(
                databox_conn_id=self.databox_conn_id,
                dataset_id=self.dataset_id,
                ingestions=ingestions,
                counts=counts,
                deadline=time.time() + number_of("verify_timeout", self.verify_timeout),
            ),
            method_name="execute_complete",
        )

    def _fail(self, error: DataboxError, context: Context) -> NoReturn:
        if isinstance(error, IngestError):
            context["ti"].xcom_push("return_value", counts_of(error.report, self.dataset_id))
        raise failure_of(error, repeatable=self._is_repeatable, journal=bool(self.journal)) from error
