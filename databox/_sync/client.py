# Derived from databox/_async/client.py by tools/unasync.py; edit that one.
"""The client, which assembles the parts."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from databox._sync.datasets import Datasets
from databox._sync.resources import Accounts, Auth, DataSources
from databox._sync.runtime import HttpClient
from databox._sync.transport import Transport
from databox.api import operations
from databox.api.arguments import app_of, request_of
from databox.config import load_config
from databox.limit.rate import DOCUMENTED, RateLimit
from databox.secret import secret_of
from databox.sending.policy import UNSET, Options, Unset

__all__ = ["Databox"]


class Databox:
    """A client for the Databox API v1, safe to use from any number of threads at once.

    Args:
        api_key: the API key; if omitted, `DATABOX_API_KEY`, or the key that the official client stored.
        base_url: the API's address; if omitted, `DATABOX_API_URL`, the official client's `apiUrl`, or
            `https://api.databox.com`.
        timeout: seconds for one attempt as a whole, from connecting to the last byte; use None for no limit.
        max_retries: further attempts after the first; 0 makes a single attempt.
        rate_limit: the maximum number of requests per second and per hour, shared by all clients in the process with
            the same key and host; None turns it off.
        http_client: your own `httpx.Client`, for proxies, certificates or transports; you close it yourself.
            Each request then has its own connection, because httpx cannot tell which are safe to reuse.
        app: the name of your program for the User-Agent, with an optional version: `export` or `export/2.1`.

    Raises:
        ConfigurationError: there is no key; or the key, the URL, the stored file, or a proxy or certificates from the
            environment cannot be used.
        TypeError, ValueError: an argument has the wrong type or is out of range.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        max_retries: int = 4,
        rate_limit: RateLimit | None = DOCUMENTED,
        http_client: HttpClient = None,
        *,
        app: str | None = None,
    ) -> None:
        given = secret_of(api_key), secret_of(base_url), secret_of(app)
        del api_key, base_url, app  # so that a traceback with local variables does not show what may be the key
        options = Options(timeout, max_retries, rate_limit)
        config = load_config(*given[:2])
        self._assemble(Transport(config, options, http_client, app_of(given[2], config.key)))

    def _assemble(self, transport: Transport) -> None:
        self._transport = transport
        self.accounts = Accounts(transport)
        self.auth = Auth(transport)
        self.data_sources = DataSources(transport)
        self.datasets = Datasets(transport)

    def with_options(
        self,
        *,
        timeout: float | None | Unset = UNSET,
        max_retries: int | Unset = UNSET,
        rate_limit: RateLimit | None | Unset = UNSET,
    ) -> Self:
        """Return a client with other options that shares this client's connections; close this client to close them."""
        options = self._transport.options.but(timeout=timeout, max_retries=max_retries, rate_limit=rate_limit)
        other = type(self).__new__(type(self))
        other._assemble(self._transport.with_options(options))
        return other

    def request(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None) -> Any:
        """Return the JSON answer to any request, for endpoints that the published description does not list.

        The same key, retries, limits and errors apply as for all other methods; GET, PUT and DELETE are retried if an
        answer was lost.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: the path after the host, such as `/v1/accounts`, percent-encoded where necessary.
            params: the query parameters; None values are omitted.
            json: the body.

        Raises:
            TypeError, ValueError: an argument cannot be sent; nothing was sent.
            APIError: the request failed.
        """
        verb, path = request_of(method, path, params)
        return self._transport.send(operations.raw(verb, path, params=params, json=json))

    def close(self) -> None:
        """Close the connections. Later requests raise RuntimeError."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if not hasattr(self, "_transport"):  # during construction, and if it failed
            return f"{type(self).__name__}(not initialised)"
        config = self._transport.config
        return f"{type(self).__name__}(base_url={config.base_url!r}, api_key={config.key!r})"
