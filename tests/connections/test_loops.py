"""One asynchronous client in several event loops, of asyncio and trio, in sequence and at the same time."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from databox import AsyncDatabox, Databox
from databox.sandbox import Sandbox
from tests.scripted import ScriptedServer

BACKENDS = ["asyncio", "trio"]
UVLOOP = sys.platform != "win32"
WAYS: dict[str, Callable[[], httpx.AsyncClient | None]] = {"own": lambda: None, "httpx": httpx.AsyncClient}


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """Run calls at the same time, each in its own thread, and return their results."""
    found: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        found[place] = calls[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_one_loop_after_the_other_and_several_at_once(box: Sandbox, backend: str, way: str) -> None:
    client = AsyncDatabox(box.api_key, box.url, http_client=WAYS[way](), rate_limit=None, max_retries=0)

    async def prepare() -> Any:
        source = await client.data_sources.create("s")
        return await client.datasets.create("d", data_source=source, primary_keys=["id"])

    dataset = anyio.run(prepare, backend=backend)

    async def ingest(first: int) -> int:
        report = await client.datasets.ingest(dataset, [{"id": first + n} for n in range(250)], batch_size=20)
        return report.appended or 0

    for number in range(3):
        assert anyio.run(ingest, number * 1000, backend=backend) == 250
    other = BACKENDS[1 - BACKENDS.index(backend)]
    # An httpx client serves one loop at a time.
    names = [backend, backend, other] if way == "own" else []
    runs = [partial(anyio.run, ingest, (3 + n) * 1000, backend=name) for n, name in enumerate(names)]
    assert in_threads(*runs) == [250] * len(runs)
    assert len(box.rows(dataset)) == (3 + len(runs)) * 250
    anyio.run(client.aclose, backend=backend)
    with pytest.raises(RuntimeError, match="closed"):
        anyio.run(client.accounts.list, backend=backend)


@pytest.mark.skipif(not UVLOOP, reason="there is no uvloop for this system")
@pytest.mark.parametrize("way", WAYS)
def test_uvloop(box: Sandbox, way: str) -> None:
    async def work() -> int | None:
        http_client = WAYS[way]()
        async with AsyncDatabox(box.api_key, box.url, http_client=http_client, rate_limit=None) as client:
            source = await client.data_sources.create("s")
            dataset = await client.datasets.create("d", data_source=source)
            report = await client.datasets.ingest(dataset, [{"n": n} for n in range(250)], batch_size=20)
        if http_client:
            await http_client.aclose()
        return report.appended

    assert anyio.run(work, backend_options={"use_uvloop": True}) == 250


@pytest.mark.parametrize("backend", BACKENDS)
def test_made_in_one_loop_and_closed_in_another(box: Sandbox, backend: str) -> None:
    async def make() -> AsyncDatabox:
        client = AsyncDatabox(box.api_key, box.url)
        await client.accounts.list()
        return client

    client = anyio.run(make, backend=backend)
    assert len(in_threads(lambda: anyio.run(client.accounts.list, backend=backend))[0].items) == 3
    in_threads(lambda: anyio.run(client.aclose, backend=backend))


def test_a_loop_that_was_stopped_in_the_middle_harms_nobody(box: Sandbox) -> None:
    """Its requests are cancelled, and connections that were in use are not reused."""
    client = AsyncDatabox(box.api_key, box.url, rate_limit=None, max_retries=0)

    async def hurry() -> None:
        async with asyncio.timeout(0.01):
            while True:
                await client.accounts.list()

    for _ in range(10):
        with pytest.raises(TimeoutError):
            asyncio.run(hurry())
        assert len(asyncio.run(client.accounts.list()).items) == 3
    asyncio.run(client.aclose())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cancelled_task_sends_no_further_request(backend: str, way: str) -> None:
    """Even if answers arrive so soon that nothing waits: otherwise no time-out or Ctrl-C would end such a task."""

    async def work() -> None:
        http_client = WAYS[way]()
        async with AsyncDatabox("test-key-0123456789", server.url, http_client=http_client, rate_limit=None) as client:
            await client.request("GET", "/v1/x")  # leaves a connection that need not be waited for
            with anyio.CancelScope() as scope:
                scope.cancel()
                await client.request("POST", "/v1/x")
            await client.request("GET", "/v1/x")
        if http_client:
            await http_client.aclose()

    with ScriptedServer() as server:
        anyio.run(work, backend=backend)
    assert [request.method for request in server.requests] == ["GET", "GET"]


def test_the_synchronous_client_in_a_running_loop(box: Sandbox) -> None:
    """As in a notebook."""

    async def notebook() -> int:
        with Databox(box.api_key, box.url) as client:
            return len(client.accounts.list().items)

    assert asyncio.run(notebook()) == 3


NEVER_CLOSED = """
import anyio, sys
from databox import AsyncDatabox
client = AsyncDatabox("test-key-0123456789", sys.argv[1])
for backend in ("asyncio", "trio", "asyncio"):
    print(len(anyio.run(client.accounts.list, backend=backend).items))
"""


def test_a_client_that_is_never_closed_ends_with_its_program(box: Sandbox) -> None:
    """Without a warning, and without waiting."""
    done = subprocess.run(
        [sys.executable, "-c", NEVER_CLOSED.replace("test-key-0123456789", box.api_key), box.url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["3"] * 3, "")
