"""Waits for the outcomes of ingestions in Airflow's triggerer, so that no worker does."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import attrs
from airflow.triggers.base import BaseTrigger, TriggerEvent

from databox import APIError, APIStatusError, AsyncDatabox, DataboxError, Ingestion
from databox.ingest.settle import Polls, Shares, rejection, share_out, still_open
from databox.integrations.airflow_hook import DataboxHook

__all__ = ["DataboxIngestionTrigger"]

_AT_ONCE = 4
_SHOWN = 3


class DataboxIngestionTrigger(BaseTrigger):
    """Fires once it is known what became of accepted batches, or the time is over.

    What it keeps in Airflow's database has no key in it; the connection's name alone.

    Args:
        databox_conn_id: the connection.
        dataset_id: the dataset.
        ingestions: how many rows each ingestion has, by its id.
        counts: the report's counts so far; the event has them with what was learned.
        deadline: until when to wait, in seconds since 1970. A trigger may be moved to another process, where it starts
            anew, and must not wait anew.
    """

    def __init__(
        self,
        *,
        databox_conn_id: str,
        dataset_id: str,
        ingestions: Mapping[str, int],
        counts: Mapping[str, Any],
        deadline: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.databox_conn_id = databox_conn_id
        self.dataset_id = dataset_id
        self.ingestions = dict(ingestions)
        self.counts = dict(counts)
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger anew in another process."""
        return f"{__name__}.{type(self).__qualname__}", {
            "databox_conn_id": self.databox_conn_id,
            "dataset_id": self.dataset_id,
            "ingestions": self.ingestions,
            "counts": self.counts,
            "deadline": self.deadline,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: `counts` as far as they are known then, and in `problems` why rows are missing."""
        start = time.monotonic()
        timeout = max(0.0, self.deadline - time.time())
        try:
            async with await DataboxHook(self.databox_conn_id).get_async_conn() as client:
                learned = await _learn(client, self.dataset_id, self.ingestions, timeout)
        except (DataboxError, TypeError, ValueError) as error:  # of the connection, before anything was asked
            yield _event(self.counts, [str(error)])
            return
        seconds = self.counts["seconds"] + time.monotonic() - start
        requests = self.counts["requests"] + learned.requests
        shares = attrs.asdict(learned.shares)
        known = {name: rows + self.counts[name] for name, rows in shares.items() if name != "unverified"}
        known |= {"unverified": shares["unverified"], "seconds": seconds, "requests": requests}
        yield _event({**self.counts, **known}, learned.problems)


def _event(counts: Mapping[str, Any], problems: list[str]) -> TriggerEvent:
    return TriggerEvent({"counts": counts, "problems": problems})  # type: ignore[no-untyped-call]


@attrs.frozen
class _Learned:
    shares: Shares
    requests: int
    problems: list[str]


async def _learn(client: AsyncDatabox, dataset_id: str, ingestions: Mapping[str, int], timeout: float) -> _Learned:
    """Ask until every outcome is known, each at least once, as `datasets.ingest` does."""
    client = client.with_options(max_retries=0)  # a question that fails is asked again like one that is open
    ids = list(ingestions)
    known: dict[int, Shares] = {}
    why: dict[int, str] = {}
    requests = 0
    polls = Polls(range(len(ids)), time.monotonic(), timeout)

    async def ask(number: int) -> tuple[int, Ingestion | APIError]:
        try:
            return number, await client.datasets.get_ingestion(dataset_id, ids[number])
        except APIError as error:
            return number, error

    def hear(number: int, answer: Ingestion | APIError) -> None:
        wait = 0.0
        if isinstance(answer, Ingestion):
            shares = known[number] = share_out(answer, ingestions[ids[number]])
            why.pop(number, None)
            problem = rejection(answer, shares) or (still_open(answer, shares, timeout) if shares.unverified else None)
            if problem:
                why[number] = str(problem)
        else:
            why[number] = str(answer)
            wait = (isinstance(answer, APIStatusError) and answer.retry_after) or 0.0
        settled = isinstance(answer, Ingestion) and not known[number].unverified
        polls.heard(number, settled=settled, now=time.monotonic(), failed=isinstance(answer, APIError), wait=wait)

    async with asyncio.TaskGroup() as group:  # which ends what is under way when the trigger is cancelled
        under_way: set[asyncio.Task[tuple[int, Ingestion | APIError]]] = set()
        while not polls.done:
            number = polls.due(time.monotonic()) if len(under_way) < _AT_ONCE else None
            if number is not None:
                under_way.add(group.create_task(ask(number)))
                requests += 1
            elif under_way:
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    hear(*task.result())
            else:
                await asyncio.sleep(polls.wait(time.monotonic()))
    shares = [known.get(number, Shares(unverified=rows)) for number, rows in enumerate(ingestions.values())]
    total = Shares(*(sum(column) for column in zip(*map(attrs.astuple, shares), strict=True)))
    problems = list(dict.fromkeys(why[number] for number in sorted(why)))
    more = [f"And {len(problems) - _SHOWN:,} more."] if len(problems) > _SHOWN else []
    return _Learned(total, requests, problems[:_SHOWN] + more)
