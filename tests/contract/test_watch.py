"""The watch over the facade's requests notices what is wrong with one, whichever server it is sent to."""

import copy
from typing import Any

import httpx
import pytest

from databox.sandbox import Sandbox
from tests.contract.watch import WATCH
from tests.drive import Driver
from tests.reference import REFERENCE
from tests.scripted import ScriptedServer
from tools.contract.description import Description, contradictions

KNOWN = Description.of(REFERENCE)
AS_THE_FACADE = {"user-agent": "databox-sdk/0", "x-api-key": "a-key"}


def send(url: str, method: str, path: str, headers: dict[str, str | None] | None = None, **sent: Any) -> list[str]:
    """Send something in the facade's name; return what the watch says."""
    given = {name: value for name, value in (AS_THE_FACADE | (headers or {})).items() if value is not None}
    with httpx.Client(base_url=url, headers=given, verify=False) as http:
        http.request(method, path, **sent)
    return WATCH.problems(KNOWN)


@pytest.mark.parametrize(
    ("method", "path", "sent", "problem"),
    [
        ("GET", "/v1/account", {}, "GET /v1/account is not described"),
        ("PUT", "/v1/datasets", {}, "PUT /v1/datasets is not described"),
        ("POST", "/v1/datasets", {"json": {"title": "t"}}, "'dataSourceId' is a required property"),
        ("POST", "/v1/datasets", {"json": {"title": "t", "dataSourceId": "1"}}, "dataSourceId: '1' is not of type"),
        ("POST", "/v1/datasets", {"json": {"title": "t", "dataSourceId": 1, "name": "n"}}, "name is not described"),
        ("POST", "/v1/datasets", {"content": b"{}"}, "the content type is missing"),
        ("POST", "/v1/datasets", {}, "the body is missing"),
        ("POST", "/v1/datasets/d/data", {"json": {"records": [{}] * 101}}, "is too long"),
        ("POST", "/v1/datasets/d/data", {"json": []}, "is not of type 'object'"),
        ("POST", "/v1/datasets/d/purge", {"json": {}}, "a body is sent where none is described"),
        ("DELETE", "/v1/data-sources/x", {}, "the path parameter dataSourceId: 'x' is not of type 'integer'"),
        ("GET", "/v1/datasets/d/ingestions?page=one", {}, "the query parameter page: 'one' is not of type 'integer'"),
        ("GET", "/v1/datasets/d/ingestions?size=1", {}, "the query parameter size is not described"),
        ("GET", "/v1/accounts", {"headers": {"x-api-key": None}}, "the header x-api-key is missing"),
    ],
)
def test_what_is_wrong_is_named(
    box: Sandbox, server: ScriptedServer, method: str, path: str, sent: dict[str, Any], problem: str
) -> None:
    for url in (box.url, server.url):
        (found,) = send(url, method, path, **sent)
        assert problem in found
        assert method in found


def test_what_is_right_is_not(box: Sandbox) -> None:
    assert send(box.url, "GET", "/v1/accounts") == []
    assert send(box.url, "POST", "/v1/datasets/d/data", json={"records": [{"a": {"b": [1]}}]}) == []
    assert send(box.url, "GET", "/v1/datasets/d/ingestions?page=2&pageSize=5") == []


def test_nothing_is_forgotten_with_the_server() -> None:
    with Sandbox() as box, httpx.Client(base_url=box.url, headers=AS_THE_FACADE, verify=False) as http:
        http.get("/v1/one")
        box.reset()
        http.get("/v1/two")
    assert [problem.split()[1] for problem in WATCH.problems(KNOWN)] == ["/v1/one", "/v1/two"]


def test_a_description_that_is_merely_narrow_fails_no_test(box: Sandbox) -> None:
    narrow = copy.deepcopy(REFERENCE)
    schemas = narrow["components"]["schemas"]
    schemas["CreateDataSourceRequest"]["properties"]["timezone"] = {"type": "string", "enum": ["UTC"]}
    narrow["components"]["parameters"]["DatasetId"]["schema"] |= {"minLength": 36, "pattern": "^[0-9a-f-]+$"}
    judge = Description.of(narrow)
    asked = [
        ("POST", "/v1/data-sources", b'{"title": "t", "timezone": "Europe/Berlin"}'),
        ("DELETE", "/v1/datasets/zz", b""),
    ]
    for method, path, body in asked:
        headers = {"x-api-key": "a-key", "content-type": "application/json"}
        found = judge.request_problems(method, path, headers=headers, body=body)
        assert found
        assert contradictions(found) == []


def test_others_may_send_what_they_like(box: Sandbox) -> None:
    assert send(box.url, "GET", "/v1/one", headers={"user-agent": "curl/8"}) == []


def test_the_facade_is_seen_whatever_it_does(driver: Driver, box: Sandbox) -> None:
    driver.client(box.api_key, box.url).accounts.list()
    with pytest.raises(Exception, match="404"):
        driver.client(box.api_key, box.url).request("GET", "/v1/not/described")
    assert [request.path for request in box.requests] == ["/v1/accounts", "/v1/not/described"]
    assert WATCH.problems() == []  # the second was asked for by hand
