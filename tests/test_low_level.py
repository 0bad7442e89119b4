"""All 13 operations with only the generated client, directly against the sandbox, synchronous and asynchronous."""

import asyncio
import importlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from databox.sandbox import Fault, Sandbox
from databox_openapi import AuthenticatedClient
from databox_openapi.models import CreateDatasetBody, CreateDataSourceBody, CreateIngestionBody
from tools.contract.description import Description
from tools.spec.pins import PINS

UNKNOWN = "00000000-0000-4000-8000-000000000000"


class LowLevel:
    """Calls operations by name, synchronously or asynchronously."""

    def __init__(self, way: str, box: Sandbox, key: str) -> None:
        self._way, self._box, self._key = way, box, key

    def __call__(self, name: str, *in_path: Any, **given: Any) -> Any:
        """Return the detailed answer of an operation such as `accounts.list_accounts`."""
        module = importlib.import_module(f"databox_openapi.api.{name}")
        client = AuthenticatedClient(
            base_url=self._box.url,
            token=self._key,
            auth_header_name="x-api-key",
            prefix="",
            timeout=httpx.Timeout(30.0),
            httpx_args={"trust_env": False},
        )
        if self._way == "sync":
            with client:
                return module.sync_detailed(*in_path, client=client, **given)

        async def ask() -> Any:
            async with client:
                return await module.asyncio_detailed(*in_path, client=client, **given)

        return asyncio.run(ask())


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, box: Sandbox) -> LowLevel:
    return LowLevel(request.param, box, box.api_key)


def test_all_operations(call: LowLevel, box: Sandbox) -> None:
    assert call("auth.validate_key").parsed.status == "success"
    account = call("accounts.list_accounts").parsed.accounts[0]
    assert isinstance(account.id, int)
    zone = call("accounts.list_timezones").parsed.timezones[0].timezone
    made = CreateDataSourceBody(title="ERP", account_id=account.id, timezone=zone)
    source = call("data_sources.create_data_source", body=made).parsed
    assert (source.title, source.timezone) == ("ERP", zone)
    assert source.id in [each.id for each in call("accounts.list_data_sources", account.id).parsed.data_sources]
    keyed = CreateDatasetBody(title="Invoices", data_source_id=source.id, primary_keys=["id"])
    dataset = call("datasets.create_dataset", body=keyed).parsed
    assert [each.id for each in call("data_sources.list_datasets", source.id).parsed.datasets] == [dataset.id]

    rows = CreateIngestionBody.from_dict({"records": [{"id": 1, "amount": 9.5}, {"id": 1, "amount": 10.5}]})
    receipt = call("datasets.create_ingestion", dataset.id, body=rows).parsed
    outcome = call("datasets.get_ingestion", dataset.id, receipt.ingestion_id).parsed
    counts = outcome.metrics.ingestion_metrics
    assert (counts.appended_records_count, counts.overwritten_records_count) == (1, 1)
    listed = call("datasets.list_ingestions", dataset.id, page=1, page_size=10).parsed
    assert [each.ingestion_id for each in listed.ingestions] == [receipt.ingestion_id]
    assert listed.pagination.total_items == 1
    assert box.rows(dataset.id) == [{"id": 1, "amount": 10.5}]

    assert call("datasets.purge_dataset", dataset.id).status_code == 200
    assert box.rows(dataset.id) == []
    assert call("datasets.delete_dataset", dataset.id).status_code == 200
    assert call("data_sources.delete_data_source", source.id).status_code == 200
    assert {request.operation for request in box.requests} == {pin.facade for pin in PINS}


def test_a_refusal_that_is_described_is_read(call: LowLevel, box: Sandbox) -> None:
    answer = LowLevel(call._way, box, "not-the-key")("accounts.list_accounts")
    assert answer.status_code == 401
    if "errors[].code" in Description.published().response_fields("GET /v1/accounts", 401) and answer.parsed:
        assert answer.parsed.errors[0].code == "invalid_api_key"


def test_of_one_that_is_not_there_are_the_bytes(call: LowLevel, box: Sandbox) -> None:
    box.inject(Fault("accounts.list", status=418, body="<p>tea</p>", times=1))
    if not {"default", "4XX"} & Description.published().operations["GET /v1/accounts"].responses.keys():
        answer = call("accounts.list_accounts")
        assert (answer.status_code, answer.parsed) == (418, None)
        assert b"tea" in answer.content


def test_answers_that_lack_things_and_have_new_ones_are_read(call: LowLevel, box: Sandbox) -> None:
    accounts = [{"id": 1, "accountType": "brand new", "name": None, "plan": "gold"}, {}]
    box.inject(Fault("accounts.list", status=200, body={"accounts": accounts, "status": None}, times=1))
    found = call("accounts.list_accounts").parsed
    assert found.status is None
    assert (found.accounts[0].account_type, found.accounts[0].name) == ("brand new", None)
    assert found.accounts[0].additional_properties == {"plan": "gold"}
    assert not found.accounts[1].id


def test_the_page_names_all_modules() -> None:
    page = (Path(__file__).parent.parent / "docs" / "low-level.md").read_text("utf-8")
    assert re.findall(r"^\| .* \| `(\w+\.\w+)` \|$", page, re.MULTILINE) == [f"{pin.tag}.{pin.name}" for pin in PINS]
