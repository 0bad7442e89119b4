"""A web application that takes events and sends them on in the background, and loses none when it is stopped.

pip install "databox-sdk[sandbox]"      (for Starlette and uvicorn)
DATABOX_API_KEY=… python web_app.py --spool events.jsonl
curl -d '{"id": "a1", "kind": "signup"}' http://127.0.0.1:8000/events

- An event that was answered with 202 is in a queue of bounded length. When that is full, the answer is 503: nothing is
  dropped in silence.
- On SIGTERM no more events are taken, and those in the queue are sent before the process ends.
- What cannot be sent, at that time or before, is kept in the spool, and goes out at the next start.

Only what is in the queue when the process is killed hard is lost; whoever cannot have that writes to a disk before 202.
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
"""Rows in a request to Databox at most."""
SECONDS = 0.5
"""How long an event waits for others to go with it."""

log = logging.getLogger("events")


class Outbox:
    """Sends rows in the background, in the order in which they came."""

    def __init__(self, client: AsyncDatabox, dataset: Dataset, spool: Path) -> None:
        self._client = client
        self._dataset = dataset
        self._spool = spool
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(maxsize=10_000)

    def put(self, row: dict[str, Any]) -> bool:
        """Take a row; False when there is no room."""
        try:
            self._queue.put_nowait(row)
        except asyncio.QueueFull:
            return False
        return True

    async def close(self) -> None:
        """Take no more; `run` ends when all has been sent, or kept in the spool."""
        await self._queue.put(None)

    async def run(self) -> None:
        """Send what the spool holds, then rows as they come."""
        await self._send_spool()
        ended = False
        while not ended:
            rows, ended = await self._next_rows()
            await self._send(rows)

    async def _next_rows(self) -> tuple[list[dict[str, Any]], bool]:
        """The rows of half a second, and whether there are no more."""
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
                ):  # all of them are read, whatever becomes of the first
                    await self._send(rows)
            under_way.unlink()  # what did not make it is in the spool again


def make_app(spool: Path) -> Starlette:
    """Make the application."""

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
            return JSONResponse({"error": "An event is an object with an id, a text."}, 400)
        if not request.app.state.outbox.put(event):
            return JSONResponse({"error": "Too many events. Try again."}, 503, {"retry-after": "1"})
        return JSONResponse({"taken": event["id"]}, 202)

    return Starlette(routes=[Route("/events", take, methods=["POST"])], lifespan=lifespan)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take events at /events, and send them to Databox.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--spool", type=Path, default=Path("events.jsonl"))
    arguments = parser.parse_args()
    uvicorn.run(make_app(arguments.spool), port=arguments.port)
