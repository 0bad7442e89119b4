"""httpx clients that callers bring, with whatever settings they have changed."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from databox import APITimeoutError
from tests.connections.test_connections import Counting
from tests.connections.test_leftovers import WAYS, source
from tests.drive import Driver
from tests.scripted import ScriptedServer, silence, wire

KEY = "test-key-0123456789"


class Wrapped(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that creates its own responses, like those that cache or count; they lack httpx's extensions."""

    def __init__(self) -> None:
        self._sync, self._async = httpx.HTTPTransport(), httpx.AsyncHTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._sync.handle_request(request)
        return httpx.Response(response.status_code, headers=response.headers, stream=response.stream)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._async.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, stream=response.stream)

    def close(self) -> None:
        self._sync.close()

    async def aclose(self) -> None:
        await self._async.aclose()


def reading(driver: Driver) -> Any:
    """A client with a hook that reads each answer, as for a log."""

    async def read_async(response: httpx.Response) -> None:
        await response.aread()

    def read(response: httpx.Response) -> None:
        response.read()

    hooks: dict[str, list[Callable[..., Any]]] = {"response": [read_async if driver.is_async else read]}
    return (httpx.AsyncClient if driver.is_async else httpx.Client)(event_hooks=hooks)


def wrapped(driver: Driver) -> Any:
    return (httpx.AsyncClient if driver.is_async else httpx.Client)(transport=Wrapped())


def canned(driver: Driver) -> Any:
    """A client whose answers are decoded before anyone reads them."""
    answers = iter([httpx.Response(200, json={"n": 1}), httpx.Response(200, json={"id": 2, "title": "t"})])
    transport = httpx.MockTransport(lambda request: next(answers))
    return (httpx.AsyncClient if driver.is_async else httpx.Client)(transport=transport)


@pytest.fixture(params=[reading, wrapped, canned])
def own(request: pytest.FixtureRequest, driver: Driver) -> Iterator[Any]:
    client = request.param(driver)
    yield client
    driver.run(client.aclose() if driver.is_async else client.close())


@pytest.mark.parametrize("way", WAYS)
def test_answers_arrive_and_leftovers_do_not(driver: Driver, server: ScriptedServer, own: Any, way: str) -> None:
    server.will(WAYS[way](source(1), source(666)), wire(source(2)))
    client = driver.client(KEY, server.url, http_client=own)
    with contextlib.suppress(Exception):
        client.request("GET", "/v1/x")
    threading.Event().wait(0.03)  # what comes later has arrived
    assert client.data_sources.create("Payroll").id == 2


def test_other_requests_of_the_caller_go_on(driver: Driver, server: ScriptedServer) -> None:
    """What is shut down after our answer is our connection, not one of theirs."""
    server.will(wire(source(1)))
    own: Any = (httpx.AsyncClient if driver.is_async else httpx.Client)()
    client = driver.client(KEY, server.url, http_client=own)
    for _ in range(5):
        assert driver.run(own.get(server.url)).json()["id"] == 1
        assert client.data_sources.create("t").id == 1
    driver.run(own.aclose() if driver.is_async else own.close())


def shared(driver: Driver) -> Any:
    """A client whose connection reports its steps as one of HTTP/2 does, which several requests share."""

    def as_http2(request: httpx.Request) -> None:
        trace = request.extensions["trace"]
        request.extensions["trace"] = lambda event, info: trace(event.replace("http11.", "http2."), info)

    class Sync(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            as_http2(request)
            response = super().handle_request(request)
            response.extensions["http_version"] = b"HTTP/2"
            return response

    class Async(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            as_http2(request)
            response = await super().handle_async_request(request)
            response.extensions["http_version"] = b"HTTP/2"
            return response

    return httpx.AsyncClient(transport=Async()) if driver.is_async else httpx.Client(transport=Sync())


def test_a_connection_that_requests_share_stays_open(driver: Driver) -> None:
    with Counting() as server:
        server.will(wire(source(1)))
        own = shared(driver)
        client = driver.client(KEY, server.url, http_client=own)
        for _ in range(3):
            assert client.data_sources.create("t").id == 1
        assert server.connections == 1
        driver.run(own.aclose() if driver.is_async else own.close())


def test_a_time_out_leaves_nothing_behind(driver: Driver, server: ScriptedServer) -> None:
    server.will(silence, wire(source(1)))
    own: Any = (httpx.AsyncClient if driver.is_async else httpx.Client)()
    client = driver.client(KEY, server.url, http_client=own, timeout=2.0)
    with pytest.raises(APITimeoutError, match="may have taken effect"):
        client.data_sources.create("t")
    assert client.with_options(timeout=50.0).data_sources.create("t").id == 1
    driver.run(own.aclose() if driver.is_async else own.close())
