"""Requests that many tests of the sandbox send, with a client that is independent of the library."""

from typing import Any

import httpx

from databox.sandbox import Sandbox


def client(box: Sandbox, **headers: str) -> httpx.Client:
    # Without `verify` a client reads no certificates, which takes longer than most tests.
    return httpx.Client(base_url=box.url, headers={"x-api-key": box.api_key} | headers, timeout=60, verify=False)


def ask(box: Sandbox, method: str, path: str, *, headers: dict[str, str] | None = None, **sent: Any) -> httpx.Response:
    """Send one request over a connection of its own, with the key unless the headers say otherwise."""
    with client(box) as http:
        return http.request(method, path, headers=headers, **sent)


def get(box: Sandbox, path: str = "/v1/accounts", **sent: Any) -> httpx.Response:
    return ask(box, "GET", path, **sent)


def create(box: Sandbox) -> httpx.Response:
    return ask(box, "POST", "/v1/data-sources", json={"title": "S"})


def dataset_in(box: Sandbox, *primary_keys: str) -> str:
    """Return the id of a new dataset in a new data source."""
    body = {"title": "D", "dataSourceId": create(box).json()["id"], "primaryKeys": list(primary_keys)}
    made: str = ask(box, "POST", "/v1/datasets", json=body).json()["id"]
    return made


def sources(box: Sandbox) -> int:
    return len(get(box, "/v1/accounts/123456/data-sources").json()["dataSources"])


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return an error envelope's status and code; it must be one."""
    body = answer.json()
    assert body["status"] == "error"
    assert body["requestId"]
    assert set(body["errors"][0]) <= {"code", "message", "field", "type"}
    return answer.status_code, body["errors"][0]["code"]
