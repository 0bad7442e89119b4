"""Answers that no server should send: a documented error, in a short time, without the key."""

import gzip
import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from databox import IngestionTimeoutError
from tests.drive import Driver
from tests.fuzz.spoil import KEY, TOKENS, Case, assert_foreseen, spoiled, spoiled_document, tame_log
from tests.outside import TEXT, answer_with, refusal_with
from tests.scripted import Received, ScriptedServer, Step, answer, drop, head, pieces, reset, wire
from tests.test_ingest import adds_up

MOST = 200
"""Items of a list, and pages of one, that are looked at: a server may tell of ever more."""
ROWS = [{"id": n, "value": n / 8} for n in range(7)]
CALLS: list[Callable[[Any, Random], Any]] = [
    lambda client, _: client.auth.validate_key(),
    lambda client, _: client.accounts.list(),
    lambda client, _: client.accounts.list_data_sources(1),
    lambda client, _: client.accounts.list_timezones(),
    lambda client, _: client.data_sources.create("t", account_id=1),
    lambda client, _: client.data_sources.ensure("t", account_id=1),
    lambda client, _: client.data_sources.list_datasets(1),
    lambda client, _: client.data_sources.delete(1),
    lambda client, _: client.datasets.create("t", data_source=1, primary_keys=["id"]),
    lambda client, _: client.datasets.ensure("t", data_source=1),
    lambda client, _: client.datasets.delete("d"),
    lambda client, _: client.datasets.purge("d"),
    lambda client, _: client.datasets.create_ingestion("d", ROWS),
    lambda client, chance: client.datasets.list_ingestions("d", page_size=chance.choice([None, 1])),
    lambda client, _: client.datasets.get_ingestion("d", "i"),
    lambda client, _: client.datasets.wait_for_ingestion("d", "i", timeout=0.05),
    lambda client, _: client.request("GET", "/v1/anything"),
]
SHORT = {
    "databox.sending.retry.FIRST_WAIT": 0.001,
    "databox.sending.retry.LONGEST_RETRY_AFTER": 0.002,
    "databox.ingest.settle.FIRST_POLL": 0.005,
    "databox.ingest.patience.FIRST_WAIT": 0.002,
    "databox.ingest.patience.LONGEST_WAIT": 0.01,
    "databox.ingest.patience.LOOK": 0.001,
    "databox.ingest.patience.DENIED_WAITS": (0.001, 0.002),
    **{f"databox.{half}.ingest.{name}": 0.002 for half in ("_sync", "_async") for name in ("EVERY", "MOMENT")},
    "databox._sync.transport.LONGEST_RETRY_AFTER": 0.002,
    "databox._async.transport.LONGEST_RETRY_AFTER": 0.002,
}
"""Waits that only cost time here."""
HEADERS = ["retry-after", "x-request-id", "content-type", "content-encoding", "location", "connection", "date"]
SAID = [
    "",
    "-1",
    "9" * 400,
    "0.001",
    "text/html; charset=utf-16",
    "gzip",
    "deflate, gzip",
    "br",
    "close",
    KEY,
    "\x9b2J",
]
BOMB = gzip.compress(b'{"accounts": [' + b'{"id": 1, "name": "x"},' * 4_000_000, 9)


@contextmanager
def answers() -> Iterator[Case]:
    """Call each operation, and ingest, over a server that answers with what a good answer became."""
    with ScriptedServer() as server, start_blocking_portal() as portal, pytest.MonkeyPatch.context() as patch:
        for name, value in SHORT.items():
            patch.setattr(name, value)
        drivers = [("sync", None), ("async", portal), ("sync-httpx", None)]
        yield lambda chance: _try(chance, Driver(*chance.choice(drivers)), server)


def _try(chance: Random, driver: Driver, server: ScriptedServer) -> None:
    server.requests.clear()
    good = chance.choice([0.0, 0.5, 0.9])
    server.decides(lambda request: _step(chance, request, good))
    retries = chance.choice([0, 0, 2])
    client = driver.client(KEY, server.url, timeout=chance.choice([0.1, 0.1, 0.5]), max_retries=retries)
    with tame_log():
        try:
            if chance.random() < 0.4:
                _ingest(chance, driver, client)
            else:
                _show(driver, chance.choice(CALLS)(client, chance))
        except Exception as error:  # noqa: BLE001 - it is looked at
            assert_foreseen(error)
            if isinstance(error, IngestionTimeoutError):
                assert KEY not in repr(error.ingestion), "the key shows"
        finally:
            driver.close()


def _show(driver: Driver, result: Any) -> None:
    """Whatever is read can be walked, shown and kept."""
    if hasattr(result, "items") and hasattr(result, "by_page"):
        found = list(result.items)
        for page in driver.collect(_some(result.by_page())):
            found += page.items[:MOST]
        result = found
    assert KEY not in f"{result!r} {result}", "the key shows"
    if not isinstance(result, dict):
        assert repr(pickle.loads(pickle.dumps(result))) == repr(result)


def _some(pages: Any) -> Any:
    if not hasattr(pages, "__aiter__"):
        return (page for page, _ in zip(pages, range(MOST), strict=False))

    async def some() -> Any:
        count = 0
        async for page in pages:
            yield page
            count += 1
            if count == MOST:
                return

    return some()


def _ingest(chance: Random, driver: Driver, client: Any) -> None:
    report = client.datasets.ingest(
        "d",
        driver.source(ROWS),
        primary_keys=chance.choice([None, ["id"]]),
        batch_size=chance.choice([1, 3, 100]),
        concurrency=chance.choice([1, 1, 4]),
        verify=chance.choice(["counts", "status", None]),
        verify_timeout=0.05,
        patience=chance.choice([0, 0.02]),
        raise_on_failure=False,
    )
    assert adds_up(report)
    assert report.rows == len(ROWS) or not report.complete
    assert KEY not in f"{report!r} {report}", "the key shows"
    pickle.loads(pickle.dumps(report))


# What is answered


def _step(chance: Random, request: Received, good: float) -> Step:
    made = _good(chance, request)
    if chance.random() < good:
        return answer(200, made)
    status = chance.choice([200, 200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 599])
    if status > 299 and chance.random() < 0.7:
        made = refusal_with(chance.choice(["no", TEXT, KEY, f"x{KEY}y"]))
    body = json.dumps(spoiled_document(chance, made) if chance.random() < 0.7 else made).encode()
    if chance.random() < 0.4:
        body = spoiled(chance, body, [*TOKENS, KEY.encode()])
    headers = {chance.choice(HEADERS): chance.choice(SAID) for _ in range(chance.choice([0, 0, 1, 2]))}
    match chance.randrange(12):
        case 0:
            return wire(spoiled(chance, _whole(status, body, headers)), close=True)
        case 1:
            return chance.choice([drop, reset])
        case 2:
            return wire(_whole(status, body, headers)[: chance.randrange(len(body) + 60)], close=True)
        case 3:
            packed = gzip.compress(body)
            packed = spoiled(chance, packed) if chance.random() < 0.5 else packed
            return answer(status, packed, headers | {"content-encoding": "gzip"})
        case 4:
            return wire(_chunked(chance, status, body, headers), close=True)
        case 5:
            return wire(_whole(status, body, headers) * 2, close=chance.random() < 0.5)
        case 6:
            return pieces(*_cut(chance, _whole(status, body, headers)), close=chance.random() < 0.5)
        case 7 if chance.random() < 0.02:
            return answer(status, BOMB, {"content-encoding": "gzip"})
        case _:
            return wire(_whole(status, body, headers), close=chance.random() < 0.2)


def _good(chance: Random, request: Received) -> dict[str, Any]:
    if request.method == "POST" and request.target.endswith("/data"):
        return {"requestId": "r", "status": "success", "ingestionId": f"i{chance.randrange(10**6)}", "message": "m"}
    made = answer_with(chance.choice(["t", "success", TEXT, KEY]), dataset_id="d")
    parts = request.target.partition("?")[0].split("/")
    if request.method == "GET" and "ingestions" in parts[:-1]:
        made["ingestionId"] = parts[-1]
    made["pagination"] = {
        "page": 1,
        "pageSize": chance.choice([1, 100]),
        "totalItems": chance.choice([0, 1, 3, 10**12]),
    }
    return made


def _whole(status: int, body: bytes, headers: dict[str, str]) -> bytes:
    return head(status, {"content-type": "application/json", "content-length": str(len(body))} | headers) + body


def _chunked(chance: Random, status: int, body: bytes, headers: dict[str, str]) -> bytes:
    parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _cut(chance, body) if part)
    made = head(status, headers | {"transfer-encoding": "chunked"}) + parts + b"0\r\n\r\n"
    return spoiled(chance, made) if chance.random() < 0.5 else made


def _cut(chance: Random, data: bytes) -> list[bytes]:
    places = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(3))})
    return [data[first:last] for first, last in zip(places, places[1:], strict=False)] or [data]
