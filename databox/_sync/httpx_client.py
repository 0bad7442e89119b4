# Derived from databox/_async/httpx_client.py by tools/unasync.py; edit that one.
"""Sends through an httpx client, each request on its own connection: httpx cannot tell which are safe to reuse."""

import socket
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import httpx

from databox._sync.runtime import Deadline
from databox.config import KEY_HEADER, Config
from databox.display import logger
from databox.hosts import is_loopback
from databox.sending.exchange import Exchange

__all__ = ["HttpxConnections"]

log = logger("databox")

_CONNECTS = "connect_tcp.started"
_LEAVES = "send_request_headers.started"
_FAILS = ("send_request_headers.failed", "send_request_body.failed")
_ENDS = "http11.response_closed.started"
_CONNECTED = ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")


class HttpxConnections:
    """The connections of httpx: of the caller's client, or of a new client for each request if there is a proxy.

    Args:
        config: the key and the address.
        http_client: the caller's client, which stays open.
        make_client: creates the clients if the caller has none.
        proxy: the address of the proxy that they use, without its password.
    """

    def __init__(
        self,
        config: Config,
        http_client: httpx.Client | None,
        make_client: Callable[[], httpx.Client] = httpx.Client,
        proxy: str = "",
    ) -> None:
        self.proxy = proxy
        self._base_url = config.base_url
        self._stays_here = config.base_url.startswith("http:") and not config.exposes_key
        """Whether the key may be sent unencrypted because it does not leave this machine."""
        self._key = config.key
        self._http = http_client
        self._make_client = make_client
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the connections are closed."""
        return self._is_closed or (self._http is not None and self._http.is_closed)

    def close(self) -> None:
        """Stop sending; the caller closes its own client."""
        self._is_closed = True

    def run(self, exchange: Exchange) -> None:
        """Send a request and fill in its answer.

        Raises:
            httpx.RequestError: the answer did not arrive completely.
            TimeoutError: it did not arrive in time.
        """
        exchange.begin()
        steps = _Steps(exchange, self._connects)
        try:
            with (
                Deadline(exchange.timeout, steps.end_connection),
                nullcontext(self._http) if self._http else self._make_client() as http,
            ):
                request = http.build_request(
                    exchange.method,
                    self._base_url + exchange.target,
                    content=exchange.body,
                    headers={**exchange.request_headers(), KEY_HEADER: self._key.reveal()},
                    timeout=exchange.timeout,
                    extensions={"trace": steps.note},
                )
                exchange.sent = True  # unless it turns out that it was not
                response = http.send(request, auth=httpx.Auth(), follow_redirects=False, stream=True)
                steps.answered(response)
                try:
                    self._read(response, exchange)
                finally:
                    response.close()
        except BaseException as error:
            exchange.sent = steps.may_have_sent(error)
            steps.abandon()
            if type(error).__module__.startswith("socksio."):  # httpx does not wrap these
                raise httpx.ProxyError(f"the SOCKS proxy: {error}") from error
            raise
        finally:
            steps.close()

    def _connects(self, host: str) -> None:
        """Warn about what the address does not show: that the caller's client sends requests through a proxy."""
        if self._stays_here and not is_loopback(host):
            self._stays_here = False
            log.warning(
                "The key crosses the network unencrypted: the httpx client sends requests to %s through the proxy %s. "
                "Create it with trust_env=False, or add the host to NO_PROXY.",
                self._base_url,
                host,
            )

    def _read(self, response: httpx.Response, exchange: Exchange) -> None:
        exchange.begin_answer(response.status_code, response.headers.raw)
        if response.is_stream_consumed:  # from transports that return a finished answer, decoded
            exchange.headers = {**exchange.headers, "content-encoding": ""}
            exchange.answer = response.content
            exchange.check_size(len(exchange.answer))
            return
        answer = bytearray()
        for part in response.iter_raw():
            answer += part
            exchange.time_left()
            exchange.check_size(len(answer))
        exchange.time_left()  # the deadline ends the connection, which may look like the end of the answer
        exchange.answer = bytes(answer)


class _Steps:
    """The steps of one exchange as reported by httpx, as far as its transport reports them."""

    def __init__(self, exchange: Exchange, connects: Callable[[str], None]) -> None:
        self._exchange = exchange
        self._connects = connects
        self._seen: list[str] = []
        self._socket: socket.socket | None = None
        """A copy of the connection's socket."""
        self._stream: Any = None
        """The connection as httpx has it."""

    def note(self, event: str, info: dict[str, Any]) -> None:
        """Record a step, unless it is between us and a proxy."""
        if event.endswith(_CONNECTS):
            self._connects(info.get("host", ""))
        elif event.endswith(_CONNECTED):
            self._goes_through(info.get("return_value"))
        elif event.startswith("http2."):
            self.close()  # others share the connection, which keeps their answers apart
        if getattr(info.get("request"), "method", None) == b"CONNECT":
            return
        self._seen.append(event)
        if event.endswith(_LEAVES):
            self._exchange.leaves()
        elif event.endswith(_FAILS):
            self._exchange.truncated = True  # httpx reads the answer nevertheless
        elif event == _ENDS:
            # httpx would reuse the connection without checking what else the server has sent on it, which would
            # then be taken for the answer to the next request. Nor does it know of forks and other event loops. It
            # treats a shut-down connection as closed by the server, and closes it.
            self.end_connection()

    def answered(self, response: httpx.Response) -> None:
        """Record that an answer has begun."""
        if not response.is_closed and response.http_version != "HTTP/2":  # otherwise it may already serve others
            self._goes_through(response.extensions.get("network_stream"))

    def end_connection(self) -> None:
        """Shut the connection down, so that it is not reused. May be called from any thread."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Close the connection after a failure: httpx leaves it open when the TLS handshake is cancelled."""
        self.end_connection()
        with suppress(Exception):  # a transport may provide any object as its stream
            self._stream.close()

    def close(self) -> None:
        """Release the connection."""
        self._stream = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _goes_through(self, stream: Any) -> None:
        with suppress(AttributeError, OSError, TypeError, ValueError):  # a transport may provide anything, or nothing
            # Our own copy, because event loops and TLS do not let others shut down theirs.
            copy = socket.fromfd(stream.get_extra_info("socket").fileno(), socket.AF_INET, socket.SOCK_STREAM)
            self.close()
            self._socket, self._stream = copy, stream
        self._exchange.time_left()  # it may have run out while there was no connection to shut down

    def may_have_sent(self, error: BaseException) -> bool:
        """Whether any part of the request may have been sent, now that the exchange has failed."""
        if isinstance(error, httpx.ProxyError):
            return False  # the proxy refused; what it was sent so far is not the request
        if self._seen:
            return any(event.endswith(_LEAVES) for event in self._seen)
        # Not every transport reports its steps; then only a failed connection proves anything.
        return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
