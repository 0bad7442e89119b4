# Derived from databox/_async/connections.py by tools/unasync.py; edit that one.
"""Sends through an httpx client."""

from collections.abc import Generator

import httpx

from databox._sync.runtime import Deadline, trace
from databox.config import KEY_HEADER, Config, Secret
from databox.exchange import Exchange

__all__ = ["HttpxConnections"]

_LEAVES = "send_request_headers.started"


class _KeyHeader(httpx.Auth):
    """Adds the key at the last moment, so that no request object shows it before."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[KEY_HEADER] = self._key.reveal()
        yield request


class HttpxConnections:
    """The connections of an httpx client: the caller's, or one of our own where there is a proxy on the way.

    Args:
        config: the key and the address.
        http_client: the client to send through.
        closes: whether it is ours, and closed with these connections.
    """

    def __init__(self, config: Config, http_client: httpx.Client, *, closes: bool = False) -> None:
        self._base_url = config.base_url
        self._auth = _KeyHeader(config.key)
        self._http = http_client
        self._closes = closes

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._http.is_closed

    def close(self) -> None:
        """Close the client, unless it is the caller's to close."""
        if self._closes:
            self._http.close()

    def run(self, exchange: Exchange) -> None:
        """Send a request and fill in its answer.

        Raises:
            httpx.RequestError: something kept the answer from arriving whole.
            TimeoutError: it did not arrive in time.
        """
        seen: list[str] = []

        def note(event: str) -> None:
            seen.append(event)
            if event.endswith(_LEAVES):
                exchange.leaves()

        request = self._http.build_request(
            exchange.method,
            self._base_url + exchange.target,
            content=exchange.body,
            headers=exchange.request_headers(),
            timeout=exchange.timeout,
            extensions={"trace": trace(note)},
        )
        try:
            with Deadline(exchange.timeout) as deadline:
                response = self._http.send(request, auth=self._auth, follow_redirects=False, stream=True)
                try:
                    self._read(response, exchange, deadline)
                finally:
                    response.close()
        except BaseException as error:
            exchange.sent = self._may_have_sent(seen, error)
            if type(error).__module__.startswith("socksio."):  # httpx lets these through; the package need not be there
                raise httpx.ProxyError(f"the SOCKS proxy: {error}") from error
            raise

    def _read(self, response: httpx.Response, exchange: Exchange, deadline: Deadline) -> None:
        exchange.status, exchange.headers = response.status_code, response.headers
        answer = bytearray()
        for part in response.iter_bytes():
            answer += part
            deadline.check()
            exchange.check_size(len(answer))
        exchange.answer = bytes(answer)

    def _may_have_sent(self, seen: list[str], error: BaseException) -> bool:
        if isinstance(error, httpx.ProxyError):
            return False  # the proxy does not let us through; what it was sent so far is not the request
        if seen:
            return any(event.endswith(_LEAVES) for event in seen)
        # Not every transport tells its steps; then only a failed connection proves anything.
        return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
