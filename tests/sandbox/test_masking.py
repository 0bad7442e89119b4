"""The sandbox records no key of a request, wherever it is: someone may send a real one in the wrong place."""

import base64
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from databox.sandbox import Sandbox

REAL = "pak_Real-key_0123456789"
OTHER = "an-older/kind+of=key"


def kept(box: Sandbox) -> list[str]:
    """What can be seen of the requests: by a program, over HTTP, and on the page."""
    listed = httpx.get(f"{box.url}/_sandbox/requests").text
    return [repr(box.requests), listed, *(request.body.decode("latin-1") for request in box.requests)]


def forms(key: str) -> list[str]:
    return [key, quote(key, safe=""), json.dumps(key)[1:-1]]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["OWN", REAL])
@pytest.mark.parametrize(
    "request_",
    [
        {"headers": {"x-api-key": "KEY"}},
        {"headers": {"Authorization": "Bearer KEY"}},
        {"headers": {"Authorization": "KEY"}},
        {"headers": {"Proxy-Authorization": "Basic KEY"}},
        {"headers": {"Cookie": "a=1; session=KEY"}},
        {"headers": {"X-Forwarded-Uri": "/v1/accounts?x=KEY"}},
        {"headers": {"Referer": "https://example.org/KEY"}},
        {"params": {"api_key": "KEY"}},
        {"params": {"q": "KEY"}},
        {"params": {"KEY": "1"}},
        {"json": {"apiKey": "KEY"}},
        {"json": {"title": "my KEY", "more": [{"KEY": 1}]}},
        {"data": {"key": "KEY"}},
        {"content": b"\xff\x00 KEY"},
    ],
)
def test_a_key_in_the_wrong_place(box: Sandbox, key: str, request_: dict[str, Any]) -> None:
    key = box.api_key if key == "OWN" else key
    sent = eval(repr(request_).replace("KEY", key))
    httpx.post(f"{box.url}/v1/datasets", **sent)
    httpx.post(f"{box.url}/v1/datasets/{quote(key)}/data", **sent)
    assert len(box.requests) == 2
    for text in kept(box):
        assert key not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": OTHER},
        {"Authorization": f"Bearer {OTHER}"},
        {"Cookie": f"session={OTHER}"},
        {"X-Auth-Token": OTHER},
    ],
)
def test_what_a_request_presents_as_a_key_is_one_everywhere(box: Sandbox, headers: dict[str, str]) -> None:
    httpx.post(f"{box.url}/v1/datasets", headers=headers, params={"q": OTHER}, json={"title": OTHER})
    for text in kept(box):
        for form in forms(OTHER):
            assert form not in text


def test_basic_credentials(box: Sandbox) -> None:
    httpx.get(f"{box.url}/v1/accounts", auth=(REAL, ""))
    assert base64.b64encode(f"{REAL}:".encode()).decode() not in repr(box.requests)


def test_all_else_is_kept_as_it_came(box: Sandbox) -> None:
    body = json.dumps({"title": "keys and tokens", "primaryKeys": ["key"], "author": "pak", "x": "***"}).encode()
    headers = {"x-api-key": "short", "content-type": "application/json", "idempotency-key": "abc-123456789"}
    httpx.post(f"{box.url}/v1/datasets", headers=headers, params={"page": "short", "author": "me"}, content=body)
    (request,) = box.requests
    assert (request.body, request.path) == (body, "/v1/datasets")
    assert request.query == {"page": "short", "author": "me"}
    assert request.headers["idempotency-key"] == "abc-123456789"
    assert request.headers["x-api-key"] == "***"


def test_the_repr_of_a_sandbox_whose_making_failed() -> None:
    box = Sandbox.__new__(Sandbox)
    with pytest.raises(ValueError, match="real one"):
        box.__init__(api_key=REAL)  # type: ignore[misc]
    assert repr(box) == "<Sandbox, not initialised>"
