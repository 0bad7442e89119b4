"""The alternatives, as people write them: each sends rows in batches of 100 and counts the accepted ones."""

import asyncio
import http.client
import itertools
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import requests

from databox import AsyncDatabox, Databox
from databox_openapi import AuthenticatedClient
from databox_openapi.api.datasets import create_ingestion
from databox_openapi.models import CreateIngestionBody

Row = dict[str, Any]
KEY = "a-key-for-the-benchmark"
HEADERS = {"x-api-key": KEY}


def rows(count: int) -> Iterator[Row]:
    """Rows like those of an export."""
    for n in range(count):
        yield {
            "invoice_id": n,
            "customer": f"Customer {n % 977}",
            "date": "2025-10-01",
            "amount": n * 1.25,
            "currency": "EUR",
            "paid": n % 3 == 0,
            "quantity": n % 11,
            "note": None,
        }


def batches(count: int) -> Iterator[list[Row]]:
    """The rows in lists of 100."""
    source = rows(count)
    while batch := list(itertools.islice(source, 100)):
        yield batch


def httpx_loop(url: str, count: int) -> int:
    """A loop over httpx with `json=`."""
    sent = 0
    with httpx.Client(headers=HEADERS) as client:
        for batch in batches(count):
            client.post(f"{url}/v1/datasets/d/data", json={"records": batch}).raise_for_status()
            sent += len(batch)
    return sent


def requests_loop(url: str, count: int) -> int:
    """A loop over requests with `json=`."""
    sent = 0
    with requests.Session() as session:
        session.headers.update(HEADERS)
        for batch in batches(count):
            session.post(f"{url}/v1/datasets/d/data", json={"records": batch}).raise_for_status()
            sent += len(batch)
    return sent


def generated_client(url: str, count: int) -> int:
    """The generated client, called by hand."""
    sent = 0
    with AuthenticatedClient(base_url=url, token=KEY, prefix="", auth_header_name="x-api-key") as client:
        for batch in batches(count):
            body = CreateIngestionBody.from_dict({"records": batch})
            create_ingestion.sync_detailed("d", client=client, body=body)
            sent += len(batch)
    return sent


def floor(url: str, count: int) -> int:
    """`http.client` with prepared bodies: the cost of sending with the standard library alone."""
    body = json.dumps({"records": list(rows(100))}).encode()
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {**HEADERS, "content-type": "application/json"}
    sent = 0
    for _ in range(count // 100):
        connection.request("POST", "/v1/datasets/d/data", body, headers)
        connection.getresponse().read()
        sent += 100
    connection.close()
    return sent


def databox_sync(url: str, count: int) -> int:
    """This library: every row encoded once, checked and reported."""
    with Databox(KEY, url, rate_limit=None) as client:
        return client.datasets.ingest("d", rows(count), verify=None).accepted


def databox_over_httpx(url: str, count: int) -> int:
    """This library over the caller's httpx client, with a connection for each request."""
    with httpx.Client() as http, Databox(KEY, url, rate_limit=None, http_client=http) as client:
        return client.datasets.ingest("d", rows(count), verify=None).accepted


async def _async_loop(url: str, count: int, at_once: int) -> int:
    source = batches(count)
    async with httpx.AsyncClient(headers=HEADERS) as client:

        async def worker() -> int:
            sent = 0
            for batch in source:
                answer = await client.post(f"{url}/v1/datasets/d/data", json={"records": batch})
                answer.raise_for_status()
                sent += len(batch)
            return sent

        return sum(await asyncio.gather(*(worker() for _ in range(at_once))))


def httpx_async_loop(url: str, count: int) -> int:
    """Four tasks over one AsyncClient."""
    return asyncio.run(_async_loop(url, count, 4))


async def _ingest_async(url: str, count: int) -> int:
    async with AsyncDatabox(KEY, url, rate_limit=None) as client:
        return (await client.datasets.ingest("d", rows(count), verify=None)).accepted


def databox_async(url: str, count: int) -> int:
    """This library, asynchronous."""
    return asyncio.run(_ingest_async(url, count))
