"""Asks what became of the accepted batches, until it is known or the time is over."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from databox import operations
from databox._async.pool import Pool, Stopped
from databox._async.transport import AsyncTransport
from databox.errors import APIError, ConfigurationError
from databox.ingest.files import Files
from databox.ingest.run import Run
from databox.ingest.settle import is_settled, rejection, share_out, shares_by_status
from databox.ingest.verify import Polls
from databox.models import Ingestion

__all__ = ["AsyncVerification"]

TIMEOUT = 300.0
"""Seconds to wait for outcomes after the last batch was accepted."""


class AsyncVerification:
    """The second half of an ingest.

    Args:
        transport: sends.
        dataset_id: the dataset.
        run: what was accepted, and what is learned of it.
        files: notes what is learned.
        tell: is called whenever something is known, or waited for.
    """

    def __init__(
        self, transport: AsyncTransport, dataset_id: str, run: Run, files: Files, tell: Callable[[], object]
    ) -> None:
        self._transport = transport
        self._dataset_id = dataset_id
        self._run = run
        self._files = files
        self._tell = tell
        self._accepted = {number: (ingestion_id, rows) for number, ingestion_id, rows in run.accepted()}

    async def by_counts(self, pool: Pool[tuple[int, Any]], concurrency: int) -> None:
        """Fetch each ingestion's outcome."""
        polls = Polls(self._accepted, time.monotonic(), TIMEOUT)
        while not polls.done:
            number = polls.due(time.monotonic()) if pool.busy < concurrency else None
            if number is not None:
                await pool.start(partial(self._fetch, number, self._accepted[number][0]))
            elif pool.busy:
                number, answer = await pool.take()
                polls.heard(number, settled=self._learn(number, answer), now=time.monotonic())
            else:
                self._tell()
                await pool.sleep(polls.wait(time.monotonic()))

    async def by_status(self, pool: Pool[tuple[int, Any]]) -> None:
        """Read the list of ingestions, one request a page, until no accepted batch stands open in it."""
        polls = Polls([0] if self._accepted else [], time.monotonic(), TIMEOUT)
        numbers = {ingestion_id: number for number, (ingestion_id, _) in self._accepted.items()}
        while not polls.done:
            if polls.due(time.monotonic()) is None:
                self._tell()
                await pool.sleep(polls.wait(time.monotonic()))
            else:
                await self._read_list(numbers)
                polls.heard(0, settled=not numbers, now=time.monotonic())

    async def _fetch(self, number: int, ingestion_id: str) -> tuple[int, Ingestion | Exception]:
        operation = operations.datasets_get_ingestion(self._dataset_id, ingestion_id)
        try:
            return number, await self._transport.send(operation)
        except ConfigurationError as error:
            self._files.fail(error)
            return number, error
        except (APIError, Stopped) as error:
            return number, error

    def _learn(self, number: int, answer: Ingestion | Exception) -> bool:
        """Note what an answer says about a batch; return whether there is nothing more to learn."""
        rows = self._accepted[number][1]
        if isinstance(answer, APIError):
            self._run.verified(number, share_out(None, rows), answer)
        elif isinstance(answer, Ingestion):
            shares = share_out(answer, rows)
            self._run.verified(number, shares, rejection(answer, shares))
            self._files.verified(number, shares)
            self._tell()
            return is_settled(answer)
        return True

    async def _read_list(self, numbers: dict[str, int]) -> None:
        """Learn from the listing, page by page, as long as batches are open; takes out those that are not."""
        page: int | None = 1
        seen = 0
        while page and numbers:
            listing = await self._transport.send(
                operations.datasets_list_ingestions(self._dataset_id, page=page, page_size=100)
            )
            seen += len(listing.items)
            for item in listing.items:
                if item.id not in numbers:
                    continue
                shares = shares_by_status(item.status, self._accepted[numbers[item.id]][1])
                if shares:
                    self._run.verified(numbers.pop(item.id), shares)
            page = page + 1 if listing.more_after(seen, 100) else None
