"""Drives an ingest: reads rows, sends batches, asks what became of them, reports."""

import logging
import time
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from functools import partial
from typing import Any

import attrs

from databox import operations
from databox._async.pool import Pool, Stopped
from databox._async.runtime import Source
from databox._async.transport import AsyncTransport
from databox._async.verification import AsyncVerification
from databox.errors import APIError, ConfigurationError, IngestError, InvalidRecordError
from databox.ingest.batch import Batch, Batcher
from databox.ingest.encode import encode
from databox.ingest.files import Files
from databox.ingest.rows import rows_of
from databox.ingest.run import Answer, Run
from databox.ingest.settings import Settings
from databox.ingest.tally import Tally
from databox.report import IngestReport
from databox.retry import Attempts

__all__ = ["AsyncIngest"]

log = logging.getLogger("databox")

QUICK = 0.004
"""Seconds of an answer that comes so fast that sending beside the caller costs more than it gains."""

Result = tuple[int, Any]
STOP = Batch((), (), ())
"""Says that no more rows are wanted."""


class AsyncIngest:
    """One run of `datasets.ingest`."""

    def __init__(self, transport: AsyncTransport, dataset_id: str, settings: Settings) -> None:
        self._transport = transport
        self._dataset_id = dataset_id
        self._settings = settings
        self._run = Run(settings.concurrency)
        self._attempts: dict[int, Attempts] = {}
        self._source_error: BaseException | None = None
        self._latencies: deque[float] = deque(maxlen=8)

    async def __call__(self, records: Iterable[Any] | AsyncIterable[Any]) -> IngestReport:
        """Run and return the report.

        Raises:
            IngestError: the source of the rows raised, or a file could not be written; what had been read was sent.
            ConfigurationError: the journal belongs to something else.
        """
        settings = self._settings
        rows = rows_of(records)
        self._tally = Tally(self._run, records, settings)
        about = {"dataset": self._dataset_id, "address": self._transport.config.base_url}
        self._files = Files(settings, about | {"primary keys": ", ".join(settings.primary_keys)}, self._run)
        try:
            await self._through(rows)
        finally:
            self._files.close()
        return self._report

    async def _through(self, rows: Any) -> None:
        """Send and verify; whatever happens, there is a report in the end."""
        problem: BaseException | None = None
        pool: Pool[Result] = Pool(self._settings.concurrency)
        transport = self._transport
        self._transport = transport.with_options(transport.options, pool.sleep)
        try:
            async with pool:
                await self._send_all(rows, pool)
                await self._verify(pool)
        except BaseException as error:  # noqa: BLE001 - an interrupt as well must leave a report behind
            problem = error
        for number, answer in pool.taken_at_once():
            if isinstance(answer, Answer):
                self._settle(number, answer)
        for number, outcome in self._run.give_up(n for n, attempts in self._attempts.items() if attempts.open):
            if outcome != "unsent":
                self._files.answered(number, outcome)
        self._conclude(problem)

    def _conclude(self, problem: BaseException | None) -> None:
        """Make the report, write the dead letters, and raise what stopped the run."""
        report = self._report = self._run.report(
            verify=self._settings.verify, requests=self._transport.requests, seconds=self._tally.seconds
        )
        self._files.write_dead_letters()
        problem = problem or self._files.error or self._source_error
        log.info("Ingested into %s: %s", self._dataset_id, str(report).partition("\n")[0])
        if problem is None:
            return
        if isinstance(problem, ConfigurationError) and not report.requests:
            raise problem
        if isinstance(problem, Exception):
            what = "The source of the rows raised" if problem is self._source_error else "The run was stopped by"
            raise IngestError(f"{what} {problem!r}. {report}", report=report) from problem
        problem.add_note(f"An ingest was interrupted. {report}")
        problem.report = report  # type: ignore[attr-defined]
        raise problem

    # Sending

    async def _send_all(self, rows: Any, pool: Pool[Result]) -> None:
        """Send what the source gives, and wait for the answers."""
        batcher = self._settings.batcher(self._files.ends)
        take = self._taker(batcher, pool)
        source: Source | None = None
        while not self._run.stopped:
            # Nothing is read before it can be sent.
            while not self._run.has_room():
                self._tell("answers")
                self._settle(*await pool.take())
            try:
                source = source or Source(rows)
                batch = await source.feed(take)
            except Exception as error:  # noqa: BLE001 - the source is the caller's and may raise anything
                self._source_error = error
                batch = None
            if batch is None or batch is STOP:
                break
            await self._dispatch(batch, pool)
        last = batcher.flush()
        if last:
            await self._dispatch(last, pool)
        if not self._run.stopped and self._source_error is None:
            self._files.source_ended()
        while pool.busy:
            self._tell("answers")
            self._settle(*await pool.take())

    def _taker(self, batcher: Batcher, pool: Pool[Result]) -> Callable[[Any], Batch | None]:
        """Return what encodes a row and gives the batch that it completes, or STOP when no more are wanted."""
        run, primary_keys = self._run, self._settings.primary_keys  # this runs for every row

        def take(record: Any) -> Batch | None:
            index = run.rows
            run.rows = index + 1
            batch = None
            try:
                data, key = encode(record, index, primary_keys)
                batch = batcher.add(index, data, key)
            except InvalidRecordError as error:
                run.invalid(error, index)
                self._files.invalid(index, record, error)
            if pool.busy and pool.ready():
                for done in pool.taken_at_once():
                    self._settle(*done)
            return batch or (STOP if run.stopped else None)

        return take

    async def _dispatch(self, batch: Batch, pool: Pool[Result]) -> None:
        """Let a batch go, in this task or beside it, unless it went in an earlier run."""
        number = self._run.cut(batch)
        self._files.cut(number, batch)
        if self._went_before(number, batch):
            return
        while not self._run.may_go(batch) and not self._run.stopped:
            self._tell("answers")
            self._settle(*await pool.take())
        if self._run.stopped:
            return  # it stays unsent
        self._files.sending(number, batch)
        self._run.sending(number)
        self._attempts[number] = Attempts()
        send = partial(self._send, number, batch.body)
        first = not self._run.answered_batches and not pool.busy
        if first or min(self._latencies, default=QUICK) < QUICK:
            # The first goes alone: a wrong key or dataset shall not cost several batches.
            while pool.busy:
                self._settle(*await pool.take())
            self._settle(*await send())
        else:
            await pool.start(send)

    def _went_before(self, number: int, batch: Batch) -> bool:
        """Whether an earlier run leaves nothing to do for a batch."""
        entry = self._files.entry(number, batch)
        if entry is None:
            return False
        if entry.state == "accepted":
            self._run.ended(number, "accepted", ingestion_id=entry.ingestion_id, shares=entry.shares)
            return True
        if entry.state in ("sending", "ambiguous") and not self._settings.resend:
            self._run.ended(number, "ambiguous")
            return True
        return False

    async def _send(self, number: int, body: bytes) -> Result:
        answer = await self._answer_to(number, body)
        # Noted at once, by whoever sent: the caller's own task may be waiting for the source, for hours.
        self._files.answered(number, answer.outcome, answer.ingestion_id)
        return number, answer

    async def _answer_to(self, number: int, body: bytes) -> Answer:
        operation = operations.datasets_create_ingestion(self._dataset_id, body, repeatable=self._settings.resend)
        attempts = self._attempts[number]
        started = time.monotonic()
        try:
            receipt = await self._transport.send(operation, attempts)
        except APIError as error:
            return Answer(error=error, open=attempts.open)
        except Stopped:
            return Answer(open=attempts.open)
        except ConfigurationError as error:
            self._files.fail(error)
            return Answer(open=attempts.open)
        self._latencies.append(time.monotonic() - started)
        return Answer(ingestion_id=receipt.ingestion_id)

    def _settle(self, number: int, answer: Answer) -> None:
        self._run.answered(number, answer)
        del self._attempts[number]
        self._tell("source")

    async def _verify(self, pool: Pool[Result]) -> None:
        """Learn what the server made of the accepted rows, as far as that is wanted."""
        tell = partial(self._tell, "outcomes")
        verification = AsyncVerification(self._transport, self._dataset_id, self._run, self._files, tell)
        if self._settings.verify == "counts":
            await verification.by_counts(pool, self._settings.concurrency)
        elif self._settings.verify == "status":
            await verification.by_status(pool)

    def _tell(self, waiting_for: Any) -> None:
        """Call `progress`; what it raises is the caller's mistake and costs no row."""
        progress = self._settings.progress
        if progress is None:
            return
        try:
            progress(self._tally.now(self._transport.requests, waiting_for, self._transport.options.rate_limit))
        except Exception:
            log.exception("The progress callback raised; it is not called again.")
            self._settings = attrs.evolve(self._settings, progress=None)
