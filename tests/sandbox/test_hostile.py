"""What a client may send by mistake or in bad faith: a clean refusal each time, and the sandbox keeps working."""

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from databox.sandbox import Sandbox
from databox.sandbox import asgi as app_module
from tests.sandbox.http import ask, dataset_in, get, refusal, sources

JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """None of this may be a bug of the sandbox's or upset what it stands on."""
    yield
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.fixture
def dataset(box: Sandbox) -> str:
    return dataset_in(box, "id")


def post(box: Sandbox, path: str, content: bytes) -> httpx.Response:
    return ask(box, "POST", path, headers=JSON, content=content)


@pytest.mark.parametrize(
    "record",
    [
        rb'{"id": "\ud800"}',
        rb'{"id": 1, "\udfff": 2}',
        b'{"id": 1e999}',
        b'{"id": -Infinity}',
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"id": 1, "a": ' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"id": 1, "a": ' + b'{"b":' * 990 + b"1" + b"}" * 990 + b"}",
        b'{"id": 1, "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_records_that_could_not_be_kept(box: Sandbox, dataset: str, record: bytes) -> None:
    at = f"/v1/datasets/{dataset}"
    assert refusal(post(box, f"{at}/data", b'{"records": [%s]}' % record)) == (400, "invalid_json")
    assert post(box, f"{at}/data", b'{"records": [{"id": 1}]}').status_code == 200
    assert box.rows(dataset) == [{"id": 1}]


def test_odd_texts_are_kept(box: Sandbox, dataset: str) -> None:
    record = {"id": "\0 é 😀 \u2028", "": "'; drop table rows --", "ключ": "x" * 10_000}
    at = f"/v1/datasets/{dataset}/data"
    for content in (json.dumps({"records": [record]}), json.dumps({"records": [record]}, ensure_ascii=False)):
        assert post(box, at, content.encode()).status_code == 200
    assert box.rows(dataset) == [record]


@pytest.mark.parametrize("number", [10**30, 2**63, -(2**63) - 1, 1.0, True, "1", [1]])
def test_numbers_that_are_no_ids(box: Sandbox, number: object) -> None:
    asked = json.dumps({"title": "D", "dataSourceId": number, "accountId": number}).encode()
    assert refusal(post(box, "/v1/datasets", asked)) == (400, "invalid_field_value")
    assert refusal(post(box, "/v1/data-sources", asked)) == (400, "invalid_field_value")


@pytest.mark.parametrize("zone", ["", ".", "Europe", "localtime", "../UTC", "/etc/hosts", "a\0b", "x" * 5000, 1, []])
def test_time_zones_that_are_none(box: Sandbox, zone: object) -> None:
    asked = json.dumps({"title": "S", "timezone": zone}).encode()
    assert refusal(post(box, "/v1/data-sources", asked)) == (400, "invalid_field_value")


def test_the_key_is_looked_at_first(box: Sandbox) -> None:
    for content in (b"{", b" " * 2_000_000, b"[]"):
        answer = ask(box, "POST", "/v1/data-sources", headers=JSON | {"x-api-key": "wrong"}, content=content)
        assert refusal(answer) == (401, "invalid_api_key")


def test_a_method_that_is_wrong_is_told_the_right_ones(box: Sandbox) -> None:
    answer = ask(box, "PATCH", "/v1/datasets/x")
    assert (refusal(answer), answer.headers["allow"]) == ((405, "method_not_allowed"), "DELETE")
    assert ask(box, "HEAD", "/v1/accounts").status_code == 405


@pytest.mark.parametrize("path", ["/v1/accounts%0A", "/v1/accounts/", "/v1//accounts", "/V1/accounts", "/v1/%ff%00"])
def test_paths_that_are_none(box: Sandbox, path: str) -> None:
    assert refusal(get(box, path)) == (404, "not_found")


def test_ids_that_are_none(box: Sandbox) -> None:
    for odd in ("%27%20or%201=1", "%00", "%ff", "..%5c", "x" * 5000, "%E2%80%A8"):
        assert refusal(get(box, f"/v1/datasets/{odd}/ingestions")) == (404, "not_found")
        assert refusal(get(box, f"/v1/data-sources/{odd}/datasets")) == (400, "invalid_field_value")
        assert refusal(get(box, f"/v1/accounts/{odd}/data-sources")) == (400, "invalid_field_value")


def spoken(box: Sandbox, *parts: bytes) -> bytes:
    """Send bytes as they are; return what comes back until the connection is closed."""
    answer = b""
    with closing(socket.create_connection(("127.0.0.1", int(box.url.rpartition(":")[2])), timeout=60)) as raw:
        for part in parts:
            raw.sendall(part)
        while received := raw.recv(65536):
            answer += received
    return answer


HEAD = (
    b"POST /v1/data-sources HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nX-Api-Key: "
)


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: -5\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"Content-Length: five\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: gzip\r\n\r\n",
        b"A b: c\r\n\r\n",
    ],
)
def test_requests_that_are_no_http(box: Sandbox, headers: bytes) -> None:
    assert spoken(box, HEAD, box.api_key.encode(), b"\r\n", headers).startswith(b"HTTP/1.1 400 ")
    assert get(box).status_code == 200


def test_a_length_beyond_all_bounds_is_not_waited_for(box: Sandbox) -> None:
    answer = spoken(box, HEAD, box.api_key.encode(), b"\r\nContent-Length: 99999999999999999999\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"request_too_large"' in answer


def test_a_body_that_does_not_arrive_is_given_up(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "_BODY_TIMEOUT", 0.1)
    answer = spoken(box, HEAD, box.api_key.encode(), b'\r\nContent-Length: 15\r\n\r\n{"title": "S"')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert box.requests[0].body == b'{"title": "S"'
    assert sources(box) == 0


def test_a_body_in_pieces_is_one(box: Sandbox) -> None:
    pieces = (b"\r\nTransfer-Encoding: chunked\r\n\r\n", b'9\r\n{"title":\r\n', b'4\r\n"S"}\r\n0\r\n\r\n')
    assert spoken(box, HEAD, box.api_key.encode(), *pieces).startswith(b"HTTP/1.1 200 ")
    assert box.requests[0].json == {"title": "S"}


def test_a_client_that_hangs_up_half_way_has_done_nothing(box: Sandbox) -> None:
    with closing(socket.create_connection(("127.0.0.1", int(box.url.rpartition(":")[2])), timeout=60)) as raw:
        raw.sendall(HEAD + box.api_key.encode() + b'\r\nContent-Length: 15\r\n\r\n{"title": "S"')
    assert sources(box) == 0


def test_a_wish_for_websockets_is_ignored(box: Sandbox) -> None:
    headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    assert get(box, headers=headers).status_code == 200
