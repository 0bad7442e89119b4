# pyright: reportPrivateUsage=false
# `_get_kwargs` is private by name, but it is what the generator offers for building a request without sending it.
"""The 13 operations: how each request is built and its answer read. The only module that knows `generated/`.

Methods, paths, arguments and body fields come from the generated code, imported on first use: there are many modules.
Answers are read with our own tables, because our models should stay stable when the description changes; `make
check` looks up every name in them. Nothing in this module does I/O, so both clients share it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

import attrs
import orjson

from databox.api import answers
from databox.api.answers import Listing, ListOf
from databox.api.reading import Shape, UnexpectedAnswer
from databox.forks import undivided
from databox.models import (
    Account,
    Dataset,
    DataSource,
    Ingestion,
    IngestionReceipt,
    IngestionSummary,
    TimeZone,
)

T_co = TypeVar("T_co", covariant=True)
Json = Mapping[str, Any]


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Operation(Generic[T_co]):
    """One request, ready to send, and how to read its answer."""

    name: str
    method: str
    path: str
    parse: Callable[[Any], T_co]
    check: Callable[[Any], object] | None = None
    """Raises UnexpectedAnswer if the answer cannot belong to this request, for example because a cache repeated one."""
    params: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    body: bytes | None = None
    repeatable: bool = False
    """Whether repeating it is harmless, so that it may be retried after a lost answer."""
    repeat_unreadable: bool = False
    """Whether to retry after a 2xx answer that cannot be read."""
    may_be_empty: bool = False
    """Whether 204 No Content is accepted like the documented answer."""
    outcome_field: str | None = None
    """A field that makes a body with `status: error` an answer rather than a refusal."""


def _request(generated: Mapping[str, Any], encoded: bytes | None = None) -> dict[str, Any]:
    """Take method, path, query and body from a generated `_get_kwargs`; an encoded body takes precedence."""
    body = generated.get("json")
    return {
        "method": generated["method"].upper(),
        "path": generated["url"],
        "params": generated.get("params", {}),
        "body": orjson.dumps(body) if encoded is None and body is not None else encoded,
    }


# The operations, in the order of the reference.


def accounts_list() -> Operation[Listing[Account]]:
    """List accounts."""
    with undivided:
        from databox_openapi.api.accounts import list_accounts

    return Operation(
        name="accounts.list",
        parse=ListOf("accounts", answers.ACCOUNT).read,
        repeatable=True,
        **_request(list_accounts._get_kwargs()),
    )


def accounts_list_data_sources(account_id: int) -> Operation[Listing[DataSource]]:
    """List an account's data sources."""
    with undivided:
        from databox_openapi.api.accounts import list_data_sources

    return Operation(
        name="accounts.list_data_sources",
        parse=ListOf("dataSources", answers.DATA_SOURCE).read,
        repeatable=True,
        **_request(list_data_sources._get_kwargs(account_id=account_id)),
    )


def accounts_list_timezones() -> Operation[Listing[TimeZone]]:
    """List time zones."""
    with undivided:
        from databox_openapi.api.accounts import list_timezones

    return Operation(
        name="accounts.list_timezones",
        parse=ListOf("timezones", answers.TIME_ZONE).read,
        repeatable=True,
        **_request(list_timezones._get_kwargs()),
    )


def auth_validate_key() -> Operation[None]:
    """Validate the key."""
    with undivided:
        from databox_openapi.api.auth import validate_key

    return Operation(
        name="auth.validate_key",
        parse=answers.acknowledged,
        repeatable=True,
        **_request(validate_key._get_kwargs()),
    )


def data_sources_create(title: str, *, account_id: int | None, timezone: str | None) -> Operation[DataSource]:
    """Create a data source."""
    with undivided:
        from databox_openapi.api.data_sources import create_data_source
        from databox_openapi.models import CreateDataSourceBody
        from databox_openapi.types import UNSET

    body = CreateDataSourceBody(
        title=title,
        account_id=UNSET if account_id is None else account_id,
        timezone=UNSET if timezone is None else timezone,
    )
    return Operation(
        name="data_sources.create",
        parse=answers.DATA_SOURCE.read,
        **_request(create_data_source._get_kwargs(body=body)),
    )


def data_sources_delete(data_source_id: int) -> Operation[None]:
    """Delete a data source."""
    with undivided:
        from databox_openapi.api.data_sources import delete_data_source

    return Operation(
        name="data_sources.delete",
        parse=answers.deleted,
        repeatable=True,
        may_be_empty=True,
        **_request(delete_data_source._get_kwargs(data_source_id=data_source_id)),
    )


def data_sources_list_datasets(data_source_id: int) -> Operation[Listing[Dataset]]:
    """List a data source's datasets."""
    with undivided:
        from databox_openapi.api.data_sources import list_datasets

    shape = Shape(partial(Dataset, data_source_id=data_source_id), answers.DATASET.fields)
    return Operation(
        name="data_sources.list_datasets",
        parse=ListOf("datasets", shape).read,
        repeatable=True,
        **_request(list_datasets._get_kwargs(data_source_id=data_source_id)),
    )


def datasets_create(title: str, *, data_source_id: int, primary_keys: Sequence[str] | None) -> Operation[Dataset]:
    """Create a dataset. The answer does not repeat the keys, so the model takes them from the request."""
    with undivided:
        from databox_openapi.api.datasets import create_dataset
        from databox_openapi.models import CreateDatasetBody
        from databox_openapi.types import UNSET

    body = CreateDatasetBody(
        title=title,
        data_source_id=data_source_id,
        primary_keys=list(primary_keys) if primary_keys else UNSET,
    )

    known = partial(Dataset, data_source_id=data_source_id, primary_keys=tuple(primary_keys or ()))
    return Operation(
        name="datasets.create",
        parse=Shape(known, answers.DATASET.fields).read,
        **_request(create_dataset._get_kwargs(body=body)),
    )


def datasets_delete(dataset_id: str) -> Operation[None]:
    """Delete a dataset."""
    with undivided:
        from databox_openapi.api.datasets import delete_dataset

    return Operation(
        name="datasets.delete",
        parse=answers.deleted,
        repeatable=True,
        may_be_empty=True,
        **_request(delete_dataset._get_kwargs(dataset_id=dataset_id)),
    )


def datasets_purge(dataset_id: str) -> Operation[None]:
    """Remove all rows of a dataset."""
    with undivided:
        from databox_openapi.api.datasets import purge_dataset

    return Operation(
        name="datasets.purge",
        parse=answers.acknowledged,
        repeatable=True,
        may_be_empty=True,
        **_request(purge_dataset._get_kwargs(dataset_id=dataset_id)),
    )


@lru_cache(maxsize=16)
def _create_ingestion(dataset_id: str) -> dict[str, Any]:
    with undivided:
        from databox_openapi.api.datasets import create_ingestion
        from databox_openapi.models import CreateIngestionBody

    return create_ingestion._get_kwargs(dataset_id=dataset_id, body=CreateIngestionBody(records=[]))


def datasets_create_ingestion(
    dataset_id: str, body: bytes, *, repeatable: bool, check: Callable[[IngestionReceipt], object] | None = None
) -> Operation[IngestionReceipt]:
    """Create an ingestion from an encoded body, because rows are encoded only once."""
    request = _create_ingestion(dataset_id)
    return Operation(
        name="datasets.create_ingestion",
        parse=answers.RECEIPT.read,
        check=check,
        repeatable=repeatable,
        repeat_unreadable=repeatable,
        **_request(request, body),
    )


def datasets_list_ingestions(
    dataset_id: str, *, page: int | None, page_size: int | None
) -> Operation[Listing[IngestionSummary]]:
    """List a dataset's ingestions, one page of them."""
    with undivided:
        from databox_openapi.api.datasets import list_ingestions
        from databox_openapi.types import UNSET

    query = list_ingestions._get_kwargs(
        dataset_id=dataset_id,
        page=UNSET if page is None else page,
        page_size=UNSET if page_size is None else page_size,
    )
    return Operation(
        name="datasets.list_ingestions",
        parse=ListOf("ingestions", answers.INGESTION_SUMMARY).read,
        repeatable=True,
        **_request(query),
    )


def datasets_get_ingestion(dataset_id: str, ingestion_id: str) -> Operation[Ingestion]:
    """Retrieve an ingestion. Its `status: error` is an outcome, not a refusal of the request."""
    with undivided:
        from databox_openapi.api.datasets import get_ingestion

    def check(found: Ingestion) -> None:
        if found.id.casefold() != ingestion_id.casefold():
            raise UnexpectedAnswer(f"it is about another ingestion, {found.id[:100]!r}")

    return Operation(
        name="datasets.get_ingestion",
        parse=answers.INGESTION.read,
        check=check,
        repeatable=True,
        outcome_field="ingestionId",
        **_request(get_ingestion._get_kwargs(dataset_id=dataset_id, ingestion_id=ingestion_id)),
    )


def raw(method: str, path: str, *, params: Json | None, json: Any) -> Operation[Any]:
    """Any request of the caller's; the answer is the JSON as received."""
    return Operation(
        name="request",
        method=method,
        path=path,
        params={name: value for name, value in (params or {}).items() if value is not None},
        body=None if json is None else orjson.dumps(json),
        parse=lambda answer: answer,
        # The methods that RFC 9110, section 9.2.2, calls idempotent.
        repeatable=method in {"GET", "PUT", "DELETE"},
        may_be_empty=True,
    )
