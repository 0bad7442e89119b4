"""A validating proxy between SDK and sandbox: Prism, which is independent of our own checks.

Source: https://github.com/stoplightio/prism, `proxy --errors`. It notes what it objects to in
a header, or answers in the sandbox's place.
"""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from databox import AsyncDatabox, Databox
from databox.sandbox import Sandbox
from tools.contract.description import Description
from tools.spec.project import Project

__all__ = ["ProxyError", "prism", "violations", "violations_in_a_workflow"]

PACKAGE = "@stoplight/prism-cli@5"
_HEADER = "sl-violations"
_ROWS = [{"invoice_id": f"INV-{number}", "amount": number / 4, "paid": None} for number in range(250)]


class ProxyError(Exception):
    """The proxy cannot be had here; the message says why."""


@contextlib.contextmanager
def prism(box: Sandbox, description: Description) -> Iterator[str]:
    """Run the proxy in front of a sandbox; the value is its address.

    Raises:
        ProxyError: there is no Node, or the package cannot be installed or does not start.
    """
    program = _installed(Project().root / ".cache" / "prism")
    file = program.parents[2] / "description.json"
    file.write_text(json.dumps(description.completed()), encoding="utf-8")
    command = [str(program), "proxy", str(file), box.url, "--errors", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                found = re.search(r"listening on (http://[\d.]+:\d+)", line)
                if found:
                    break
            else:
                raise ProxyError(f"Prism did not start: {''.join(said)}")
            # Nobody reads its log, which must not fill the pipe.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield found[1]
        finally:
            process.terminate()
            process.wait()


def violations(answer: httpx.Response) -> list[str]:
    """Return what the proxy objected to in a request, which it then answers itself, or in the sandbox's answer."""
    noted = json.loads(answer.headers.get(_HEADER, "[]"))
    if answer.headers.get("content-type") == "application/problem+json":
        noted = noted or [answer.text]
    request = answer.request
    return [f"{request.method} {request.url.path} {answer.status_code}: {item}" for item in noted]


def violations_in_a_workflow(url: str, key: str) -> tuple[int, list[str]]:
    """Do everything once with each client; return the number of requests, and what the proxy objected to."""
    answers: list[httpx.Response] = []

    async def noted(answer: httpx.Response) -> None:
        answers.append(answer)

    with (
        httpx.Client(event_hooks={"response": [answers.append]}) as http,
        Databox(key, url, rate_limit=None, max_retries=0, http_client=http) as client,
    ):
        _workflow(client)

    async def asynchronously() -> None:
        async with (
            httpx.AsyncClient(event_hooks={"response": [noted]}) as http,
            AsyncDatabox(key, url, rate_limit=None, max_retries=0, http_client=http) as client,
        ):
            await _workflow_async(client)

    asyncio.run(asynchronously())
    return len(answers), [violation for answer in answers for violation in violations(answer)]


def _workflow(client: Databox) -> None:
    client.auth.validate_key()
    account = client.accounts.list().items[0]
    client.accounts.list_timezones()
    source = client.data_sources.create("Through a proxy", account_id=account.id, timezone="Europe/Berlin")
    client.accounts.list_data_sources(account.id)
    dataset = client.datasets.create("Transactions", data_source=source, primary_keys=["invoice_id"])
    client.data_sources.list_datasets(source)
    for _ in range(2):
        _must_be_whole(client.datasets.ingest(dataset, _ROWS))
    receipt = client.datasets.create_ingestion(dataset, [{"amount": 1}])
    client.datasets.get_ingestion(dataset, receipt.ingestion_id)
    for page in client.datasets.list_ingestions(dataset, page_size=2).by_page():
        assert page.items
    client.datasets.purge(dataset)
    client.datasets.delete(dataset)
    client.data_sources.delete(source)


async def _workflow_async(client: AsyncDatabox) -> None:
    await client.auth.validate_key()
    account = (await client.accounts.list()).items[0]
    await client.accounts.list_timezones()
    source = await client.data_sources.create("Through a proxy", account_id=account.id)
    await client.accounts.list_data_sources(account.id)
    dataset = await client.datasets.create("Transactions", data_source=source)
    await client.data_sources.list_datasets(source)
    _must_be_whole(await client.datasets.ingest(dataset, _ROWS))
    async for ingestion in await client.datasets.list_ingestions(dataset):
        await client.datasets.get_ingestion(dataset, ingestion.id)
    await client.datasets.purge(dataset)
    await client.datasets.delete(dataset)
    await client.data_sources.delete(source)


def _must_be_whole(report: Any) -> None:
    assert report.rows == report.accepted == len(_ROWS), report


def _installed(folder: Path) -> Path:
    program = folder / "node_modules" / ".bin" / "prism"
    npm = shutil.which("npm")
    if program.exists():
        return program
    if npm is None or shutil.which("node") is None:
        raise ProxyError("There is no Node here, which Prism needs.")
    folder.mkdir(parents=True, exist_ok=True)
    # Scripts of packages have no business here.
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", PACKAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode or not program.exists():
        raise ProxyError(f"{PACKAGE} cannot be installed: {' '.join(done.stderr.split())[:300]}")
    return program
