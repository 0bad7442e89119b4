# Derived from databox/_async/client.py by tools/unasync.py; edit that one.
"""The client: puts the parts together."""

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
    """A client of the Databox API v1, for any number of threads at once.

    Args:
        api_key: the key; else `DATABOX_API_KEY`, else the one that the official client stored.
        base_url: where to send; else `DATABOX_API_URL`, else the official client's `apiUrl`, else
            `https://api.databox.com`.
        timeout: seconds for one attempt as a whole, from connecting to the last byte; None for no limit.
        max_retries: further attempts after the first; 0 means exactly one.
        rate_limit: the most requests a second and an hour, shared by all clients in the process with the same key
            and host; None switches it off.
        http_client: an `httpx.Client` of your own, for proxies, certificates or transports; it is not closed here.
            Each request then has a connection of its own, since httpx cannot tell which are safe to keep.
        app: what your program is called, for the User-Agent: a name, or a name and a version such as `export/2.1`.

    Raises:
        ConfigurationError: there is no key, or the key, the URL or the stored file cannot be used, or the environment
            names a proxy or certificates that cannot be.
        TypeError, ValueError: an argument is of the wrong type or out of range.
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
        del api_key, base_url, app  # whoever shows the locals of a traceback does not show what may be the key
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
        """Return a client with other options on the same connections, which stay this client's to close."""
        options = self._transport.options.but(timeout=timeout, max_retries=max_retries, rate_limit=rate_limit)
        other = type(self).__new__(type(self))
        other._assemble(self._transport.with_options(options))
        return other

    def request(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None) -> Any:
        """Return the JSON answer to a request of your own, for what the published description does not list.

        It has the same key, retries, limits and errors as all others; GET, PUT and DELETE are sent again when an
        answer was lost.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: from the host on, such as `/v1/accounts`, percent-encoded where necessary.
            params: the query; entries that are None are left out.
            json: the body.

        Raises:
            TypeError, ValueError: an argument cannot be sent; nothing was.
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
        if not hasattr(self, "_transport"):  # while it is made, and when that has failed
            return f"{type(self).__name__}(not made)"
        config = self._transport.config
        return f"{type(self).__name__}(base_url={config.base_url!r}, api_key={config.key!r})"
