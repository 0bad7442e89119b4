"""Checks the outcomes of the accepted batches, until all are known or time runs out."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from databox._async.pool import Pool
from databox._async.transport import AsyncTransport
from databox.api import operations
from databox.api.answers import Listing
from databox.api.documented import PAGE_SIZE
from databox.errors import APIError, APIStatusError, DataboxError, NotFoundError
from databox.ingest.persistence import Persistence
from databox.ingest.run import Run
from databox.ingest.settings import Settings
from databox.ingest.settle import (
    ListWalk,
    Polls,
    Shares,
    listed_failure,
    poll_waits,
    rejected_places,
    rejection,
    share_out,
    shares_by_status,
    still_open,
)
from databox.models import Ingestion, IngestionSummary
from databox.sending.retry import LONGEST_RETRY_AFTER

__all__ = ["AsyncVerification"]


class AsyncVerification:
    """The second half of an ingest.

    A failed request is repeated like one whose answer is still open, so each is sent as a single attempt.

    Args:
        transport: sends.
        dataset_id: the dataset.
        settings: how to verify, and for how long.
        run: knows what was accepted, and receives the outcomes.
        files: record the outcomes.
        tell: is called whenever something is known, or waited for.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        dataset_id: str,
        settings: Settings,
        run: Run,
        files: Persistence,
        tell: Callable[[], object],
    ) -> None:
        self._transport = transport
        self._dataset_id = dataset_id
        self._settings = settings
        self._run = run
        self._files = files
        self._tell = tell
        self._open = {number: (ingestion_id, rows) for number, ingestion_id, rows in run.accepted()}
        """Ingestion id and rows of the batches whose outcome is unknown."""
        self._heard: dict[int, Ingestion | APIError] = {}
        """The last known state of each of them."""
        self._failure: APIError | None = None
        """Why the last request failed, if it did."""
        self._read_whole = False
        """Whether the list was read to its end."""

    async def __call__(self, pool: Pool[Any]) -> None:
        """Ask until all outcomes are known or time runs out, and explain the outcomes that are still open.

        Raises:
            ConfigurationError: no request can be sent, because the store of the rate limit does not work.
        """
        if not self._settings.verify:
            return
        if self._settings.verify == "counts":
            await self._by_counts(pool)
        else:
            await self._by_status(pool)
        for number, (ingestion_id, _) in self._open.items():
            shares = self._run.outcome(number)[1]
            heard = self._heard.get(number) or self._failure or _missing(ingestion_id, whole=self._read_whole)
            if isinstance(heard, Ingestion):
                heard = still_open(heard, shares, self._settings.verify_timeout)
            self._run.verified(number, shares, heard)
        await self._look_for_what_was_there()

    async def _look_for_what_was_there(self) -> None:
        """Check whether the rows that earlier runs stored still exist, as far as the server says."""
        settled = not self._open
        while question := self._files.question(settled=settled):
            try:
                ingestion = operations.datasets_get_ingestion(self._dataset_id, question)
                self._files.told(None, await self._transport.send(ingestion))
            except NotFoundError:
                await self._look_for_the_dataset()
            except APIError:
                continue  # it does not say
        self._files.compare(settled=settled)

    async def _look_for_the_dataset(self) -> None:
        listing = operations.datasets_list_ingestions(self._dataset_id, page=1, page_size=PAGE_SIZE)
        try:
            await self._transport.send(listing)
        except NotFoundError as error:
            self._run.lost(error)
        except APIError:
            return

    # By counts

    async def _by_counts(self, pool: Pool[tuple[int, Ingestion | APIError]]) -> None:
        """Fetch each ingestion's outcome."""
        polls = Polls(self._open, time.monotonic(), self._settings.verify_timeout)
        while not polls.done:
            number = polls.due(time.monotonic()) if pool.busy < self._settings.concurrency else None
            if number is not None:
                await pool.start(partial(self._fetch, number, self._open[number][0]))
            elif pool.busy:
                number, answer = await pool.take()
                failed = not isinstance(answer, Ingestion)
                known = isinstance(answer, Ingestion) and self._learn(number, answer)
                if isinstance(answer, APIError):
                    self._heard[number] = self._failure = answer
                polls.heard(number, settled=known, now=time.monotonic(), failed=failed, wait=_asked_to_wait(answer))
            else:
                self._tell()
                await pool.sleep(polls.wait(time.monotonic()))

    async def _fetch(self, number: int, ingestion_id: str) -> tuple[int, Ingestion | APIError]:
        operation = operations.datasets_get_ingestion(self._dataset_id, ingestion_id)
        try:
            return number, await self._transport.send(operation, max_retries=0)
        except APIError as error:
            return number, error

    def _learn(self, number: int, answer: Ingestion) -> bool:
        """Record what an answer says about a batch; return whether the outcome is final."""
        shares = share_out(answer, self._open[number][1])
        self._files.told(number, answer, shares)
        self._heard[number] = answer
        self._know(number, shares, rejection(answer, shares), rejected_places(answer, shares))
        return not shares.unverified

    # By status

    async def _by_status(self, pool: Pool[Any]) -> None:
        """Read the list of ingestions, one request per page, until no accepted batch is open in it."""
        numbers = {ingestion_id: number for number, (ingestion_id, _) in self._open.items()}
        end = time.monotonic() + self._settings.verify_timeout
        walk, waits = ListWalk(), poll_waits()
        while self._open:
            in_time, failed_before = time.monotonic() < end, bool(self._failure)
            answer = await self._fetch_page(walk.page or 1)
            if isinstance(answer, Listing):
                useful = self._learn_from_list(answer, numbers)
                waits = poll_waits() if useful else waits
                walk.read(answer, useful=useful, in_time=in_time)
                if walk.page:
                    continue
                self._read_whole = self._read_whole or walk.whole
                walk = ListWalk()
            elif failed_before:
                walk = ListWalk()  # an unreadable page must not prevent the others from being read again
            if not in_time:
                break
            self._tell()
            now = time.monotonic()
            await pool.sleep(min(max(_asked_to_wait(answer), next(waits)), max(0.0, end - now)))
        if self._failure:
            self._heard.clear()  # what was known before is older

    async def _fetch_page(self, page: int) -> Listing[IngestionSummary] | APIError:
        operation = operations.datasets_list_ingestions(self._dataset_id, page=page, page_size=PAGE_SIZE)
        try:
            listing = await self._transport.send(operation, max_retries=0)
        except APIError as error:
            self._failure = error
            return error
        self._failure = None
        return listing

    def _learn_from_list(self, listing: Listing[IngestionSummary], numbers: dict[str, int]) -> bool:
        """Record what a page says; return whether it contains a new outcome."""
        useful = False
        for item in listing.items:
            number = numbers.get(item.id)
            if number not in self._open:
                continue
            self._heard[number] = Ingestion(id=item.id, timestamp=item.timestamp, status=item.status)
            rows = self._open[number][1]
            shares = shares_by_status(item.status, rows)
            if shares:
                useful = True
                self._know(number, shares, listed_failure(item, rows) if shares.rejected else None)
        return useful

    # Both

    def _know(self, number: int, shares: Shares, error: DataboxError | None, rejected: Sequence[int] = ()) -> None:
        """Record the counts for the rows of a batch."""
        self._run.verified(number, shares, error, rejected)
        self._files.verified(number, shares)
        if not shares.unverified:
            del self._open[number]
            del self._heard[number]
        self._tell()


def _missing(ingestion_id: str, *, whole: bool) -> DataboxError:
    rest = "" if whole else ", which was not read to its end"
    return DataboxError(f"Ingestion {ingestion_id} was not found in the list of ingestions{rest}. Look it up later.")


def _asked_to_wait(answer: object) -> float:
    """The seconds that the server asks to wait."""
    return min(answer.retry_after or 0.0, LONGEST_RETRY_AFTER) if isinstance(answer, APIStatusError) else 0.0
