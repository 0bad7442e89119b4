"""The 13 operations: the path, the name and the action of each."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from databox.sandbox import rules
from databox.sandbox.catalogue import ACCOUNTS, OWN_ACCOUNT, TIME_ZONES
from databox.sandbox.world import World

__all__ = ["OPERATIONS", "Call", "Operation"]

Answer = dict[str, Any]
MAX_PAGE_SIZE = 1000


@attrs.frozen
class Call:
    """The arguments of an operation, from a request."""

    path: Mapping[str, str]
    """The path's parameters."""
    query: Mapping[str, str]
    body: bytes


@attrs.frozen
class Operation:
    """One operation."""

    name: str
    """The name of the client's method."""
    method: str
    path: str
    perform: Callable[[World, Call], Answer]
    """Executes it; returns the fields of the answer in addition to `requestId` and `status`."""


def _list_accounts(world: World, call: Call) -> Answer:
    return {"accounts": list(ACCOUNTS)}


def _list_timezones(world: World, call: Call) -> Answer:
    return {"timezones": list(TIME_ZONES)}


def _list_data_sources(world: World, call: Call) -> Answer:
    return {"dataSources": world.data_sources(rules.whole_number(call.path["account"], "accountId"))}


def _validate_key(world: World, call: Call) -> Answer:
    return {}


def _create_data_source(world: World, call: Call) -> Answer:
    asked = rules.parse(call.body)
    title = rules.required_text(asked, "title")
    account_id = rules.optional_number(asked, "accountId", OWN_ACCOUNT)
    return {"status": "processing"} | world.create_data_source(title, account_id, rules.time_zone(asked))


def _delete_data_source(world: World, call: Call) -> Answer:
    world.delete_data_source(rules.whole_number(call.path["source"], "dataSourceId"))
    return {"message": "Data source deleted successfully"}


def _list_datasets(world: World, call: Call) -> Answer:
    return {"datasets": world.datasets(rules.whole_number(call.path["source"], "dataSourceId"))}


def _create_dataset(world: World, call: Call) -> Answer:
    asked = rules.parse(call.body)
    title = rules.required_text(asked, "title")
    source_id = rules.required_number(asked, "dataSourceId")
    return world.create_dataset(title, source_id, rules.primary_keys(asked))


def _delete_dataset(world: World, call: Call) -> Answer:
    world.delete_dataset(call.path["dataset"])
    return {"message": "Dataset deleted successfully"}


def _purge_dataset(world: World, call: Call) -> Answer:
    world.purge_dataset(call.path["dataset"])
    return {"message": "Resource purged successfully"}


def _create_ingestion(world: World, call: Call) -> Answer:
    ingestion_id = world.create_ingestion(call.path["dataset"], rules.records(rules.parse(call.body)))
    return {"ingestionId": ingestion_id, "message": "Data ingestion request accepted"}


def _list_ingestions(world: World, call: Call) -> Answer:
    page = rules.whole_number(call.query.get("page", "1"), "page")
    size = rules.whole_number(call.query.get("pageSize", "100"), "pageSize", most=MAX_PAGE_SIZE)
    total, found = world.ingestions(call.path["dataset"], page, size)
    return {"pagination": {"page": page, "pageSize": size, "totalItems": total}, "ingestions": found}


def _get_ingestion(world: World, call: Call) -> Answer:
    return world.ingestion(call.path["dataset"], call.path["ingestion"])


OPERATIONS = (
    Operation("accounts.list", "GET", "/v1/accounts", _list_accounts),
    Operation("accounts.list_data_sources", "GET", "/v1/accounts/{account}/data-sources", _list_data_sources),
    Operation("accounts.list_timezones", "GET", "/v1/accounts/timezones", _list_timezones),
    Operation("auth.validate_key", "GET", "/v1/auth/validate-key", _validate_key),
    Operation("data_sources.create", "POST", "/v1/data-sources", _create_data_source),
    Operation("data_sources.delete", "DELETE", "/v1/data-sources/{source}", _delete_data_source),
    Operation("data_sources.list_datasets", "GET", "/v1/data-sources/{source}/datasets", _list_datasets),
    Operation("datasets.create", "POST", "/v1/datasets", _create_dataset),
    Operation("datasets.delete", "DELETE", "/v1/datasets/{dataset}", _delete_dataset),
    Operation("datasets.purge", "POST", "/v1/datasets/{dataset}/purge", _purge_dataset),
    Operation("datasets.create_ingestion", "POST", "/v1/datasets/{dataset}/data", _create_ingestion),
    Operation("datasets.list_ingestions", "GET", "/v1/datasets/{dataset}/ingestions", _list_ingestions),
    Operation("datasets.get_ingestion", "GET", "/v1/datasets/{dataset}/ingestions/{ingestion}", _get_ingestion),
)
"""In the order of the reference. No two paths can match the same request: `/v1/accounts/timezones` has one part fewer
than the path of `list_data_sources`."""
