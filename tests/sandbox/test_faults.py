"""Failures on demand."""

import contextlib
import socket
import time
from typing import Any

import httpx
import pytest

from databox.sandbox import Fault, Sandbox
from tests.sandbox.http import ask, client, create, dataset_in, get, refusal, sources


def test_a_status_instead_of_the_effect(box: Sandbox) -> None:
    box.inject(Fault("data_sources.create", status=503, headers={"retry-after": "1"}, times=1))
    answer = create(box)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["errors"][0]["code"] == "service_unavailable"
    assert sources(box) == 0
    assert create(box).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ({"status": "error"}, "application/json", '{"status":"error"}'),
        ("<html>", "text/html; charset=utf-8", "<html>"),
        ("plain", "text/plain; charset=utf-8", "plain"),
        (b"\xff", "text/plain; charset=utf-8", "\ufffd"),
    ],
)
def test_any_body(box: Sandbox, body: Any, kind: str, text: str) -> None:
    box.inject(Fault("*", body=body))
    answer = get(box)
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (200, kind, text)


def test_a_redirect_and_an_odd_status(box: Sandbox) -> None:
    box.inject(Fault("accounts.list", status=302, headers={"location": "/x"}, times=1))
    box.inject(Fault("accounts.list", status=520, times=1))
    assert [get(box).status_code for _ in range(3)] == [302, 520, 200]


@pytest.mark.parametrize(("drop", "made"), [("before", 0), ("after", 1)])
def test_a_dropped_connection(box: Sandbox, drop: Any, made: int) -> None:
    box.inject(Fault("create", drop=drop, times=1))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        create(box)
    assert sources(box) == made
    assert box.requests[0].status is None


def test_a_delay(box: Sandbox) -> None:
    box.inject(Fault("list", delay=0.2, times=1))
    started = time.monotonic()
    assert get(box).status_code == 200
    assert time.monotonic() - started >= 0.2


def test_names_of_operations(box: Sandbox) -> None:
    box.inject(Fault("delete", status=500, times=2))
    box.inject(Fault("datasets.create", status=500, times=1))
    assert ask(box, "DELETE", "/v1/datasets/x").status_code == 500
    assert ask(box, "DELETE", "/v1/data-sources/1").status_code == 500
    assert create(box).status_code == 200


def test_an_outage_of_some_seconds(box: Sandbox) -> None:
    box.inject(Fault("list", status=503, seconds=0.2))
    time.sleep(0.25)  # it begins with the first request
    started = time.monotonic()
    statuses = [get(box).status_code]
    while statuses[-1] == 503:
        statuses.append(get(box).status_code)
    assert time.monotonic() - started >= 0.2
    assert statuses[0] == 503


def test_a_401_that_passes(box: Sandbox) -> None:
    box.inject(Fault("list", status=401, after=2, times=1))
    assert [get(box).status_code for _ in range(4)] == [200, 200, 401, 200]


@pytest.mark.parametrize(
    "when", [{"column": "n", "value": 3}, lambda record: record["n"] == 3], ids=["pair", "function"]
)
def test_a_refusal_that_depends_on_the_records(box: Sandbox, when: Any) -> None:
    dataset = dataset_in(box)
    box.inject(Fault("create_ingestion", when=when))

    def sent(*values: Any) -> httpx.Response:
        return ask(box, "POST", f"/v1/datasets/{dataset}/data", json={"records": [{"n": value} for value in values]})

    assert [sent(1, 2).status_code, sent(2, 3, 3).status_code, sent(4).status_code] == [200, 400, 200]
    assert sent(2, 3).json()["errors"][0]["field"] == "records[1]"


def test_values_are_compared_as_json_does(box: Sandbox) -> None:
    fault = Fault("create_ingestion", when={"column": "n", "value": True})
    assert fault.record_in(b'{"records": [{"n": 1}, {}, {"n": true}]}') == 2
    for body in (b'{"records": [1]}', b'{"records": {"n": true}}', b"[]"):
        assert fault.record_in(body) is None


@pytest.mark.parametrize(
    "options",
    [
        {"operation": "*", "when": "n"},
        {"operation": "*", "when": {"column": "n"}},
        {"operation": "*", "seconds": -1},
        {"operation": "*", "after": 0.5},
        {"operation": "fly"},
        {"operation": "*", "status": 99},
        {"operation": "*", "status": 600},
        {"operation": "*", "probability": 1.5},
        {"operation": "*", "times": 0},
        {"operation": "*", "delay": -1},
        {"operation": "*", "drop": "during"},
    ],
)
def test_faults_that_are_none(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each names its own field
        Fault(**options)


def test_chances_come_from_the_seed() -> None:
    def statuses(seed: int) -> list[int]:
        with Sandbox(seed=seed) as box, client(box) as http:
            box.inject(Fault("*", status=500, probability=0.5))
            return [http.get("/v1/accounts").status_code for _ in range(40)]

    first = statuses(1)
    assert set(first) == {200, 500}
    assert statuses(1) == first != statuses(2)


def test_a_status_alone_is_an_error_envelope(box: Sandbox) -> None:
    for status, code in (
        (200, "processing_failed"),
        (302, "invalid_input"),
        (429, "rate_limited"),
        (502, "internal_error"),
    ):
        box.inject(Fault("list", status=status, times=1))
        assert refusal(get(box)) == (status, code)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_statuses_without_a_body_leave_the_connection_in_order(box: Sandbox, status: int) -> None:
    box.inject(Fault("list", status=status, body={"a": 1}, times=1))
    with client(box) as http:
        answers = [http.get("/v1/accounts") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, 200]
    assert answers[0].content == b""


def test_headers_win(box: Sandbox) -> None:
    box.inject(Fault("list", body={"a": 1}, headers={"Content-Type": "text/x"}, times=1))
    box.inject(Fault("list", body="<p>", headers={"content-type": "text/x", "x-more": "1"}, times=1))
    first, second = get(box), get(box)
    assert (first.headers["content-type"], second.headers["content-type"]) == ("text/x", "text/x")
    assert second.headers["x-more"] == "1"


def test_faults_strike_in_the_order_they_came(box: Sandbox) -> None:
    box.inject(Fault("*", status=500, times=2))
    box.inject(Fault("accounts.list", status=503, times=1))
    assert [get(box).status_code for _ in range(4)] == [500, 500, 503, 200]


def test_a_delay_goes_before_the_rest(box: Sandbox) -> None:
    box.inject(Fault("create", delay=0.1, status=503, times=1))
    box.inject(Fault("create", delay=0.1, drop="after", times=1))
    started = time.monotonic()
    assert create(box).status_code == 503
    with pytest.raises(httpx.RemoteProtocolError):
        create(box)
    assert time.monotonic() - started >= 0.2
    assert sources(box) == 1


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_drop_whoever_the_client_says_it_is(box: Sandbox, drop: Any) -> None:
    box.inject(Fault("list", drop=drop, times=1))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        get(box, headers={"x-forwarded-for": "192.0.2.1"})


def test_a_drop_of_a_request_that_is_still_being_sent(box: Sandbox) -> None:
    """Of one that is far too large the body is not waited for."""
    box.inject(Fault("create", drop="before", times=1))
    with socket.create_connection(("127.0.0.1", int(box.url.rpartition(":")[2])), timeout=20) as raw:
        raw.sendall(b"POST /v1/datasets HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nbegun")
        with contextlib.suppress(ConnectionResetError):
            assert raw.recv(100) == b""
    assert [(each.operation, each.status) for each in box.requests] == [("datasets.create", None)]


def test_a_drop_spares_other_connections(box: Sandbox) -> None:
    box.inject(Fault("create", drop="before", times=1))
    with client(box) as http:
        http.get("/v1/accounts")
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            create(box)
        assert http.get("/v1/accounts").status_code == 200


def test_an_unknown_operation_is_told_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"'fly'.*create_ingestion.*datasets\.create"):
        Fault("fly")
