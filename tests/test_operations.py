"""The 13 operations in both clients: what goes over the wire, and what is returned."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from databox import (
    Account,
    Dataset,
    DatasetMetrics,
    DataSource,
    Ingestion,
    IngestionReceipt,
    IngestionSummary,
    InvalidResponseError,
    TimeZone,
)
from tests.drive import Driver
from tests.scripted import ScriptedServer, answer

OCTOBER = datetime(2025, 10, 1, 12, tzinfo=UTC)
CREATED = "2025-10-01T12:00:00.000000Z"
ENVELOPE = {"requestId": "b0eac937-c25c-47a5-bb7e-552f6b860458", "status": "success"}
SOURCE_JSON = {
    "id": 4754489,
    "title": "ERP System",
    "created": CREATED,
    "timezone": "UTC",
    "key": "ingestion",
    "ingestionSupported": True,
}
SOURCE = DataSource(
    id=4754489, title="ERP System", created=OCTOBER, timezone="UTC", key="ingestion", ingestion_supported=True
)
SET_ID = "4e1219d8-7fa8-44b7-96c6-a8f2a9cfb0bf"
SET_JSON = {"id": SET_ID, "title": "Transactions", "created": CREATED}
INGESTION_ID = "8bfba187-84f4-41e2-9dd3-bee4bb884205"
DONE = {"message": "Resource deleted successfully"}
EVERY_CASE = True


@attrs.frozen
class Case:
    """One call: what it sends, what the server answers, and what it returns."""

    group: str
    call: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    request: str
    body: Any
    answer: dict[str, Any]
    result: Any


CASES = [
    Case(
        "accounts",
        "list",
        (),
        {},
        "GET /v1/accounts",
        None,
        {"accounts": [{"id": 123456, "name": "Acme Corp", "accountType": "organization"}]},
        [Account(id=123456, name="Acme Corp", account_type="organization")],
    ),
    Case(
        "accounts",
        "list_data_sources",
        (123456,),
        {},
        "GET /v1/accounts/123456/data-sources",
        None,
        {"dataSources": [SOURCE_JSON]},
        [SOURCE],
    ),
    Case(
        "accounts",
        "list_timezones",
        (),
        {},
        "GET /v1/accounts/timezones",
        None,
        {"timezones": [{"offset": "UTC+1", "timezone": "Europe/Berlin"}]},
        [TimeZone(name="Europe/Berlin", offset="UTC+1")],
    ),
    Case("auth", "validate_key", (), {}, "GET /v1/auth/validate-key", None, {}, None),
    Case(
        "data_sources",
        "create",
        ("ERP System",),
        {"account_id": 123456, "timezone": "UTC"},
        "POST /v1/data-sources",
        {"title": "ERP System", "accountId": 123456, "timezone": "UTC"},
        {"status": "processing"} | SOURCE_JSON,
        SOURCE,
    ),
    Case(
        "data_sources",
        "create",
        ("ERP System",),
        {},
        "POST /v1/data-sources",
        {"title": "ERP System"},
        {"status": "processing"} | SOURCE_JSON,
        SOURCE,
    ),
    Case("data_sources", "delete", (4754489,), {}, "DELETE /v1/data-sources/4754489", None, DONE, None),
    Case("data_sources", "delete", (SOURCE,), {}, "DELETE /v1/data-sources/4754489", None, DONE, None),
    Case(
        "data_sources",
        "list_datasets",
        (SOURCE,),
        {},
        "GET /v1/data-sources/4754489/datasets",
        None,
        {"datasets": [SET_JSON]},
        [Dataset(id=SET_ID, title="Transactions", created=OCTOBER, data_source_id=4754489)],
    ),
    Case(
        "datasets",
        "create",
        ("Transactions",),
        {"data_source": SOURCE, "primary_keys": ["invoice_id"]},
        "POST /v1/datasets",
        {"title": "Transactions", "dataSourceId": 4754489, "primaryKeys": ["invoice_id"]},
        SET_JSON,
        Dataset(
            id=SET_ID,
            title="Transactions",
            created=OCTOBER,
            data_source_id=4754489,
            primary_keys=("invoice_id",),
        ),
    ),
    Case(
        "datasets",
        "create",
        ("Transactions",),
        {"data_source": 4754489},
        "POST /v1/datasets",
        {"title": "Transactions", "dataSourceId": 4754489},
        SET_JSON,
        Dataset(id=SET_ID, title="Transactions", created=OCTOBER, data_source_id=4754489, primary_keys=()),
    ),
    Case("datasets", "delete", (SET_ID,), {}, f"DELETE /v1/datasets/{SET_ID}", None, DONE, None),
    Case("datasets", "delete", (Dataset(id="a/b ü"),), {}, "DELETE /v1/datasets/a%2Fb%20%C3%BC", None, DONE, None),
    Case("datasets", "purge", (SET_ID,), {}, f"POST /v1/datasets/{SET_ID}/purge", None, DONE, None),
    Case(
        "datasets",
        "create_ingestion",
        (SET_ID, [{"a": 1, "b": "ü"}, {"a": None}]),
        {},
        f"POST /v1/datasets/{SET_ID}/data",
        {"records": [{"a": 1, "b": "ü"}, {"a": None}]},
        {"ingestionId": INGESTION_ID, "message": "Data ingestion request accepted"},
        IngestionReceipt(ingestion_id=INGESTION_ID, message="Data ingestion request accepted"),
    ),
    Case(
        "datasets",
        "list_ingestions",
        (SET_ID,),
        {"page_size": 20},
        f"GET /v1/datasets/{SET_ID}/ingestions?pageSize=20",
        None,
        {
            "pagination": {"page": 1, "pageSize": 20, "totalItems": 1},
            "ingestions": [{"ingestionId": INGESTION_ID, "timestamp": CREATED, "status": "success"}],
        },
        [IngestionSummary(id=INGESTION_ID, timestamp=OCTOBER, status="success")],
    ),
    Case(
        "datasets",
        "list_ingestions",
        (SET_ID,),
        {},
        f"GET /v1/datasets/{SET_ID}/ingestions",
        None,
        {"ingestions": []},
        [],
    ),
    Case(
        "datasets",
        "get_ingestion",
        (SET_ID, INGESTION_ID),
        {},
        f"GET /v1/datasets/{SET_ID}/ingestions/{INGESTION_ID}",
        None,
        {
            "ingestionId": INGESTION_ID,
            "timestamp": CREATED,
            "metrics": {
                "datasetMetrics": {
                    "columnsCount": 20,
                    "datasetSizeMB": 12.3456789,
                    "totalDatasetRecordsCount": 500000,
                },
                "ingestionMetrics": {
                    "receivedRecordsCount": 100,
                    "appendedRecordsCount": 90,
                    "rejectedRecordsCount": 3,
                    "overwrittenRecordsCount": 7,
                },
            },
        },
        Ingestion(
            id=INGESTION_ID,
            timestamp=OCTOBER,
            status="success",
            received=100,
            appended=90,
            overwritten=7,
            rejected=3,
            dataset_metrics=DatasetMetrics(columns_count=20, size_mb=12.3456789, total_records_count=500000),
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}.{case.call}")
def test_operation(driver: Driver, server: ScriptedServer, case: Case) -> None:
    server.will(answer(200, ENVELOPE | case.answer))
    client = driver.client("secret-key-1234567890", server.url)

    result = getattr(getattr(client, case.group), case.call)(*case.args, **case.options)

    (request,) = server.requests
    assert f"{request.method} {request.target}" == case.request
    assert request.headers["x-api-key"] == "secret-key-1234567890"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("databox-sdk/")
    if case.body is None:
        assert request.body == b""
        assert "content-type" not in request.headers
    else:
        assert request.json == case.body
        assert request.headers["content-type"] == "application/json"
    found = driver.collect(result) if isinstance(case.result, list) else result
    assert found == case.result
    for model in found if isinstance(found, list) else [found] * (found is not None):
        assert model.request_id == ENVELOPE["requestId"]
        assert model.extra == {}


def test_every_operation_is_covered() -> None:
    calls = {f"{case.group}.{case.call}" for case in CASES}
    assert len(calls) == 13


def test_fields_the_model_does_not_know_are_kept(driver: Driver, server: ScriptedServer) -> None:
    metrics = {"ingestionMetrics": {"receivedRecordsCount": 1, "skippedRecordsCount": 4}, "cost": 2}
    server.will(answer(200, ENVELOPE | {"ingestionId": "i", "metrics": metrics, "region": "eu"}))

    ingestion = driver.client(base_url=server.url).datasets.get_ingestion("d", "i")

    assert ingestion.received == 1
    assert ingestion.extra == {
        "metrics": {"ingestionMetrics": {"skippedRecordsCount": 4}, "cost": 2},
        "region": "eu",
    }


def test_odd_optional_fields_never_break(driver: Driver, server: ScriptedServer) -> None:
    account = {"id": "123", "name": None, "accountType": "franchise", "created": "soon"}
    server.will(answer(200, {"accounts": [account], "status": "success"}))

    (found,) = driver.client(base_url=server.url).accounts.list().items

    assert found == Account(id=123, account_type="franchise")
    assert found.request_id is None
    assert found.extra == {"created": "soon"}


@pytest.mark.parametrize(("written", "read"), [(5.0, 5), ("5", 5), (5.5, None), (True, None), (1e300, None)])
def test_numbers_as_other_servers_write_them(
    driver: Driver, server: ScriptedServer, written: Any, read: int | None
) -> None:
    counts = {"ingestionMetrics": {"receivedRecordsCount": written}}
    server.will(answer(200, ENVELOPE | {"ingestionId": "i", "metrics": counts}))
    assert driver.client(base_url=server.url).datasets.get_ingestion("d", "i").received == read


@pytest.mark.parametrize(
    ("accounts", "what"),
    [
        ({}, "an object where a list"),
        (True, "a boolean where a list"),
        (5, "a number where a list"),
        ("x", "a string where a list"),
        (None, "missing or null where a list"),
        ([[]], "a list where an object"),
    ],
)
def test_what_is_there_in_place_of_the_items_is_named(
    driver: Driver, server: ScriptedServer, accounts: Any, what: str
) -> None:
    server.will(answer(200, ENVELOPE | {"accounts": accounts}))
    with pytest.raises(InvalidResponseError, match=f"is {what} is expected"):
        driver.client(base_url=server.url).accounts.list()


@pytest.mark.parametrize("written", ["yesterday", 5, "2025-13-01T00:00:00Z", "", True, {"at": 1}])
def test_an_unreadable_date_is_none_and_kept(driver: Driver, server: ScriptedServer, written: Any) -> None:
    server.will(answer(200, ENVELOPE | {"datasets": [{"id": 7, "title": "x", "created": written}]}))

    (dataset,) = driver.client(base_url=server.url).data_sources.list_datasets(1).items

    assert (dataset.id, dataset.created, dataset.extra) == ("7", None, {"created": written})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2025-10-01T12:00:00.1234567Z", datetime(2025, 10, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2025-10-01T12:00:00", OCTOBER),
        ("2025-10-01T14:00:00+02:00", OCTOBER),
        ("2025-10-01", datetime(2025, 10, 1, tzinfo=UTC)),
    ],
)
def test_dates_are_moments_in_utc(driver: Driver, server: ScriptedServer, written: str, read: datetime) -> None:
    server.will(answer(200, ENVELOPE | {"datasets": [{"id": "d", "created": written}]}))

    (dataset,) = driver.client(base_url=server.url).data_sources.list_datasets(1).items

    assert dataset.created == read
    assert dataset.created.utcoffset() is not None


def test_request_reaches_what_is_not_described(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(200, {"requestId": "r", "status": "success", "datasets": [1]}))
    client = driver.client(base_url=server.url + "/base/")

    found = client.request("get", "/v1/accounts/1/datasets", params={"type": "x y", "page": None, "pageSize": 5})

    assert found == {"requestId": "r", "status": "success", "datasets": [1]}
    (request,) = server.requests
    assert request.target == "/base/v1/accounts/1/datasets?type=x+y&pageSize=5"


@pytest.mark.parametrize(
    ("path", "params", "why"),
    [
        ("/v1/../x", None, "'.' or '..' as a part"),
        ("/v1/.", {"a": 1}, "'.' or '..' as a part"),
        ("/" + "a" * 70_000, None, "70,001 characters"),
        ("/v1/x", {"a": "ü" * 20_000}, "120,007 characters"),
    ],
)
def test_requests_that_clients_would_send_differently_are_refused(
    driver: Driver, server: ScriptedServer, path: str, params: Any, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        driver.client(base_url=server.url).request("GET", path, params=params)
    assert server.requests == []


def test_an_id_of_any_length_is_no_id(driver: Driver, server: ScriptedServer) -> None:
    with pytest.raises(ValueError, match="dataset is not an id: it has 70,000 characters"):
        driver.client(base_url=server.url).datasets.purge("a" * 70_000)
    assert server.requests == []


def test_request_sends_json(driver: Driver, server: ScriptedServer) -> None:
    client = driver.client(base_url=server.url)
    client.request("POST", "/v1/datasets", json={"schema": [{"name": "a", "dataType": "string"}]})
    assert server.requests[0].json == {"schema": [{"name": "a", "dataType": "string"}]}


def test_a_program_that_uses_the_client_may_say_so(driver: Driver, server: ScriptedServer) -> None:
    client = driver.client("some-key-0123456789", server.url, app="nightly-export/2.1")
    client.auth.validate_key()
    client.with_options(timeout=5).auth.validate_key()
    for request in server.requests:
        assert request.headers["user-agent"].startswith("databox-sdk/")
        assert request.headers["user-agent"].endswith(" nightly-export/2.1")


@pytest.mark.parametrize("wrong", ["", " ", "two words", "a/b/c", "a\r\nx-evil: 1", "ü", 5])
def test_what_is_no_name_of_a_program_is_refused(driver: Driver, server: ScriptedServer, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="app"):
        driver.client("some-key-0123456789", server.url, app=wrong)
