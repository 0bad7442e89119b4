"""Administration over HTTP, compared with its description."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

import databox.sandbox
from databox.sandbox import Fault, Sandbox
from tests.sandbox.http import ask, dataset_in, get

DESCRIPTION: dict[str, Any] = json.loads(
    Path(databox.sandbox.__file__).with_name("admin.openapi.json").read_text(encoding="utf-8")
)


class Admin:
    """Sends requests under `/_sandbox` and holds each answer against the description."""

    def __init__(self, box: Sandbox) -> None:
        self.http = httpx.Client(base_url=f"{box.url}/_sandbox", timeout=60, verify=False)

    def __call__(self, method: str, path: str, expected: int = 200, **sent: Any) -> Any:
        answer = self.http.request(method, path, **sent)
        assert answer.status_code == expected, answer.text
        template = next(known for known in DESCRIPTION["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/]+", known), path))
        response = DESCRIPTION["paths"][template][method.lower()]["responses"][str(expected)]
        schema = resolved(resolved(response)["content"]["application/json"]["schema"])
        OAS31Validator(schema | {"components": DESCRIPTION["components"]}).validate(answer.json())
        return answer.json()


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    found: Any = node
    if "$ref" in node:
        found = DESCRIPTION
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
    return found  # type: ignore[no-any-return]


@pytest.fixture
def admin(box: Sandbox) -> Iterator[Admin]:
    admin = Admin(box)
    yield admin
    admin.http.close()


def test_the_description_is_one_and_is_served(admin: Admin) -> None:
    validate(DESCRIPTION)
    assert admin.http.get("/openapi.json").json() == DESCRIPTION


def test_a_test_in_any_language(admin: Admin, box: Sandbox) -> None:
    """Reset, seed a world, let something fail, send, look, in one go."""
    dataset_in(box)
    admin("POST", "/reset")
    assert admin("GET", "/state")["dataSources"] == []
    world = {"dataSources": [{"title": "S", "datasets": [{"id": "d-1", "title": "D", "rows": [{"n": 1}]}]}]}
    admin("PUT", "/state", json=world)
    admin("POST", "/faults", 201, json={"operation": "create_ingestion", "status": 503, "times": 1})
    assert admin("GET", "/faults")["faults"][0]["struck"] == 0
    statuses = [ask(box, "POST", "/v1/datasets/d-1/data", json={"records": [{"n": n}]}).status_code for n in (2, 3)]
    assert statuses == [503, 200]
    assert admin("GET", "/faults")["faults"] == []
    found = admin("GET", "/rows/d-1", params={"offset": 1, "limit": 5})
    assert found["rows"] == [{"n": 3}]
    assert found["dataset"]["columns"] == {"n": "number"}
    requests = admin("GET", "/requests")["requests"]
    assert [request["status"] for request in requests] == [503, 200]
    assert requests[1]["body"] == {"records": [{"n": 3}]}
    assert box.api_key not in json.dumps(requests)
    later = admin("GET", "/requests", params={"after": requests[0]["number"], "bodies": "false"})["requests"]
    assert [request["number"] for request in later] == [requests[1]["number"]]
    admin("DELETE", "/requests")
    assert admin("GET", "/requests")["requests"] == []
    overview = admin("GET", "/overview")
    assert overview["dataSources"][0]["datasets"][0]["rowCount"] == 2
    assert overview["ingestions"][0]["appended"] == 1


@pytest.mark.parametrize("every", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("offset", [0, 1, 20, 21])
def test_one_row_in_so_many(admin: Admin, box: Sandbox, every: int, offset: int) -> None:
    first, second = dataset_in(box), dataset_in(box)
    for n in range(20):
        for dataset in (first, second):
            ask(box, "POST", f"/v1/datasets/{dataset}/data", json={"records": [{"n": n}]})
    found = admin("GET", f"/rows/{second}", params={"every": every, "offset": offset, "limit": 5})["rows"]
    assert [row["n"] for row in found] == list(range(20))[offset::every][:5]


def test_the_newest_dataset_and_its_ingestions(admin: Admin, box: Sandbox) -> None:
    assert admin("GET", "/overview")["newest"] is None
    first, second = dataset_in(box), dataset_in(box)
    assert admin("GET", "/overview")["newest"] == second
    ask(box, "POST", f"/v1/datasets/{first}/data", json={"records": [{"n": 1}]})
    assert admin("GET", "/overview")["newest"] == first
    assert [each["datasetId"] for each in admin("GET", f"/ingestions/{first}")["ingestions"]] == [first]
    assert admin("GET", f"/ingestions/{second}") == {"ingestions": []}


def test_chances_can_be_repeated(admin: Admin, box: Sandbox) -> None:
    admin("POST", "/faults", 201, json={"operation": "*", "status": 500, "probability": 0.5})

    def drawn() -> list[int]:
        admin("PUT", "/seed", json={"seed": 7})
        return [get(box).status_code for _ in range(12)]

    first = drawn()
    assert drawn() == first
    assert set(first) == {200, 500}
    admin("DELETE", "/faults")
    assert get(box).status_code == 200


def test_a_refusal_of_a_value(admin: Admin, box: Sandbox) -> None:
    dataset = dataset_in(box)
    pair = {"column": "n", "value": "n/a"}
    admin("POST", "/faults", 201, json={"operation": "create_ingestion", "when": pair, "status": 422})
    assert admin("GET", "/faults")["faults"][0]["when"] == pair
    statuses = [ask(box, "POST", f"/v1/datasets/{dataset}/data", json={"records": [{"n": n}]}) for n in (1, "n/a")]
    assert [answer.status_code for answer in statuses] == [200, 422]
    box.inject(Fault("list", when=lambda record: True))
    assert admin("GET", "/faults")["faults"][1]["when"] == "a function"


def test_time_and_processing() -> None:
    with Sandbox(processing_delay=100) as box:
        admin = Admin(box)
        dataset = dataset_in(box)
        for advance in (101, 0):
            ask(box, "POST", f"/v1/datasets/{dataset}/data", json={"records": [{"n": 1}]})
            admin("POST", "/clock", json={"advance": advance})
        assert len(admin("GET", f"/rows/{dataset}")["rows"]) == 1
        assert admin("GET", "/overview")["ingestions"][0]["status"] == "processing"
        assert admin("POST", "/process") == {"processed": 1}
        assert admin("GET", "/clock")["now"] > "2025"
        admin.http.close()


WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("PUT", "/seed", {"json": {}}, "'seed' must be a whole number"),
    ("PUT", "/state", {"json": {"dataSources": [{}]}}, "title is missing"),
    ("PUT", "/state", {"json": []}, "must be a JSON object"),
    ("PUT", "/state", {"content": b"{", "headers": {"content-type": "application/json"}}, "not valid JSON"),
    ("PUT", "/state", {"data": {"a": "b"}}, "must be application/json"),
    ("POST", "/faults", {"json": {"operation": "nothing"}}, "There is no operation 'nothing'"),
    ("POST", "/faults", {"json": {"status": 500}}, "'operation' is missing"),
    ("POST", "/faults", {"json": {"operation": "*", "color": "red"}}, "Unknown field 'color'"),
    ("POST", "/faults", {"json": {"operation": "*", "status": "500"}}, ""),
    ("POST", "/faults", {"json": {"operation": "*", "when": {"column": 1}}}, "Fault.when must be"),
    ("POST", "/clock", {"json": {"advance": -1}}, "clock can be advanced"),
    ("POST", "/clock", {"json": {"advance": "1"}}, "must be a number of seconds"),
    ("GET", "/requests", {"params": {"after": "x"}}, "'after' must be a whole number"),
    ("GET", "/rows/d", {"params": {"limit": "-1"}}, "'limit' must be a whole number"),
    ("GET", "/rows/d", {"params": {"every": "0"}}, "'every' must be 1 or more"),
]


@pytest.mark.parametrize(("method", "path", "sent", "says"), WRONG)
def test_what_is_wrong_is_said(admin: Admin, method: str, path: str, sent: dict[str, Any], says: str) -> None:
    assert says in admin(method, path, 400, **sent)["error"]


def test_what_is_not_there(admin: Admin) -> None:
    assert "no such dataset" in admin("GET", "/rows/nothing", 404)["error"]
    assert admin.http.get("/nothing").status_code == 404
    assert admin.http.get("/reset").status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:80"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
def test_no_other_site_gets_at_it(admin: Admin, box: Sandbox, headers: dict[str, str]) -> None:
    dataset_in(box)
    for method, path in (("POST", "/reset"), ("GET", "/state"), ("GET", "/overview")):
        admin(method, path, 403, headers=headers)
    assert admin.http.get("/", headers=headers).status_code == 403
    assert box.export_state()["dataSources"]


def test_the_same_site_does(admin: Admin, box: Sandbox) -> None:
    admin("POST", "/process", headers={"origin": box.url})


def test_a_fault_that_answers_bytes_is_shown(admin: Admin, box: Sandbox) -> None:
    box.inject(Fault("list", body=b"\xff<html>"))
    assert admin("GET", "/faults")["faults"][0]["body"].endswith("<html>")


def test_pages_are_kept_from_everything_else(admin: Admin) -> None:
    for path, kind in (("/", "text/html"), ("/app.js", "javascript"), ("/style.css", "text/css")):
        answer = admin.http.get(path)
        assert kind in answer.headers["content-type"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"https?://(?!www\.w3\.org)", answer.text)


EVERYTHING: list[tuple[str, str, int, dict[str, Any]]] = [
    ("PUT", "/state", 200, {"json": {"dataSources": [{"title": "S", "datasets": [{"id": "d", "title": "D"}]}]}}),
    ("GET", "/state", 200, {}),
    ("PUT", "/state", 400, {"json": {"dataSources": 1}}),
    ("GET", "/overview", 200, {}),
    ("GET", "/rows/d", 200, {}),
    ("GET", "/rows/d", 400, {"params": {"offset": "x"}}),
    ("GET", "/rows/none", 404, {}),
    ("GET", "/ingestions/d", 200, {}),
    ("GET", "/ingestions/none", 404, {}),
    ("POST", "/process", 200, {}),
    ("GET", "/requests", 200, {}),
    ("GET", "/requests", 400, {"params": {"limit": "x"}}),
    ("DELETE", "/requests", 200, {}),
    ("POST", "/faults", 201, {"json": {"operation": "*", "drop": "after", "headers": {"a": "b"}, "body": {"x": 1}}}),
    ("POST", "/faults", 400, {"json": {"operation": "*", "probability": 2}}),
    ("GET", "/faults", 200, {}),
    ("DELETE", "/faults", 200, {}),
    ("GET", "/clock", 200, {}),
    ("POST", "/clock", 200, {"json": {"advance": 0.5}}),
    ("POST", "/clock", 400, {"json": {"advance": 1e10}}),
    ("PUT", "/seed", 200, {"json": {"seed": 0}}),
    ("PUT", "/seed", 400, {"json": {"seed": True}}),
    ("POST", "/reset", 200, {}),
]


def test_every_answer_that_is_described_is_given(admin: Admin) -> None:
    for method, path, status, sent in EVERYTHING:
        admin(method, path, status, **sent)
        admin(method, path, 403, **(sent | {"headers": {"origin": "https://evil.example"}}))
    described = {
        (path, method.upper(), status)
        for path, methods in DESCRIPTION["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
    }
    given = {
        (re.sub("/(rows|ingestions)/.*", r"/\1/{dataset}", path), method, str(status))
        for method, path, status, _ in EVERYTHING
    }
    assert described == given | {(path, method, "403") for path, method, _ in given}
