"""Drives an ingest: reads rows, sends batches, asks what became of them, reports."""

import logging
import time
from collections import deque
from collections.abc import AsyncIterable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from databox import operations
from databox._async.pool import Pool, Stopped
from databox._async.runtime import Source
from databox._async.transport import AsyncTransport
from databox.errors import APIError, ConfigurationError, IngestError, InvalidRecordError
from databox.ingest.batch import Batch, Batcher
from databox.ingest.encode import encode, plain
from databox.ingest.rows import rows_of
from databox.ingest.run import Answer, Run
from databox.ingest.settings import Settings
from databox.ingest.settle import is_settled, rejection, share_out, shares_by_status
from databox.ingest.tally import Tally
from databox.ingest.verify import Polls
from databox.models import Ingestion
from databox.report import IngestReport
from databox.retry import Attempts

__all__ = ["AsyncIngest"]

if TYPE_CHECKING:
    from databox.ingest.deadletter import DeadLetters
    from databox.ingest.journal import Journal

log = logging.getLogger("databox")

VERIFY_TIMEOUT = 300.0
"""Seconds to wait for outcomes after the last batch was accepted."""
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
        self._journal: Journal | None = None
        self._dead: DeadLetters | None = None
        self._source_error: BaseException | None = None
        self._file_error: ConfigurationError | None = None
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
        try:
            self._open_files()
            await self._through(rows)
        finally:
            if self._journal:
                self._journal.close()
            if self._dead:
                self._dead.close()
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
                if self._settings.verify:
                    await self._verify_all(pool)
        except BaseException as error:  # noqa: BLE001 - an interrupt as well must leave a report behind
            problem = error
        for number, answer in pool.taken_at_once():
            if isinstance(answer, Answer):
                self._settle(number, answer)
        for number, outcome in self._run.give_up(n for n, attempts in self._attempts.items() if attempts.open):
            if self._journal and outcome != "unsent":
                self._guarded(partial(self._journal.answered, number, outcome, None))
        self._conclude(problem)

    def _conclude(self, problem: BaseException | None) -> None:
        """Make the report, write the dead letters, and raise what stopped the run."""
        report = self._report = self._run.report(
            verify=self._settings.verify, requests=self._transport.requests, seconds=self._tally.seconds
        )
        problem = problem or self._file_error or self._source_error
        if self._dead:
            try:
                self._dead.write(self._run, keyed=bool(self._settings.primary_keys))
            except ConfigurationError as error:
                problem = problem or error
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
        batcher = self._settings.batcher(self._journal.ends if self._journal else ())
        take = partial(self._take, batcher, pool)
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
        if self._journal and not self._run.stopped and self._source_error is None:
            self._journal.ended(self._run.batches)
        while pool.busy:
            self._tell("answers")
            self._settle(*await pool.take())

    def _take(self, batcher: Batcher, pool: Pool[Result], record: Any) -> Batch | None:
        """Encode a row; return the batch that it completes, or STOP when no more are wanted."""
        index = self._run.rows
        self._run.rows = index + 1
        batch = None
        try:
            data, key = encode(record, index, self._settings.primary_keys)
            batch = batcher.add(index, data, key)
        except InvalidRecordError as error:
            self._run.invalid(error, index)
            if self._dead:
                reason = f"invalid: {error}"
                self._guarded(partial(self._dead.keep_invalid, index, plain(record), reason))
        if pool.busy and pool.ready():
            for done in pool.taken_at_once():
                self._settle(*done)
        return batch or (STOP if self._run.stopped else None)

    async def _dispatch(self, batch: Batch, pool: Pool[Result]) -> None:
        """Let a batch go, in this task or beside it, unless it went in an earlier run."""
        number = self._run.cut(batch)
        if self._dead:
            self._guarded(partial(self._dead.keep, number, batch))
        if self._journal and self._went_before(number, batch, self._journal):
            return
        while not self._run.may_go(batch) and not self._run.stopped:
            self._tell("answers")
            self._settle(*await pool.take())
        if self._run.stopped:
            return  # it stays unsent
        if self._journal:
            self._journal.sending(number, batch)
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

    def _went_before(self, number: int, batch: Batch, journal: "Journal") -> bool:
        """Whether an earlier run leaves nothing to do for a batch."""
        entry = journal.entry(number, batch)
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
        operation = operations.datasets_create_ingestion(self._dataset_id, body, repeatable=self._settings.resend)
        attempts = self._attempts[number]
        started = time.monotonic()
        try:
            receipt = await self._transport.send(operation, attempts)
        except APIError as error:
            return number, Answer(error=error, open=attempts.open)
        except Stopped:
            return number, Answer(open=attempts.open)
        self._latencies.append(time.monotonic() - started)
        return number, Answer(ingestion_id=receipt.ingestion_id)

    def _settle(self, number: int, answer: Answer) -> None:
        outcome = self._run.answered(number, answer)
        del self._attempts[number]
        if self._journal:
            # What was accepted stays so in the report, even when the journal cannot be written any more.
            self._guarded(partial(self._journal.answered, number, outcome, answer.ingestion_id))
        self._tell("source")

    # Verifying

    async def _verify_all(self, pool: Pool[Result]) -> None:
        """Ask what became of the accepted batches until it is known or the time is over."""
        accepted = {number: (ingestion_id, rows) for number, ingestion_id, rows in self._run.accepted()}
        polls = Polls(accepted, time.monotonic(), VERIFY_TIMEOUT)
        if self._settings.verify == "status":
            await self._verify_by_status(accepted, pool)
            return
        while not polls.done:
            number = polls.due(time.monotonic()) if pool.busy < self._settings.concurrency else None
            if number is not None:
                await pool.start(partial(self._fetch, number, accepted[number][0]))
            elif pool.busy:
                number, answer = await pool.take()
                rows = accepted[number][1]
                polls.heard(number, settled=self._learn(number, rows, answer), now=time.monotonic())
            else:
                self._tell("outcomes")
                await pool.sleep(polls.wait(time.monotonic()))

    async def _fetch(self, number: int, ingestion_id: str) -> Result:
        operation = operations.datasets_get_ingestion(self._dataset_id, ingestion_id)
        try:
            return number, await self._transport.send(operation)
        except (APIError, Stopped) as error:
            return number, error

    def _learn(self, number: int, rows: int, answer: Ingestion | Exception) -> bool:
        """Note what an answer says about a batch; return whether there is nothing more to learn."""
        if isinstance(answer, APIError):
            self._run.verified(number, share_out(None, rows), answer)
        elif isinstance(answer, Ingestion):
            shares = share_out(answer, rows)
            self._run.verified(number, shares, rejection(answer, shares))
            if self._journal and not shares.unverified:
                self._guarded(partial(self._journal.verified, number, shares))
            self._tell("outcomes")
            return is_settled(answer)
        return True

    async def _verify_by_status(self, accepted: dict[int, tuple[str, int]], pool: Pool[Result]) -> None:
        """Read the list of ingestions, one request a page, until no accepted batch stands open in it."""
        numbers = {ingestion_id: number for number, (ingestion_id, _) in accepted.items()}
        polls = Polls([0] if numbers else [], time.monotonic(), VERIFY_TIMEOUT)
        while not polls.done:
            if polls.due(time.monotonic()) is None:
                self._tell("outcomes")
                await pool.sleep(polls.wait(time.monotonic()))
                continue
            page: int | None = 1
            seen = 0
            while page and numbers:
                listing = await self._transport.send(
                    operations.datasets_list_ingestions(self._dataset_id, page=page, page_size=100)
                )
                seen += len(listing.items)
                for item in listing.items:
                    shares = (
                        shares_by_status(item.status, accepted[numbers[item.id]][1]) if item.id in numbers else None
                    )
                    if shares:
                        self._run.verified(numbers.pop(item.id), shares)
                page = page + 1 if listing.more_after(seen, 100) else None
            polls.heard(0, settled=not numbers, now=time.monotonic())

    # Files and telling

    def _open_files(self) -> None:
        # Imported here, since few runs need SQLite and every import of the package would pay for it.
        from databox.ingest.deadletter import DeadLetters
        from databox.ingest.journal import Journal

        settings = self._settings
        if settings.journal:
            about = {"dataset": self._dataset_id, "address": self._transport.config.base_url}
            self._journal = Journal(settings.journal, about | {"primary keys": ", ".join(settings.primary_keys)})
        if settings.dead_letter:
            self._dead = DeadLetters(settings.dead_letter)
            if self._journal:
                name = f"offsets of {Path(settings.dead_letter).name}"
                offsets = self._journal.value(name)
                if offsets:
                    self._dead.start_again_at(offsets)
                else:
                    self._journal.note(name, self._dead.offsets)

    def _guarded(self, write: Any) -> None:
        """Write to a file; a failure stops the run after what is under way, and is raised in the end."""
        try:
            write()
        except ConfigurationError as error:
            self._file_error = self._file_error or error
            self._run.stop()

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
