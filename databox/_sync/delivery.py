# Derived from databox/_async/delivery.py by tools/unasync.py; edit that one.
"""Sends the batches of an ingest: through outages, and in parts where some of their rows are refused."""

import time
from collections import deque
from collections.abc import Callable
from functools import partial

import attrs

from databox._sync.pool import Stopped
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
"""Nothing more is sent."""
QUICK = 0.004
"""Seconds of an answer that comes so fast that sending beside the caller costs more than it gains."""


class Delivery:
    """The batches that are under way.

    Args:
        transport: sends, and waits as the run's pool does.
        dataset_id: the dataset.
        settings: what to do about refusals and lost answers.
        run: decides.
        files: are told what goes out and what comes of it.
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
        """Whether answers come so fast that it is best to send one batch after the other."""
        return min(self._latencies, default=QUICK) < QUICK

    @property
    def parts(self) -> int:
        """How many requests the batches under way take at least."""
        return sum(isolation.pending for isolation in list(self._under_way.values()))

    def begin(self, number: int, rows: Batch, whole: Batch, *, lost: bool) -> None:
        """A batch is about to go; `lost` says that an earlier run may have stored it.

        Raises:
            ConfigurationError: that cannot be noted, so it must not go.
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
            resend=settings.resend,
            keyed=bool(settings.primary_keys),
            budget=self._run.budget,
        )

    def send(self, number: int) -> int:
        """Send a batch to its end, and return its number."""
        self._send(number, beside=True)
        return number

    def send_here(self, number: int) -> bool:
        """Send a batch in the caller's own task; return whether it came to its end before it had to wait."""
        return self._send(number, beside=False)

    def _send(self, number: int, *, beside: bool) -> bool:
        isolation = self._under_way[number]
        while part := isolation.next():
            answer = self._delivered(number, part, beside=beside)
            if answer is None:
                return False
            if answer is STOPPED or self._run.outcome(number)[0]:  # a second interrupt ended the waiting for it
                break
            became, replaced = isolation.answered(part, answer)
            for change in replaced:
                self._files.replaced(change, became or answer)
            # Noted at once, by whoever sent: the caller's own task may be waiting for the source, for hours.
            if became and not replaced:
                self._files.answered(part.number, became.outcome, became.ingestion_id, became.error)
            if is_fatal(answer):
                break
        return True

    @property
    def under_way(self) -> list[int]:
        """The batches whose end was not taken in."""
        return list(self._under_way)

    def end_of(self, number: int) -> Answer:
        """Return how the sending of a batch ended, or what is known when it does not end any more."""
        parts = self._under_way[number].rest()
        for part, answer in parts:
            self._files.answered(part.number, answer.outcome, answer.ingestion_id, answer.error)
        return parts[0][1] if len(parts) == 1 else Answer(parts=parts)

    def forget(self, number: int) -> None:
        """The end of a batch was taken in."""
        self._under_way.pop(number, None)

    def _delivered(self, number: int, part: Part, *, beside: bool) -> Answer | None:
        """Send a part, as often as it takes; None where there is something to wait for first."""
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
        except Stopped:
            pass
        except ConfigurationError as error:
            self._files.fail(error)
        return STOPPED

    def _attempted(self, part: Part, max_retries: int) -> Answer:
        self._note(part)
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
        """Say for how long a batch was waited for in vain, and how to go on."""
        words = self._run.patience.words
        passing = effect_of(error) is not Effect.REFUSED or isinstance(error, DENIALS)
        return amended(error, f"{words} {self._settings.going_on}") if words and passing else error

    def _check(self, number: int, receipt: IngestionReceipt) -> None:
        """Refuse a receipt whose ingestion id another batch has got: something in between repeats answers."""
        if not self._run.claims.may_have(number, receipt.ingestion_id):
            shown = receipt.ingestion_id[:100]
            raise UnexpectedAnswer(f"it has the id of an ingestion that was there before, {shown!r}")
