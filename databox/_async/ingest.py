"""Drives an ingest: reads rows, sends batches, asks what became of them, reports."""

import logging
import time
from collections.abc import AsyncIterable, Iterable
from typing import Any, Literal

import attrs

from databox import operations
from databox._async.runtime import each, sleep
from databox._async.transport import AsyncTransport
from databox.errors import (
    APIError,
    AuthenticationError,
    IngestError,
    InvalidRecordError,
    NotFoundError,
    PermissionDeniedError,
)
from databox.ingest.batch import Batch, Batcher, body_of
from databox.ingest.encode import encode
from databox.ingest.settle import Shares, is_settled, poll_waits, share_out
from databox.models import Ingestion
from databox.report import BatchOutcome, IngestReport, Outcome
from databox.retry import Effect, effect_of

__all__ = ["AsyncIngest"]

log = logging.getLogger("databox")

FATAL = (AuthenticationError, PermissionDeniedError, NotFoundError)
"""What every later batch would meet as well."""
VERIFY_TIMEOUT = 300.0
"""Seconds to wait for outcomes after the last batch was accepted."""


class AsyncIngest:
    """One run of `datasets.ingest`."""

    def __init__(
        self,
        transport: AsyncTransport,
        dataset_id: str,
        *,
        primary_keys: tuple[str, ...],
        batch_size: int,
        max_batch_bytes: int,
        verify: Literal["counts"] | None,
        on_ambiguous: Literal["auto", "resend", "report"],
    ) -> None:
        if verify not in ("counts", None):
            raise ValueError(f'verify must be "counts" or None, not {verify!r}.')
        if on_ambiguous not in ("auto", "resend", "report"):
            raise ValueError(f'on_ambiguous must be "auto", "resend" or "report", not {on_ambiguous!r}.')
        self._transport = transport.with_options(transport.options)
        self._dataset_id = dataset_id
        self._resend = on_ambiguous == "resend" or (on_ambiguous == "auto" and bool(primary_keys))
        self._verify = verify
        self._batcher = Batcher(batch_size, max_batch_bytes)
        self._outcomes: list[BatchOutcome] = []
        self._started = time.monotonic()

    async def __call__(self, records: Iterable[Any] | AsyncIterable[Any]) -> IngestReport:
        """Run and return the report.

        Raises:
            IngestError: the source of the rows raised; what it had given was sent.
        """
        source_error = await self._send_all(records)
        if self._verify:
            await self._verify_all()
        report = IngestReport.of(
            self._outcomes,
            verify=self._verify,
            requests=self._transport.requests,
            seconds=time.monotonic() - self._started,
        )
        log.info("Ingested into %s: %s", self._dataset_id, str(report).partition("\n")[0])
        if source_error is not None:
            raise IngestError(
                f"The source of the rows raised {source_error!r}. {report}", report=report
            ) from source_error
        return report

    async def _send_all(self, records: Iterable[Any] | AsyncIterable[Any]) -> Exception | None:
        """Send what the source gives; return the error that it raised, if it did."""
        source = each(records)
        index = -1
        fatal = False
        while not fatal:
            try:
                record = await anext(source, _END)
            except Exception as error:  # noqa: BLE001 - the source is the caller's and may raise anything
                await self._send_rest()
                return error
            if record is _END:
                await self._send_rest()
                return None
            index += 1
            try:
                batch = self._batcher.add(encode(record, index), index)
            except InvalidRecordError as error:
                self._note(index, 1, "invalid", error=error)
            else:
                fatal = batch is not None and await self._send(batch)
        left = self._batcher.flush()
        if left is not None:
            self._note(left.first_row, len(left.rows), "unsent")
        return None

    async def _send_rest(self) -> None:
        rest = self._batcher.flush()
        if rest is not None:
            await self._send(rest)

    async def _send(self, batch: Batch) -> bool:
        """Send one batch; return whether the run has to stop."""
        rows = len(batch.rows)
        operation = operations.datasets_create_ingestion(self._dataset_id, body_of(batch.rows), repeatable=self._resend)
        try:
            receipt = await self._transport.send(operation)
        except APIError as error:
            outcome: Outcome = "ambiguous" if effect_of(error) is Effect.OPEN else "failed"
            self._note(batch.first_row, rows, outcome, error=error)
            return isinstance(error, FATAL)
        self._note(batch.first_row, rows, "accepted", ingestion_id=receipt.ingestion_id)
        return False

    async def _verify_all(self) -> None:
        """Ask for every accepted batch's outcome until it is known or the time is over."""
        end = time.monotonic() + VERIFY_TIMEOUT
        open_batches = [batch.index for batch in self._outcomes if batch.outcome == "accepted"]
        for wait in poll_waits():
            open_batches = [index for index in open_batches if not await self._verify_one(index)]
            left = end - time.monotonic()
            if not open_batches or left <= 0:
                return
            await sleep(min(wait, left))

    async def _verify_one(self, index: int) -> bool:
        """Ask for one batch's outcome; return whether there is nothing more to learn."""
        batch = self._outcomes[index]
        operation = operations.datasets_get_ingestion(self._dataset_id, batch.ingestion_id or "")
        ingestion: Ingestion | None = None
        error: APIError | None = None
        try:
            ingestion = await self._transport.send(operation)
        except APIError as failure:
            error = failure
        shares = share_out(ingestion, batch.rows)
        self._outcomes[index] = attrs.evolve(batch, error=error, **attrs.asdict(shares))
        return ingestion is None or is_settled(ingestion)

    def _note(
        self,
        first_row: int,
        rows: int,
        outcome: Outcome,
        *,
        ingestion_id: str | None = None,
        error: InvalidRecordError | APIError | None = None,
    ) -> None:
        shares = Shares(unverified=rows if outcome == "accepted" else 0)
        self._outcomes.append(
            BatchOutcome(
                index=len(self._outcomes),
                first_row=first_row,
                rows=rows,
                outcome=outcome,
                ingestion_id=ingestion_id,
                error=error,
                **attrs.asdict(shares),
            )
        )


_END = object()
