"""The sandbox over plain HTTP: what each operation answers, and what it refuses."""

import json
import math
import re
import socket
import uuid
import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from databox.sandbox import Sandbox
from tests.sandbox.http import client, dataset_in
from tests.sandbox.http import refusal as code


@pytest.fixture
def http(box: Sandbox) -> Iterator[httpx.Client]:
    with client(box) as http:
        yield http


@pytest.fixture
def dataset(box: Sandbox) -> str:
    return dataset_in(box, "id")


def test_accounts(http: httpx.Client) -> None:
    body = http.get("/v1/accounts").json()
    assert body["accounts"][0] == {"id": 123456, "name": "Acme Corp", "accountType": "organization"}
    assert body["status"] == "success"
    zones = http.get("/v1/accounts/timezones").json()["timezones"]
    assert {"offset": "UTC+1", "timezone": "Europe/Berlin"} in zones
    assert http.get("/v1/auth/validate-key").json().keys() == {"requestId", "status"}


def test_data_sources(http: httpx.Client) -> None:
    made = http.post("/v1/data-sources", json={"title": "S", "accountId": 123457, "timezone": "Europe/Berlin"}).json()
    assert made["status"] == "processing"
    listed = http.get("/v1/accounts/123457/data-sources").json()["dataSources"]
    assert listed == [{name: made[name] for name in made if name not in {"requestId", "status"}}]
    assert listed[0]["key"] == "ingestion"
    assert http.get("/v1/accounts/123456/data-sources").json()["dataSources"] == []
    assert http.delete(f"/v1/data-sources/{made['id']}").json()["message"] == "Data source deleted successfully"
    assert code(http.delete(f"/v1/data-sources/{made['id']}")) == (404, "not_found")


def test_deleting_cascades(http: httpx.Client, box: Sandbox, dataset: str) -> None:
    http.post(f"/v1/datasets/{dataset}/data", json={"records": [{"id": 1}]})
    (source,) = http.get("/v1/accounts/123456/data-sources").json()["dataSources"]
    http.delete(f"/v1/data-sources/{source['id']}")
    assert code(http.get(f"/v1/datasets/{dataset}/ingestions")) == (404, "not_found")
    other = http.post("/v1/data-sources", json={"title": "S"}).json()["id"]
    assert http.get(f"/v1/data-sources/{other}/datasets").json()["datasets"] == []


def test_purging_keeps_the_dataset_and_its_ingestions(http: httpx.Client, box: Sandbox, dataset: str) -> None:
    http.post(f"/v1/datasets/{dataset}/data", json={"records": [{"id": 1}]})
    assert "message" in http.post(f"/v1/datasets/{dataset}/purge").json()
    assert box.rows(dataset) == []
    assert http.get(f"/v1/datasets/{dataset}/ingestions").json()["pagination"]["totalItems"] == 1
    again = http.post(f"/v1/datasets/{dataset}/data", json={"records": [{"id": 1}]}).json()["ingestionId"]
    metrics = http.get(f"/v1/datasets/{dataset}/ingestions/{again}").json()["metrics"]
    assert metrics["ingestionMetrics"]["appendedRecordsCount"] == 1
    assert metrics["datasetMetrics"]["totalDatasetRecordsCount"] == 1
    assert code(http.get(f"/v1/datasets/{dataset}/ingestions/{again[:-1]}")) == (404, "not_found")


def test_single_rows_are_rejected_with_a_reason(http: httpx.Client, box: Sandbox, dataset: str) -> None:
    records = [{"id": 1, "a": 1}, {"a": 2}, {"id": None}, {"id": 3, "a": {"b": 1}}, {"id": 1, "a": 4}, {}]
    made = http.post(f"/v1/datasets/{dataset}/data", json={"records": records}).json()["ingestionId"]
    body = http.get(f"/v1/datasets/{dataset}/ingestions/{made}").json()
    assert body["metrics"]["ingestionMetrics"] == {
        "receivedRecordsCount": 6,
        "appendedRecordsCount": 1,
        "overwrittenRecordsCount": 1,
        "rejectedRecordsCount": 4,
    }
    assert [error["field"] for error in body["errors"]] == ["records[1]", "records[2]", "records[3]", "records[5]"]
    assert box.rows(dataset) == [{"id": 1, "a": 4}]


def test_processing_takes_its_time() -> None:
    with Sandbox(processing_delay=60) as box, client(box) as http:
        at = f"/v1/datasets/{dataset_in(box)}"
        dataset = at.rpartition("/")[2]
        made = http.post(f"{at}/data", json={"records": [{"a": 1}]}).json()["ingestionId"]
        early = http.get(f"{at}/ingestions/{made}").json()
        assert (early["status"], early["metrics"], box.rows(dataset)) == ("processing", None, [])
        (listed,) = http.get(f"{at}/ingestions").json()["ingestions"]
        assert listed == {name: early[name] for name in ("ingestionId", "timestamp", "status")}
        box.advance(60)
        (listed,) = http.get(f"{at}/ingestions").json()["ingestions"]
        assert (listed["status"], box.rows(dataset)) == ("success", [{"a": 1}])


def test_processing_keeps_the_order_of_acceptance() -> None:
    with Sandbox(processing_delay=60) as box, client(box) as http:
        at = f"/v1/datasets/{dataset_in(box, 'id')}"
        made = [http.post(f"{at}/data", json={"records": [{"id": 1, "n": n}]}).json()["ingestionId"] for n in range(5)]
        box.advance(60)
        assert box.rows(at.rpartition("/")[2]) == [{"id": 1, "n": 4}]
        metrics = [http.get(f"{at}/ingestions/{each}").json()["metrics"]["ingestionMetrics"] for each in made]
        assert [each["overwrittenRecordsCount"] for each in metrics] == [0, 1, 1, 1, 1]


def test_what_never_is_processed_stays_so() -> None:
    with Sandbox(processing_delay=math.inf) as box, client(box) as http:
        at = f"/v1/datasets/{dataset_in(box)}"
        made = http.post(f"{at}/data", json={"records": [{"a": 1}]}).json()["ingestionId"]
        assert http.get(f"{at}/ingestions/{made}").json()["status"] == "processing"


def test_the_time_zones_are_some_dozens_and_all_taken(http: httpx.Client) -> None:
    zones = http.get("/v1/accounts/timezones").json()["timezones"]
    assert 36 <= len({zone["timezone"] for zone in zones}) == len(zones)
    for zone in zones:
        assert zone["timezone"] in zoneinfo.available_timezones()
        january = datetime(2025, 1, 1, tzinfo=zoneinfo.ZoneInfo(zone["timezone"]))
        july = january.replace(month=7)
        hours, _, minutes = zone["offset"].removeprefix("UTC").partition(":")
        assert timedelta(hours=int(hours), minutes=int(minutes or 0)) in {january.utcoffset(), july.utcoffset()}
    assert http.post("/v1/data-sources", json={"title": "", "timezone": "Asia/Kathmandu"}).status_code == 200


def test_no_id_comes_twice(http: httpx.Client, box: Sandbox) -> None:
    first = http.post("/v1/data-sources", json={"title": "S"}).json()["id"]
    http.delete(f"/v1/data-sources/{first}")
    assert http.post("/v1/data-sources", json={"title": "S"}).json()["id"] > first
    box.reset()
    assert http.post("/v1/data-sources", json={"title": "S"}).json()["id"] == first == 4754489


def test_fields_that_are_not_known_are_ignored(http: httpx.Client, box: Sandbox) -> None:
    source = http.post("/v1/data-sources", json={"title": "S", "key": "mine", "x": {}}).json()
    fields = "requestId status id title created timezone key ingestionSupported"
    assert set(source) == set(fields.split())
    assert (source["key"], source["ingestionSupported"], source["timezone"]) == ("ingestion", True, "UTC")
    asked = {"title": "D", "dataSourceId": source["id"], "primaryKeys": None, "schema": [{"name": "a"}]}
    dataset = http.post("/v1/datasets", json=asked).json()
    assert set(dataset) == {"requestId", "status", "id", "title", "created"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", dataset["created"])
    taken = http.post(f"/v1/datasets/{dataset['id']}/data", json={"records": [{"a": 1}], "data": 5}).json()
    assert (taken["status"], taken["message"]) == ("success", "Data ingestion request accepted")
    for identifier in (dataset["id"], taken["ingestionId"], taken["requestId"]):
        assert str(uuid.UUID(identifier)) == identifier


def test_pages(http: httpx.Client, dataset: str) -> None:
    at = f"/v1/datasets/{dataset}"
    made = [http.post(f"{at}/data", json={"records": [{"id": n}]}).json()["ingestionId"] for n in range(5)]
    body = http.get(f"{at}/ingestions", params={"page": 2, "pageSize": 2}).json()
    assert body["pagination"] == {"page": 2, "pageSize": 2, "totalItems": 5}
    assert [item["ingestionId"] for item in body["ingestions"]] == made[2:4]
    assert http.get(f"{at}/ingestions", params={"page": 9}).json()["ingestions"] == []
    for query in ({"page": 0}, {"page": "x"}, {"pageSize": 0}, {"pageSize": 1001}, {"page": "9" * 30}):
        assert code(http.get(f"{at}/ingestions", params=query)) == (400, "invalid_field_value")


REFUSALS: list[tuple[str, str, Any, tuple[int, str]]] = [
    ("GET", "/v1/accounts/abc/data-sources", None, (400, "invalid_field_value")),
    ("GET", "/v1/accounts/7/data-sources", None, (404, "not_found")),
    ("GET", "/v1/data-sources/9/datasets", None, (404, "not_found")),
    ("DELETE", "/v1/data-sources/-1", None, (400, "invalid_field_value")),
    ("DELETE", "/v1/datasets/none", None, (404, "not_found")),
    ("POST", "/v1/datasets/none/purge", None, (404, "not_found")),
    ("GET", "/v1/datasets/none/ingestions/none", None, (404, "not_found")),
    ("POST", "/v1/data-sources", {}, (400, "missing_required_field")),
    ("POST", "/v1/data-sources", {"title": 5}, (400, "invalid_field_value")),
    ("POST", "/v1/data-sources", {"title": "S", "accountId": "1"}, (400, "invalid_field_value")),
    ("POST", "/v1/data-sources", {"title": "S", "accountId": 1}, (404, "not_found")),
    ("POST", "/v1/data-sources", {"title": "S", "timezone": "Mars/Base"}, (400, "invalid_field_value")),
    ("POST", "/v1/data-sources", {"title": "S", "timezone": "../etc/passwd"}, (400, "invalid_field_value")),
    ("POST", "/v1/datasets", {"title": "D"}, (400, "missing_required_field")),
    ("POST", "/v1/datasets", {"title": "D", "dataSourceId": 1}, (404, "not_found")),
    ("POST", "/v1/datasets", {"title": "D", "dataSourceId": 1, "primaryKeys": "a"}, (400, "invalid_field_value")),
    ("POST", "/v1/datasets/none/data", {"records": [{"a": 1}]}, (404, "not_found")),
    ("POST", "/v1/datasets/none/data", [{"a": 1}], (400, "invalid_input")),
    ("POST", "/v1/datasets/none/data", {"data": []}, (400, "missing_required_field")),
    ("POST", "/v1/datasets/none/data", {"records": []}, (400, "invalid_field_value")),
    ("POST", "/v1/datasets/none/data", {"records": [{}] * 101}, (400, "invalid_field_value")),
    ("POST", "/v1/datasets/none/data", {"records": [1]}, (400, "schema_mismatch")),
    ("POST", "/v1/datasets/none/data", {"records": {"a": 1}}, (400, "schema_mismatch")),
    ("GET", "/v1/nothing", None, (404, "not_found")),
    ("GET", "/", None, (404, "not_found")),
    ("PUT", "/v1/accounts", None, (405, "method_not_allowed")),
    ("GET", "/v1/datasets/x/purge", None, (405, "method_not_allowed")),
]


@pytest.mark.parametrize(("method", "path", "body", "refusal"), REFUSALS)
def test_refusals(http: httpx.Client, method: str, path: str, body: Any, refusal: tuple[int, str]) -> None:
    assert code(http.request(method, path, json=body)) == refusal


@pytest.mark.parametrize(
    ("content", "kind", "refusal"),
    [
        (b"{", "application/json", (400, "invalid_json")),
        (b'{"title": NaN}', "application/json", (400, "invalid_json")),
        (b'{"title": "\xff"}', "application/json", (400, "invalid_json")),
        (b"[" * 50_000, "application/json", (400, "invalid_json")),
        (b"", "application/json", (400, "invalid_json")),
        (b"title=S", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        (b'{"title": "S"}', "text/plain", (415, "unsupported_media_type")),
        (b" " * 1_000_001, "application/json", (413, "request_too_large")),
        (b" " * 5_000_000, "application/json", (413, "request_too_large")),
    ],
)
def test_bodies_that_are_none(http: httpx.Client, content: bytes, kind: str, refusal: tuple[int, str]) -> None:
    assert code(http.post("/v1/data-sources", content=content, headers={"content-type": kind})) == refusal


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"authorization": "Bearer x"}])
def test_the_key_is_checked(box: Sandbox, headers: dict[str, str]) -> None:
    with httpx.Client(base_url=box.url, verify=False) as bare:
        for path in ("/v1/accounts", "/v1/auth/validate-key", "/v1/datasets/x/ingestions"):
            assert code(bare.get(path, headers=headers)) == (401, "invalid_api_key")


def test_numbers_keep_their_digits(http: httpx.Client, box: Sandbox, dataset: str) -> None:
    content = b'{"records": [{"id": 123456789012345678901234567890, "b": 0.1}]}'
    http.post(f"/v1/datasets/{dataset}/data", content=content, headers={"content-type": "application/json"})
    assert json.dumps(box.rows(dataset)) == '[{"id": 123456789012345678901234567890, "b": 0.1}]'


def test_garbage_on_the_wire_does_no_harm(box: Sandbox, http: httpx.Client) -> None:
    port = int(box.url.rpartition(":")[2])
    for garbage in (b"\x16\x03\x01\0\0", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b""):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
            raw.sendall(garbage)
    assert http.get("/v1/accounts").status_code == 200
