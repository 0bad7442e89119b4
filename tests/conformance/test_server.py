"""The scripted server: every kind of step, as a client sees it."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from conformance.server import Server
from conformance.world import World

ROWS = {"records": [{"id": 1, "n": 1}, {"id": 1, "n": 2}]}


@contextmanager
def serving(*script: dict[str, Any], world: World | None = None) -> Iterator[tuple[Server, httpx.Client]]:
    with (
        Server(list(script), world) as server,
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
    ):
        yield server, client


def spoken(server: Server, data: bytes) -> bytes:
    """Return what the server answers to some bytes, until it closes the connection or is silent for a moment."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(data)
        connection.settimeout(60)  # on a busy machine the answer may take its time; what follows it comes with it
        said = b""
        try:
            while part := connection.recv(65_536):
                said += part
                connection.settimeout(0.5)
        except TimeoutError:
            pass
        return said


def test_a_body_in_chunks_is_read() -> None:
    with serving({"status": 200, "body": {"n": "{n}"}}) as (server, client):
        answer = client.post("/v1/x", content=iter([b'{"a":', b"1}"]))
        assert (answer.json(), server.requests[0].body) == ({"n": "1"}, b'{"a":1}')
        assert server.requests[0].headers["transfer-encoding"] == "chunked"
        assert server.problems == []


def test_a_body_that_is_no_json_is_told() -> None:
    with serving({"status": 200}) as (server, client):
        client.post("/v1/x", content=b"{'a': 1}")
        assert server.problems == ["request 0, POST /v1/x: the body is not JSON: b\"{'a': 1}\""]


def test_a_content_length_in_letters_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.received.PATIENCE", 0.1)
    with serving({"status": 200, "times": "always"}) as (server, _):
        spoken(server, b'POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n"\xc3\xbc\xc3\xbc"')
        assert "which is not a request" not in str(server.problems)  # the rest is not a complete line yet
        spoken(server, b"POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\n[]")
        assert "POST /a: the body is shorter than its Content-Length says" in server.problems
        spoken(server, b"HELLO\r\n\r\n")
        assert any(problem.startswith("received b'HELLO', which is not a request") for problem in server.problems)


def test_answers_that_break_off_close_or_never_come() -> None:
    with serving({"drop": True}, {"status": 200, "text": "0123456789", "truncate": 4}, {"hang": True}) as (_, client):
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/v1/x")
        with pytest.raises(httpx.RemoteProtocolError, match="received 4 bytes, expected 10"):
            client.get("/v1/x")
        with pytest.raises(httpx.ReadTimeout):
            client.get("/v1/x", timeout=0.1)
    with serving({"status": 200, "close": True}, {"status": 200}) as (_, client):
        assert client.get("/v1/x").headers["connection"] == "close"
        assert client.get("/v1/x").status_code == 200


def test_bytes_as_they_are() -> None:
    raw = "HTTP/1.1 204 Done\r\nx-n: {n}\r\n\r\n"
    with serving({"raw": raw}, {"status": 200, "text": "[]", "stray": "HTTP/1.1 500"}) as (server, client):
        assert client.get("/v1/x").headers["x-n"] == "1"
        assert spoken(server, b"GET /v1/x HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n[]HTTP/1.1 500")


def test_connections_are_refused() -> None:
    with serving({"refuse": 60}, {"status": 200}) as (_, client), pytest.raises(httpx.ConnectError):
        client.get("/v1/x")
    with serving({"status": 200}, {"refuse": 60}, {"status": 200}) as (_, client):
        assert client.get("/v1/x").headers["connection"] == "close"
        with pytest.raises(httpx.ConnectError):
            client.get("/v1/x")


def test_a_port_at_which_connections_are_refused_is_not_given_to_others() -> None:
    """The server will listen on it again."""
    with serving({"refuse": 60}) as (server, _), socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", server.port))


def test_connections_are_refused_for_a_while() -> None:
    with serving({"refuse": 0.05}, {"status": 200}, {"refuse": 0.05}, {"status": 201}) as (_, client):
        for status in (200, 201):
            while True:
                try:
                    answer = client.get("/v1/x")
                except httpx.ConnectError:
                    time.sleep(0.02)
                else:
                    break
            assert answer.status_code == status


def test_a_step_is_for_whom_it_is_meant() -> None:
    script = ({"to": "/b", "status": 201}, {"to": "blue", "status": 202, "times": 2}, {"status": 203})
    with serving(*script) as (server, client):
        assert [client.get(path).status_code for path in ("/a", "/b", "/a")] == [203, 201, 418]
        assert [client.post("/c", json="blue").status_code for _ in range(3)] == [202, 202, 418]
        assert len(server.requests) == 6


def test_an_answer_that_waits_for_others() -> None:
    with serving({"status": 200, "together": 2, "times": 2}) as (server, client):
        threads = [threading.Thread(target=client.get, args=("/v1/x",)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first, second = server.requests
        assert first.answered
        assert first.answered >= second.arrived


def test_requests_one_after_the_other_are_never_counted_together() -> None:
    request = b"GET /v1/x HTTP/1.1\r\nhost: x\r\n\r\n"
    with (
        serving({"status": 200, "body": {}, "times": "always"}) as (server, _),
        socket.create_connection(("127.0.0.1", server.port)) as one,
        socket.create_connection(("127.0.0.1", server.port)) as other,
    ):
        for connection in [one, other] * 1_000:
            connection.sendall(request)
            said = b""
            while not said.endswith(b"{}"):
                said += connection.recv(65_536)
        assert (len(server.requests), server.at_once) == (2_000, 1)


def test_rows_are_stored_and_counted() -> None:
    world = World(["id"], [{"id": 0, "n": 0}])
    with serving({"effect": True, "drop": True}, {"status": 503}, world=world) as (_, client):
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/v1/datasets/d/data", json=ROWS)
        assert client.post("/v1/datasets/d/data", json=ROWS).status_code == 503
        assert world.stored == [{"id": 0, "n": 0}, {"id": 1, "n": 2}]
        ingestion = client.post("/v1/datasets/d/data", json=ROWS).json()["ingestionId"]
        counts = client.get(f"/v1/datasets/d/ingestions/{ingestion}").json()["metrics"]["ingestionMetrics"]
        assert (counts["appendedRecordsCount"], counts["overwrittenRecordsCount"]) == (0, 2)
        assert [each["ingestionId"] for each in client.get("/v1/datasets/d/ingestions").json()["ingestions"]] == [
            "w-1",
            ingestion,
        ]
        assert client.get("/v1/datasets/d/ingestions/other").status_code == 404


def test_the_process_is_killed_when_a_request_is_there() -> None:
    killed = threading.Event()
    with Server([{"kill": True}], kill=killed.set) as server, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url, trust_env=False)
    assert server.killed
    assert killed.is_set()
    assert json.dumps(server.problems) == "[]"
