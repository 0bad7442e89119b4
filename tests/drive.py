"""One test body for both clients: `drive` completes what either returns."""

import inspect
from collections.abc import AsyncIterable
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal

from databox import AsyncDatabox, Databox


class Driver:
    """Makes clients of one kind and runs their calls to the end: sync or async, on connections of theirs or of httpx's.

    An asynchronous client's calls all run in one event loop in a thread of its own, as its connections belong to it.
    """

    def __init__(self, kind: str, portal: BlockingPortal | None) -> None:
        self.kind = kind
        self.is_async = not kind.startswith("sync")
        self.is_httpx = kind.endswith("httpx")
        self._portal = portal
        self.ingest_defaults: dict[str, Any] = {}
        """Options of `datasets.ingest` that all tests of a module use."""
        self._clients: list[Any] = []
        self._http_clients: list[Any] = []

    def client(self, api_key: str | None = "test-key-0123456789", base_url: str | None = None, **options: Any) -> Any:
        """Return a client without limits and retries, unless requested, wrapped so that its calls complete at once."""
        options = {"rate_limit": None, "max_retries": 0} | options
        if self.is_httpx and "http_client" not in options:
            options["http_client"] = (httpx.AsyncClient if self.is_async else httpx.Client)()
            self._http_clients.append(options["http_client"])
        made = (AsyncDatabox if self.is_async else Databox)(api_key, base_url, **options)
        self._clients.append(made)
        return Driven(made, self)

    def run(self, value: Any) -> Any:
        """Complete a value that may have to be awaited."""
        if inspect.isawaitable(value):
            assert self._portal

            async def finish() -> Any:
                return await value

            return self._portal.call(finish)
        return value

    def collect(self, items: Any) -> list[Any]:
        """Walk an iterator of either kind to its end."""
        if isinstance(items, AsyncIterable):
            assert self._portal

            async def walk() -> list[Any]:
                return [item async for item in items]

            found: list[Any] = self._portal.call(walk)
            return found
        return list(items)

    def source(self, items: Any) -> Any:
        """Return rows as the kind of source that suits the client."""
        if not self.is_async:
            return iter(items)

        async def walk() -> Any:
            for item in items:
                yield item

        return walk()

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            self.run(client.aclose() if self.is_async else client.close())
        for http_client in self._http_clients:
            self.run(http_client.aclose() if self.is_async else http_client.close())


class Driven:
    """A client, or a part of one, whose calls return results, whichever kind it is."""

    def __init__(self, inner: Any, driver: Driver) -> None:
        self.inner = inner
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        if name == "close" and self._driver.is_async:
            name = "aclose"
        value = getattr(self.inner, name)
        if name in {"accounts", "auth", "data_sources", "datasets"}:
            return Driven(value, self._driver)
        if name == "with_options":
            return lambda **options: Driven(value(**options), self._driver)
        given = self._driver.ingest_defaults if name == "ingest" else {}
        return (
            (lambda *args, **kwargs: self._driver.run(value(*args, **(given | kwargs)))) if callable(value) else value
        )
