# Derived from databox/_async/ingest.py by tools/unasync.py; edit that one.
"""Drives an ingest: reads rows, sends batches, verifies their outcomes, and reports."""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from typing import Any

from databox._sync.delivery import Delivery
from databox._sync.pool import Pool
from databox._sync.runtime import ASYNCHRONOUS, Source, breathe
from databox._sync.transport import Transport
from databox._sync.verification import Verification
from databox.display import logger
from databox.errors import ConfigurationError, DataboxError, InvalidRecordError
from databox.ingest.batch import Batch
from databox.ingest.encode import encode
from databox.ingest.persistence import Persistence
from databox.ingest.resume import Earlier
from databox.ingest.rows import files_of, identity_of, length_of, rows_of
from databox.ingest.run import Run
from databox.ingest.settings import Settings
from databox.ingest.tally import Tally, WaitingFor
from databox.report import IngestError, IngestReport
from databox.wording import message, row_at

__all__ = ["Ingest"]

log = logger("databox")

EVERY = 1.0
"""Interval of progress reports while no request succeeds, in seconds."""
MOMENT = 0.1
"""Interval, in seconds, at which to check again whether another batch may be sent."""

STOP = Batch((), (), ())
"""Signals that no more rows are needed."""
PAUSE = Batch((), (), ())
"""Signals that others need a turn: a source may have any number of rows that cannot be sent."""


class Ingest:
    """One run of `datasets.ingest`."""

    def __init__(self, transport: Transport, dataset_id: str, settings: Settings) -> None:
        self._transport = transport
        self._dataset_id = dataset_id
        self._settings = settings
        self._run = Run(settings.concurrency, patience=settings.patience, resend=settings.resend)
        self._source: Source | None = None
        self._read_whole = False
        self._report: IngestReport | None = None
        self._writing = False
        self._source_error: BaseException | None = None
        self._failure: Exception | None = None
        """Why sending failed, if that was noticed while a row was taken, and is not the source's error."""
        self._tells_at: float | None = None
        """When to report progress again, if it was reported since the last answer."""

    def __call__(self, records: Iterable[Any]) -> IngestReport:
        """Run and return the report.

        Raises:
            IngestError: the source of the rows raised, or a file could not be written; the rows read so far were sent.
            ConfigurationError: the journal belongs to another dataset or input.
        """
        settings = self._settings
        settings.check_files_read(files_of(records))
        rows = rows_of(records, asynchronous=ASYNCHRONOUS)
        self._tally = Tally(self._run, length_of(records), settings)
        about = {"dataset": self._dataset_id, "address": self._transport.config.base_url}
        about |= {"primary keys": ", ".join(settings.primary_keys), "query": identity_of(records)}
        self._files = Persistence(settings, about, self._run)
        try:
            with closing(self._files):
                self._batcher = settings.batcher(self._files.ends)
                self._through(rows)
        except BaseException as error:
            self._files.close()  # again, because that may be what was interrupted
            if self._report and not isinstance(error, Exception):
                error.add_note(f"An ingest was interrupted. {self._report}")
                error.report = self._report  # type: ignore[attr-defined]
            raise
        assert self._report
        return self._report

    def _through(self, rows: Any) -> None:
        """Send and verify; there is always a report at the end."""
        problem: BaseException | None = None
        pool: Pool[Any] = Pool(self._run.most_under_way)
        transport = self._transport
        self._transport = transport.with_options(transport.options, pool.sleep)
        self._delivery = Delivery(self._transport, self._dataset_id, self._settings, self._run, self._files, pool.sleep)
        try:
            with pool:
                try:
                    self._send_all(rows, pool)
                except BaseException as error:
                    self._run.stop()  # otherwise the parts of refused batches would still be sent
                    if isinstance(error, ConfigurationError):
                        self._end_in_flight(pool)
                    raise
                self._verify(pool)
        except BaseException as error:  # noqa: BLE001 - an interrupt as well must leave a report behind
            problem = error
        try:
            self._conclude(problem)
        except BaseException as error:  # noqa: BLE001 - another interrupt, in a hurry; the report is nearly there
            problem = problem or error
            if self._writing and self._settings.dead_letter:
                problem.add_note(f"It interrupted writing {self._settings.dead_letter}, which may be incomplete.")
            self._conclude(problem)
        problems = [each for each in (problem, self._files.error, self._source_error) if each is not None]
        for other in problems[1:]:
            problems[0].add_note(f"In addition: {other!r}")
        self._raise(problems[0] if problems else None)

    def _conclude(self, problem: BaseException | None) -> None:
        """Account for every row, in the report and the dead letters."""
        self._account_for_the_rest()
        if problem and self._settings.verify:
            self._explain_what_is_open(problem)
        self._report = self._run.report(
            verify=self._settings.verify,
            requests=self._transport.requests,
            seconds=self._tally.seconds,
            complete=self._read_whole,
            primary_keys=self._settings.primary_keys,
            keys_assumed=self._settings.keys_assumed,
        )
        if self._writing:
            return  # an interrupt ended this step, which is not repeated
        self._writing = True
        if not isinstance(problem, ConfigurationError) or self._report.requests:
            self._files.write_dead_letters()  # otherwise nothing was sent, and there is nothing to report
        log.info("Ingested into %s: %s", self._dataset_id, str(self._report).partition("\n")[0])

    def _raise(self, problem: BaseException | None) -> None:
        """Raise the error that stopped the run, if any."""
        report = self._report
        assert report
        if isinstance(problem, ConfigurationError) and not report.requests:
            raise problem
        if isinstance(problem, Exception):
            what = "The source of the rows raised" if problem is self._source_error else "The run was stopped by"
            raise IngestError(f"{what} {problem!r}. {report}", report=report) from problem
        if problem:
            raise problem

    def _account_for_the_rest(self) -> None:
        """Account for each row that has no place yet, at whatever moment an interrupt came."""
        self._cut_the_rest()
        for number in self._delivery.under_way:
            self._settle(number)
        for number, outcome in self._run.give_up():
            self._files.answered(number, outcome, None, self._run.outcome(number)[2])
        self._withdraw()

    def _cut_the_rest(self) -> None:
        """Put rows that were taken but are in no batch into batches; they stay unsent."""
        start, more = self._run.end_row, None
        item = self._source.item if self._source else None
        if item and self._run.rows <= item[0] != self._run.last_invalid:  # it may have no place yet
            index, record = item
            try:
                more = (index, *encode(record, index, self._settings.primary_keys))
            except InvalidRecordError as error:
                self._invalid(index, record, error)
            except MemoryError:  # which stopped the run; this row must not prevent the others from being reported
                words = message(row_at(index, "Row"), ": there was not enough memory to read it.")
                lacking = InvalidRecordError(words, index=index)
                self._invalid(index, f"a {type(record).__name__}", lacking)
        if item:
            self._run.rows = item[0] + 1
        for batch in self._batcher.rest(start, more):
            try:
                self._cut(batch, complete=False)
            except ConfigurationError as error:
                self._files.fail(error)

    def _explain_what_is_open(self, problem: BaseException) -> None:
        """Say of accepted rows why their outcome was not requested, or not to the end."""
        ended = f"was stopped by {problem!r}" if isinstance(problem, Exception) else "was interrupted"
        for number, ingestion_id, _ in list(self._run.accepted()):
            _, shares, error = self._run.outcome(number)
            why = f"The run {ended} before the outcome of ingestion {ingestion_id} was known. Look it up later."
            self._run.verified(number, shares, error or DataboxError(why))

    # Sending

    def _send_all(self, rows: Any, pool: Pool[int]) -> None:
        """Send the rows of the source, and wait for the answers."""
        take = self._taker(pool)
        while not self._run.stopped:
            # Rows are not read before they can be sent.
            while not self._run.has_room():
                self._hear(pool)
            try:
                self._source = self._source or Source(rows)
                batch = self._source.feed(take)
                self._read_whole = batch is None
            except Exception as error:  # noqa: BLE001 - the source is the caller's and may raise anything
                self._source_error = error
                batch = None
            if self._failure:
                raise self._failure
            if batch is None or batch is STOP:
                break
            if batch is PAUSE:
                breathe()
            else:
                self._dispatch(batch, pool)
        last = self._batcher.flush()
        if last:
            self._dispatch(last, pool, complete=self._read_whole)
        if not self._run.stopped and self._source_error is None:
            self._files.source_ended()
        while pool.busy:
            self._hear(pool)
        self._withdraw()

    def _end_in_flight(self, pool: Pool[int]) -> None:
        """Wait for the answers: whether a request that is broken off took effect is unknown."""
        while pool.busy:
            self._hear(pool)

    def _hear(self, pool: Pool[int]) -> None:
        """Wait until a batch in flight ends, or for a moment, because what may be done next may change."""
        now = time.monotonic()
        if self._tells_at is None or (now >= self._tells_at and self._run.patience.is_out):
            self._tells_at = now + EVERY
            self._tell("answers")
        number = pool.take_within(MOMENT)
        if number is not None:  # pragma: no branch - Python does not trace what a cancelled wait resumes
            self._settle(number)

    def _taker(self, pool: Pool[int]) -> Callable[[int, Any], Batch | None]:
        """Return a function that encodes a row, and returns the batch that it completes, or one of the signals."""
        run, batcher = self._run, self._batcher  # this runs for every row

        def take(index: int, record: Any) -> Batch | None:
            batch = None
            try:
                batch = batcher.add(index, record)
            except InvalidRecordError as error:
                self._invalid(index, record, error)
                batch = PAUSE
            run.rows = index + 1  # from here on, the row is accounted for
            if pool.busy and pool.ready():
                try:
                    for number in pool.taken_at_once():
                        self._settle(number)
                except Exception as error:  # noqa: BLE001 - raised once the row and its batch have their places
                    self._failure = error
                    return STOP
            if run.stopped and (batch is None or batch is PAUSE):
                return STOP
            return batch

        return take

    def _invalid(self, index: int, record: Any, error: InvalidRecordError) -> None:
        self._files.invalid(index, record, error)
        self._run.invalid(error, index)

    def _cut(self, batch: Batch, *, complete: bool) -> tuple[int, Earlier]:
        """Register a batch with the files and the run; return its number, and what earlier runs left to do for it.

        Raises:
            ConfigurationError: the journal belongs to another input, or cannot be read; the rows stay unsent.
        """
        number = self._run.batches
        try:
            earlier = self._files.earlier(number, batch, complete=complete)
        except ConfigurationError:
            self._run.cut(batch)
            raise
        self._run.cut(batch, earlier)
        return number, earlier

    def _dispatch(self, batch: Batch, pool: Pool[int], *, complete: bool = True) -> None:
        """Send a batch, in this task or in another, unless an earlier run left nothing to do for it.

        `complete` says that the source certainly has no more rows for it.
        """
        number, earlier = self._cut(batch, complete=complete)
        if not earlier.send:
            self._run.as_before(number)
            breathe()
            return
        rows = earlier.rows
        while not self._run.may_go(rows) and not self._run.stopped:
            self._hear(pool)
        if self._run.stopped:
            return  # it stays unsent, or keeps its earlier outcome
        # Whatever the result of sending it again, an earlier run may have stored it.
        lost = earlier.before is not None and earlier.before.outcome == "ambiguous"
        self._delivery.begin(number, rows, batch, lost=lost)
        self._run.sending(number)
        first = not self._run.answered_batches and not pool.busy
        if not self._sent_here(number, pool, first=first):
            pool.start(partial(self._delivery.send, number))

    def _sent_here(self, number: int, pool: Pool[int], *, first: bool) -> bool:
        """Send a batch in this task, if that is best, until it ends or has to wait."""
        # The first goes alone: a wrong key or dataset must not cost several batches.
        if not (first or self._delivery.is_quick):
            return False
        while pool.busy and not self._run.patience.kept:
            self._hear(pool)
        if self._run.patience.kept or not self._delivery.send_here(number):
            return False
        self._settle(number)
        return True

    def _settle(self, number: int) -> None:
        """Pass the result of sending a batch to the run."""
        answer = self._delivery.end_of(number)
        self._files.parted(part for part, _ in answer.parts)
        self._run.answered(number, answer)
        self._delivery.forget(number)
        self._tells_at = None
        self._tell("source")

    def _withdraw(self) -> None:
        """Drop ingestions that may turn out to belong to another batch."""
        for number in self._run.withdraw():
            self._files.withdrawn(number, self._run.outcome(number)[2])

    def _verify(self, pool: Pool[Any]) -> None:
        """Verify the outcome of the accepted rows, if requested."""
        tell = partial(self._tell, "outcomes")
        Verification(self._transport, self._dataset_id, self._settings, self._run, self._files, tell)(pool)

    def _tell(self, waiting_for: WaitingFor) -> None:
        transport = self._transport
        self._tally.tell(transport.requests, waiting_for, transport.options.rate_limit, self._delivery.parts)
