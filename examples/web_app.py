"""A web application that receives events and sends them in the background, and loses none when it is stopped.

pip install "databox-sdk[sandbox]"      (for Starlette and uvicorn)
DATABOX_API_KEY=… python web_app.py --spool events.jsonl
curl -d '{"id": "a1", "kind": "signup"}' http://127.0.0.1:8000/events

- An event that was answered with 202 is in a queue of limited length. If it is full, the answer is 503: nothing is
  dropped silently.
- On SIGTERM, no more events are accepted, and those in the queue are sent before the process ends.
- Events that cannot be sent, then or earlier, are kept in the spool, and sent at the next start.

Only events in the queue are lost if the process is killed with SIGKILL; if you cannot accept that, write them to a
disk before the 202.
"""

import argparse
import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from databox import AsyncDatabox, DataboxError, Dataset, read_records

ROWS = 100
"""The maximum number of rows in a request to Databox."""
SECONDS = 0.5
"""How long an event waits for others to be sent together, in seconds."""

log = logging.getLogger("events")


class Outbox:
    """Sends rows in the background, in order of arrival."""

    def __init__(self, client: AsyncDatabox, dataset: Dataset, spool: Path) -> None:
        self._client = client
        self._dataset = dataset
        self._spool = spool
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(maxsize=10_000)

    def put(self, row: dict[str, Any]) -> bool:
        """Add a row; return False if there is no room."""
        try:
            self._queue.put_nowait(row)
        except asyncio.QueueFull:
            return False
        return True

    async def close(self) -> None:
        """Accept no more rows; `run` ends when all are sent, or kept in the spool."""
        await self._queue.put(None)

    async def run(self) -> None:
        """Send the rows in the spool, then rows as they arrive."""
        await self._send_spool()
        ended = False
        while not ended:
            rows, ended = await self._next_rows()
            await self._send(rows)

    async def _next_rows(self) -> tuple[list[dict[str, Any]], bool]:
        """The rows of half a second, and whether they are the last."""
        rows: list[dict[str, Any]] = []
        row = await self._queue.get()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                while row is not None:
                    rows.append(row)
                    if len(rows) == ROWS:
                        return rows, False
                    row = await self._queue.get()
        return rows, row is None

    async def _send(self, rows: list[dict[str, Any]]) -> None:
        try:
            await self._client.datasets.ingest(self._dataset, rows, dead_letter=self._spool)
        except DataboxError as error:
            log.warning("Kept in %s: %s", self._spool, error)

    async def _send_spool(self) -> None:
        under_way = self._spool.with_suffix(".sending")
        if self._spool.exists() and not under_way.exists():
            self._spool.rename(under_way)
        if under_way.exists():
            with read_records(under_way, format="jsonl") as records:
                while rows := list(
                    itertools.islice(records, ROWS)
                ):  # all of them are read, whatever the outcome of the first
                    await self._send(rows)
            under_way.unlink()  # rows that were not stored are in the spool again


def make_app(spool: Path) -> Starlette:
    """Create the application."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncDatabox(timeout=10, max_retries=2) as client:
            account = (await client.accounts.list()).items[0]
            source = await client.data_sources.ensure("Website", account_id=account.id)
            dataset = await client.datasets.ensure("Events", data_source=source, primary_keys=["id"])
            outbox = app.state.outbox = Outbox(client, dataset, spool)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(outbox.run())
                yield
                await outbox.close()

    async def take(request: Request) -> JSONResponse:
        try:
            event = await request.json()
        except ValueError:
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("id"), str):
            return JSONResponse({"error": "An event is an object with an id, which is text."}, 400)
        if not request.app.state.outbox.put(event):
            return JSONResponse({"error": "Too many events. Try again."}, 503, {"retry-after": "1"})
        return JSONResponse({"taken": event["id"]}, 202)

    return Starlette(routes=[Route("/events", take, methods=["POST"])], lifespan=lifespan)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Accept events at /events, and send them to Databox.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--spool", type=Path, default=Path("events.jsonl"))
    arguments = parser.parse_args()
    uvicorn.run(make_app(arguments.spool), port=arguments.port)
