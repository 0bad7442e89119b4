"""What a server sends after an answer never answers the next request."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from databox import APIError
from tests.drive import Driver
from tests.scripted import ScriptedServer, Step, delivered, head, one_packet, pieces, wire

EVERY_CONNECTION = True
KEY = "test-key-0123456789"


def said(document: object, status: int = 200) -> bytes:
    """Return a complete answer."""
    body = json.dumps(document).encode()
    return head(status, {"content-type": "application/json", "content-length": str(len(body))}) + body


def source(number: int) -> bytes:
    return said({"requestId": "r", "status": "success", "id": number, "title": "t"})


STRAY = source(666)
IN_CHUNKS = (
    head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
    + b'10\r\n{"requestId": "r\r\n17\r\n", "status": "success"}\r\n0\r\n\r\n'
)
FIRST = {
    "with a length": source(1),
    "chunked": IN_CHUNKS,
    "a 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a 304": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 20\r\n\r\n",
    "a 204 that has a body": b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n{}",
    "with a length that is too small": source(1).replace(b"content-length: ", b"content-length: 1\r\nx: "),
}
WAYS: dict[str, Callable[[bytes, bytes], Step]] = {
    "in the same packet": lambda first, stray: wire(first + stray),
    "as a record of the same packet": one_packet,
    "in three records of a packet": lambda first, stray: one_packet(first[:-1], first[-1:], stray),
    "a little later": lambda first, stray: pieces(first, stray, pause=0.02),
    "without an end": lambda first, stray: wire(first + stray[:40]),
    "a line break": lambda first, stray: wire(first + b"\r\n"),
    "one byte": lambda first, stray: one_packet(first, stray[:1]),
}


def until_it_is_there(step: Step) -> tuple[Step, threading.Event]:
    """Return the step with an event that is set when all that it sends has arrived."""
    all_came = threading.Event()

    def telling(connection: Any) -> None:
        try:
            step(connection)
        finally:
            delivered(connection)
            all_came.set()

    return telling, all_came


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", FIRST)
def test_the_next_request_gets_its_own_answer(driver: Driver, any_server: ScriptedServer, first: str, way: str) -> None:
    step, all_came = until_it_is_there(WAYS[way](FIRST[first], STRAY))
    any_server.will(step, wire(source(2)))
    client = driver.client(KEY, any_server.url)
    with suppress(APIError):  # some are not answers that a caller could use
        client.request("GET", "/v1/x")
    assert all_came.wait(60)
    assert client.data_sources.create("Payroll").id == 2


@pytest.mark.parametrize("way", ["in the same packet", "as a record of the same packet"])
def test_refused_rows_are_not_reported_accepted(driver: Driver, any_server: ScriptedServer, way: str) -> None:
    """The server sends two acceptances for the first batch, and refuses the second."""
    accepted = [said({"requestId": "r", "status": "success", "ingestionId": name}) for name in ("i-1", "i-2")]
    refused = said({"requestId": "r", "status": "error", "errors": [{"code": "schema_mismatch"}]}, 400)
    any_server.will(WAYS[way](*accepted), wire(refused))
    client = driver.client(KEY, any_server.url)
    report = client.datasets.ingest(
        "d", [{"n": n} for n in range(200)], verify=None, concurrency=1, on_refusal="report", raise_on_failure=False
    )
    assert (report.accepted, report.failed) == (100, 100)
    assert len(any_server.requests) == 2


def test_a_large_answer_with_something_after_it(driver: Driver, any_server: ScriptedServer) -> None:
    """More than the buffers on the way can contain at once, so that its end can be anywhere in them."""
    client = driver.client(KEY, any_server.url)
    for size in (16_000, 65_536, 70_001, 262_144, 300_000):
        large = said({"requestId": "r", "status": "success", "accounts": [], "padding": "x" * size})
        step, all_came = until_it_is_there(one_packet(large, STRAY))
        any_server.will(step, wire(source(2)))
        assert client.accounts.list().items == ()
        assert all_came.wait(60)
        assert client.data_sources.create("Payroll").id == 2


def test_batches_get_their_own_answers(driver: Driver, any_server: ScriptedServer) -> None:
    """Every other answer has something after it; the ids say which batch each belongs to."""
    count = 0

    def step(connection: object) -> None:
        nonlocal count
        count += 1
        name = json.loads(any_server.requests[-1].body)["records"][0]["n"]
        good = said({"requestId": "r", "status": "success", "ingestionId": f"i-{name}"})
        stray = said({"requestId": "r", "status": "success", "ingestionId": "stray"})
        (one_packet(good, stray) if count % 2 else wire(good))(connection)  # type: ignore[arg-type]

    any_server.will(step)
    client = driver.client(KEY, any_server.url)
    for _ in range(3):
        report = client.datasets.ingest("d", [{"n": n} for n in range(24)], verify=None, batch_size=1, concurrency=1)
        assert [batch.ingestion_id for batch in report.batches] == [f"i-{n}" for n in range(24)]
