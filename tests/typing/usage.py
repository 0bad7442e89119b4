"""What type checkers infer from programs that use the package. Nothing here runs: `make check` reads it."""

from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any, assert_type

import httpx

from databox import (
    Account,
    APIStatusError,
    AsyncDatabox,
    AsyncPage,
    BatchOutcome,
    Databox,
    DataboxError,
    Dataset,
    DataSource,
    ErrorDetail,
    IngestError,
    Ingestion,
    IngestionReceipt,
    IngestionSummary,
    IngestProgress,
    IngestReport,
    Page,
    RateLimit,
    TimeZone,
    read_records,
)
from databox.sandbox import Fault, RecordedRequest, Sandbox


def synchronous() -> None:
    with Databox("key", timeout=5, max_retries=0, rate_limit=None, http_client=httpx.Client()) as client:
        assert_type(client, Databox)
        assert_type(client.with_options(timeout=None, rate_limit=RateLimit(5, store="file")), Databox)
        page = client.accounts.list()
        assert_type(page, Page[Account])
        assert_type([account.name for account in page], list[str | None])
        assert_type(next(page.by_page()), Page[Account])
        assert_type(page.total, int | None)
        assert_type(client.accounts.list_timezones(), Page[TimeZone])
        source = client.data_sources.ensure("title", account_id=1)
        assert_type(source, DataSource)
        dataset = client.datasets.create("title", data_source=source, primary_keys=["id"])
        assert_type(dataset, Dataset)
        assert_type(dataset.primary_keys, tuple[str, ...] | None)
        receipt = client.datasets.create_ingestion(dataset.id, [{"id": 1, "on": date(2026, 1, 1)}])
        assert_type(receipt, IngestionReceipt)
        ingestion = client.datasets.wait_for_ingestion(dataset, receipt)
        assert_type(ingestion, Ingestion)
        assert_type(ingestion.rejected, int | None)
        assert_type(ingestion.errors, tuple[ErrorDetail, ...])
        assert_type(client.datasets.list_ingestions(dataset, page_size=50), Page[IngestionSummary])
        report = client.datasets.ingest(dataset, rows(), primary_keys=("id",), verify=None, progress=shown)
        assert_type(report, IngestReport)
        assert_type(report.batches, tuple[BatchOutcome, ...])
        assert_type(report.batches[0].error, DataboxError | None)
        assert_type(client.datasets.purge(dataset), None)
        assert_type(client.request("GET", "/v1/other", params={"page": 1}), Any)


async def asynchronous() -> None:
    async with AsyncDatabox() as client:
        assert_type(client, AsyncDatabox)
        page = await client.accounts.list()
        assert_type(page, AsyncPage[Account])
        assert_type([account async for account in page], list[Account])
        async for further in page.by_page():
            assert_type(further, AsyncPage[Account])
        assert_type(await client.datasets.ingest("id", rows()), IngestReport)
        assert_type(await client.datasets.ingest("id", asynchronous_rows()), IngestReport)
        assert_type(await client.datasets.get_ingestion("id", "ingestion"), Ingestion)


def errors(client: Databox) -> None:
    try:
        client.datasets.ingest("id", read_records("rows.csv"))
    except IngestError as error:
        assert_type(error.report, IngestReport)
    except APIStatusError as error:
        assert_type(error.status_code, int)
        assert_type(error.code, str | None)
        assert_type(error.retry_after, float | None)


def sandbox() -> None:
    with Sandbox(rate_limit=(10, 10_000)) as box:
        assert_type(box.url, str)
        box.inject(Fault("create_ingestion", drop="after"))
        assert_type(box.rows("id"), list[dict[str, Any]])
        assert_type(box.requests[0], RecordedRequest)


def wrong(client: Databox) -> None:
    """Mistakes that a checker must find: an unused ignore is an error, too."""
    client.datasets.ingest("id", [], verify="perhaps")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.data_sources.ensure("title")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.datasets.create("title", "source")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    Fault("purge", drop="during")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def rows() -> Iterator[dict[str, object]]:
    yield {"id": 1}


async def asynchronous_rows() -> AsyncIterator[dict[str, object]]:
    yield {"id": 1}


def shown(progress: IngestProgress) -> None:
    assert_type(progress.seconds_left, float | None)
