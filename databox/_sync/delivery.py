# Derived from databox/_async/delivery.py by tools/unasync.py; edit that one.
"""Sends the batches of an ingest: through outages, and in parts if some of their rows are refused."""

import time
from collections import deque
from collections.abc import Callable
from functools import partial

import attrs

from databox._sync.transport import Transport
from databox.api import operations
from databox.api.reading import UnexpectedAnswer
from databox.errors import APIError, ConfigurationError
from databox.ingest.batch import Batch
from databox.ingest.isolation import Isolation
from databox.ingest.parts import Answer, Part, amended
from databox.ingest.patience import DENIALS
from databox.ingest.persistence import Persistence
from databox.ingest.run import Run, is_fatal
from databox.ingest.settings import Settings
from databox.models import IngestionReceipt
from databox.sending.retry import Attempts, Effect, effect_of

__all__ = ["Delivery"]

STOPPED = Answer()
"""Sending is over."""
QUICK = 0.004
"""Answers that arrive within this many seconds make concurrent sending slower than sending one at a time."""


class Delivery:
    """The batches in flight.

    Args:
        transport: sends, and waits in the same way as the run's pool.
        dataset_id: the dataset.
        settings: how to handle refusals and lost answers.
        run: makes the decisions.
        files: record what is sent and what comes of it.
        pause: waits, unless the run is stopped.
    """

    def __init__(
        self,
        transport: Transport,
        dataset_id: str,
        settings: Settings,
        run: Run,
        files: Persistence,
        pause: Callable[[float], None],
    ) -> None:
        self._transport = transport
        self._dataset_id = dataset_id
        self._settings = settings
        self._run = run
        self._files = files
        self._pause = pause
        self._under_way: dict[int, Isolation] = {}
        self._latencies: deque[float] = deque(maxlen=8)

    @property
    def is_quick(self) -> bool:
        """Whether answers arrive so fast that it is best to send one batch after the other."""
        return min(self._latencies, default=QUICK) < QUICK

    @property
    def parts(self) -> int:
        """The minimum number of requests that the batches in flight still need."""
        return sum(isolation.pending for isolation in list(self._under_way.values()))

    def begin(self, number: int, rows: Batch, whole: Batch, *, lost: bool) -> None:
        """Record that a batch is about to be sent; `lost` says that an earlier run may have stored it.

        Raises:
            ConfigurationError: the record cannot be written, so the batch must not be sent.
        """
        part = Part(number, rows, whole, Attempts(open=lost))
        if self._run.patience.is_out:
            self._files.waiting(number, rows, whole)
        else:
            self._note(part)
        settings = self._settings
        self._under_way[number] = Isolation(
            part,
            isolate=settings.on_refusal == "isolate",
            keyed=bool(settings.primary_keys),
            budget=self._run.budget,
        )

    def send(self, number: int) -> int:
        """Send a batch until its outcome is known, and return its number."""
        self._send(number, beside=True)
        return number

    def send_here(self, number: int) -> bool:
        """Send a batch in the caller's own task; return whether it finished before it had to wait."""
        return self._send(number, beside=False)

    def _send(self, number: int, *, beside: bool) -> bool:
        isolation = self._under_way[number]
        while part := isolation.next():
            answer = self._delivered(number, part, beside=beside)
            if answer is None:
                return False
            if answer is STOPPED or self._run.outcome(number)[0]:  # a second interrupt ended the wait
                break
            became, replaced = isolation.answered(part, answer)
            for change in replaced:
                self._files.replaced(change, became or answer)
            # Recorded immediately, by the sending task: the caller's own task may be waiting for the source, for hours.
            if became and not replaced:
                self._files.answered(part.number, became.outcome, became.ingestion_id, became.error)
            if is_fatal(answer):
                break
        return True

    @property
    def under_way(self) -> list[int]:
        """The batches whose result has not been processed."""
        return list(self._under_way)

    def end_of(self, number: int) -> Answer:
        """Return the result of sending a batch, or what is known if it will not finish."""
        parts = self._under_way[number].rest()
        for part, answer in parts:
            self._files.answered(part.number, answer.outcome, answer.ingestion_id, answer.error)
        return parts[0][1] if len(parts) == 1 else Answer(parts=parts)

    def forget(self, number: int) -> None:
        """Record that the result of a batch was processed."""
        self._under_way.pop(number, None)

    def _delivered(self, number: int, part: Part, *, beside: bool) -> Answer | None:
        """Send a part, with as many attempts as it takes; return None if it has to wait first."""
        patience = self._run.patience
        try:
            while (wait := patience.turn(number, time.monotonic())) is not None:
                if wait and not beside:
                    return None
                if wait:
                    self._pause(wait)
                    continue
                retries = self._transport.options.max_retries
                retries = 0 if patience.asks(number) else max(retries, 1) if patience.is_suspect(number) else retries
                self._note(part)
                if self._run.stopped:  # pragma: no cover - by an interrupt while that was written
                    break
                answer = self._attempted(part, retries)
                now = time.monotonic()
                if answer.error is None:
                    self._run.resent_rows += len(part.batch.rows) if part.attempts.again else 0
                    patience.passed(number, part.attempts, now)
                    return answer
                kept = patience.keeps(number, answer.error, part.attempts, now)
                if not kept:
                    return attrs.evolve(answer, error=self._explained(answer.error))
                part.error = answer.error
                self._files.answered(part.number, answer.outcome, None, answer.error)
                part.noted = False
            part.error = part.error and self._explained(part.error)
        except ConfigurationError as error:
            self._files.fail(error)
        return STOPPED

    def _attempted(self, part: Part, max_retries: int) -> Answer:
        self._run.claims.goes(part.number)
        operation = operations.datasets_create_ingestion(
            self._dataset_id,
            part.batch.body,
            repeatable=self._settings.resend,
            check=partial(self._check, part.number),
        )
        started = time.monotonic()
        try:
            receipt = self._transport.send(operation, part.attempts, max_retries=max_retries)
        except APIError as error:
            lost = part.attempts.lost
            if part.attempts.open and lost and lost is not error:  # which is why it is not known what became of it
                error = amended(error, f"An earlier attempt may have taken effect: {lost}")
            return Answer(error=error, open=part.attempts.open)
        self._latencies.append(time.monotonic() - started)
        return Answer(ingestion_id=receipt.ingestion_id)

    def _note(self, part: Part) -> None:
        if not part.noted:
            self._files.sending(part.number, part.batch, part.whole)
            part.noted = True

    def _explained(self, error: APIError) -> APIError:
        """Add to an error how long the run waited for the batch, and how to resume."""
        words = self._run.patience.words
        passing = effect_of(error) is not Effect.REFUSED or isinstance(error, DENIALS)
        return amended(error, f"{words} {self._settings.going_on}") if words and passing else error

    def _check(self, number: int, receipt: IngestionReceipt) -> None:
        """Refuse a receipt whose ingestion id belongs to another batch: something in between repeats answers."""
        if not self._run.claims.may_have(number, receipt.ingestion_id):
            shown = receipt.ingestion_id[:100]
            raise UnexpectedAnswer(f"it has the id of an earlier ingestion, {shown!r}")
