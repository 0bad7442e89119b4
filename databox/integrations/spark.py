"""A data source for Spark 4.1 and later that writes frames and streams into a Databox dataset.

The driver plans (`spark_plan`), each task ingests its partition and waits for the outcome, and the driver says in one
report what became of all rows.
"""

import atexit
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from databox import ConfigurationError, Databox, DataboxError, IngestError, IngestReport, RateLimit
from databox.display import visible_lines
from databox.integrations import REQUESTS_PER_SECOND
from databox.integrations.spark_plan import Cluster, Column, Plan, plan_of
from databox.secret import Veiled

try:
    import pyspark
    from pyspark import TaskContext
    from pyspark.sql import SparkSession
    from pyspark.sql.datasource import (
        DataSource,
        DataSourceArrowWriter,
        DataSourceStreamArrowWriter,
        WriterCommitMessage,
    )
    from pyspark.sql.types import StructType
except ImportError as error:
    raise ImportError(
        'databox.integrations.spark needs Spark 4.1 or later: pip install "databox-sdk[spark]".'
    ) from error

if TYPE_CHECKING:
    from pyarrow import RecordBatch

__all__ = ["register"]

_AT_ONCE = 1000
"""Rows that are taken from Arrow at a time."""
_SECOND = 1.02
"""What a task with a share of its own waits first: another, whose share it takes over, may just have sent."""


def register(
    spark: SparkSession,
    api_key: str | None = None,
    base_url: str | None = None,
    *,
    rate_limit_store: str | None = None,
    requests_per_second: int = REQUESTS_PER_SECOND,
) -> None:
    """Give a session the format `databox`, for `df.write` and `df.writeStream`.

    The key goes to the executors with the code, and stays out of options, plans and the configuration. The package
    must be installed on the executors too.

    Args:
        spark: the session.
        api_key: the key; without it `DATABOX_API_KEY` of the driver's environment.
        base_url: where to send; without it `DATABOX_API_URL`, or the service itself.
        rate_limit_store: by which all tasks keep the limit of the key together: the `redis://` address of a server that
            all executors reach. With a local master it is a file, made where none is named. On a cluster without one
            the limit is divided by the number of tasks that run at once.
        requests_per_second: how much of the key's 10 a second all tasks take together; at least one for each task
            where the limit is divided.

    Raises:
        ConfigurationError: there is no key, or it or the URL cannot be used.
        ValueError, TypeError: the store or the requests a second cannot be.
    """
    api_key = Veiled(api_key or os.environ.get("DATABOX_API_KEY") or "")
    base_url = base_url or os.environ.get("DATABOX_API_URL")
    if not api_key:
        raise ConfigurationError(
            "No API key. Give register() api_key=, or set DATABOX_API_KEY in the driver's environment."
        )
    cluster = Cluster.of(spark.conf.getAll)
    if rate_limit_store is None and cluster.local:
        rate_limit_store = str(_own_directory() / "limit")
    limit = RateLimit(per_second=requests_per_second, store=rate_limit_store, evenly=True)
    door = _Door(api_key, base_url)
    door.client(limit).close()  # it checks the key and the URL

    class Source(_Source):
        session = _Session(door, cluster, limit)

    spark.dataSource.register(Source)


def _own_directory() -> Path:
    """A directory of this user's alone, as long as the driver runs."""
    path = tempfile.mkdtemp(prefix="databox-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return Path(path)


@attrs.frozen
class _Door:
    """Where to send, and with what."""

    api_key: str = attrs.field(repr=False)
    base_url: str | None

    def client(self, limit: RateLimit) -> Databox:
        return Databox(self.api_key, self.base_url, rate_limit=limit, app=f"spark/{pyspark.__version__}")


@attrs.frozen
class _Session:
    door: _Door
    cluster: Cluster
    limit: RateLimit


class _Source(DataSource):
    """What Spark makes of `format("databox")`; `register` makes a subclass that knows its session."""

    session: _Session

    @classmethod
    def name(cls) -> str:
        return "databox"

    def writer(self, schema: StructType, overwrite: bool) -> "_Writer":
        return _Writer(self.session.door, self._plan(schema, overwrite, streaming=False))

    def streamWriter(self, schema: StructType, overwrite: bool) -> "_StreamWriter":  # noqa: N802 - as Spark calls it
        return _StreamWriter(self.session.door, self._plan(schema, overwrite, streaming=True))

    def _plan(self, schema: StructType, overwrite: bool, *, streaming: bool) -> Plan:
        columns = [Column(field.name, field.dataType.simpleString()) for field in schema.fields]
        session = self.session
        return plan_of(self.options, columns, session.cluster, session.limit, overwrite=overwrite, streaming=streaming)


@attrs.frozen
class _Written(WriterCommitMessage):
    """What a task did with its partition."""

    partition: int
    attempt: int
    started: float
    """Seconds of the epoch, on the executor's clock; the end too."""
    ended: float
    report: IngestReport


@attrs.frozen
class _Task:
    """What the writers of batches and of streams have in common."""

    door: _Door
    plan: Plan

    def write(self, batches: Iterator["RecordBatch"]) -> _Written:
        """Ingest a partition, and return what became of it.

        Raises:
            DataboxError: not all of it is stored. The task fails with it, and Spark may try it again.
        """
        context = TaskContext.get()
        assert context is not None
        partition, attempt = context.partitionId(), context.attemptNumber()
        plan = self.plan
        if attempt and plan.once:
            raise DataboxError(
                f"Partition {partition} was tried before, and what that try sent would be stored twice, as dataset "
                f"{plan.dataset_id} has no keys. This try sent nothing. Look at the error of the first try and at the "
                "dataset before you run the job again. With option('primaryKeys', …) tasks can be tried again."
            )
        started = time.time()
        try:
            with self.door.client(plan.limit) as client:
                report = client.datasets.ingest(
                    plan.dataset_id,
                    self._rows(batches),
                    primary_keys=plan.primary_keys or None,
                    verify=plan.verify,
                    verify_timeout=plan.verify_timeout,
                    patience=plan.patience,
                    on_ambiguous=plan.on_ambiguous,
                )
        except IngestError as error:
            known = _ingestions(error.report)
            error.add_note(f"This was partition {partition}. Its ingestions: {', '.join(known) or 'none'}.")
            raise
        return _Written(partition, attempt, started, time.time(), report)

    def _rows(self, batches: Iterator["RecordBatch"]) -> Iterator[dict[str, Any]]:
        if self.plan.limit.store is None:
            time.sleep(_SECOND)
        for batch in batches:
            for start in range(0, batch.num_rows, _AT_ONCE):
                yield from batch.slice(start, _AT_ONCE).to_pylist()


class _Writer(_Task, DataSourceArrowWriter):
    """Writes a frame."""

    def commit(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        _tell(self.plan, messages, stored=True)

    def abort(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        _tell(self.plan, messages, stored=False)


class _StreamWriter(_Task, DataSourceStreamArrowWriter):
    """Writes the micro-batches of a stream."""

    def commit(self, messages: Sequence[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803 - Spark's name
        _tell(self.plan, messages, stored=True, batch=batchId)

    def abort(self, messages: Sequence[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803
        _tell(self.plan, messages, stored=False, batch=batchId)


def _tell(
    plan: Plan, messages: Sequence[WriterCommitMessage | None], *, stored: bool, batch: int | None = None
) -> None:
    """Say at the driver what became of the rows, and add a line to the report's file.

    It does not raise: Spark would call a write failed whose rows are all stored.
    """
    done = sorted(
        (message for message in messages if isinstance(message, _Written)), key=lambda message: message.partition
    )
    report = _together(plan, done)
    again = sum(message.attempt > 0 for message in done)
    name = f"Databox, dataset {plan.dataset_id}" + ("" if batch is None else f", micro-batch {batch}")
    tasks = f"{len(done)} of {len(messages)} tasks, {again} of them tried again."
    if plan.unseen:
        tasks += " Spark may have run some a second time without telling."
    if (again or plan.unseen) and plan.primary_keys:
        keys = ", ".join(plan.primary_keys)
        tasks += f" What came twice is stored once if the dataset's primary keys are those of primaryKeys ({keys})."
    lines = [f"{name}: {report}", tasks]
    if not stored:
        lines = [f"{name}: the write failed. What follows is of the tasks that succeeded.", str(report), tasks]
        lines.append(
            "Tasks that failed may have stored rows too; their errors tell. "
            + (
                "What is stored would be stored twice by running this again."
                if not plan.primary_keys
                else "Running this again replaces what is stored, if the dataset was made with the primary keys "
                f"{', '.join(plan.primary_keys)}."
            )
        )
    if plan.report_path:
        line = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "dataset_id": plan.dataset_id,
            "micro_batch": batch,
            "stored": stored,
            "tasks": len(messages),
            "tasks_done": len(done),
            "tasks_tried_again": again,
            "may_have_repeated_unseen": plan.unseen,
            **attrs.asdict(report, filter=lambda field, _: field.name != "batches"),
            "ingestion_ids": [known for message in done for known in _ingestions(message.report)],
        }
        try:
            with Path(plan.report_path).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            lines.append(f"The report could not be added to {plan.report_path!r}: {error}")
    sys.stderr.write(visible_lines("\n".join(lines)) + "\n")
    sys.stderr.flush()


def _together(plan: Plan, done: Iterable[_Written]) -> IngestReport:
    """The counts of all tasks, over the time from the first one's start to the last one's end."""
    done = list(done)
    counts = {
        field.name: sum(getattr(message.report, field.name) for message in done)
        for field in attrs.fields(IngestReport)
        if field.type is int
    }
    seconds = max((message.ended for message in done), default=0.0) - min((m.started for m in done), default=0.0)
    verify = done[0].report.verify if done else None
    return IngestReport(
        **counts,
        verify=verify,
        seconds=seconds,
        primary_keys=plan.primary_keys,
        primary_keys_assumed=bool(plan.primary_keys),  # an option, with nothing to compare it with
        batches=(),
    )


def _ingestions(report: IngestReport) -> list[str]:
    return list(dict.fromkeys(batch.ingestion_id for batch in report.batches if batch.ingestion_id))
