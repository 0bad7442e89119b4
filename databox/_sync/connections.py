# Derived from databox/_async/connections.py by tools/unasync.py; edit that one.
"""The connections of a client: its own, which are reused, or those of an httpx client."""

import codecs
import time
from collections import deque
from contextlib import suppress
from functools import partial
from socket import socket
from ssl import SSLContext
from typing import TYPE_CHECKING
from weakref import WeakSet

import httpx

from databox._sync.httpx_client import HttpxConnections
from databox._sync.runtime import HttpClient, breathe
from databox.config import Config
from databox.forks import renewed_in_children, undivided
from databox.sending.environment import certificates_for, proxy_for
from databox.sending.exchange import Exchange, Origin

if TYPE_CHECKING:
    from databox._sync.http1 import Connection

__all__ = ["Connections", "connections_for"]

MOST_IDLE = 20
IDLE_SECONDS = 4.0
"""How long an idle connection is kept, in seconds. Many servers close theirs after five, and of what is sent at that
moment nobody knows whether it took effect."""


def connections_for(config: Config, http_client: HttpClient) -> "Connections | HttpxConnections":
    """Return connections: the caller's, or new ones with proxies and certificates from the environment.

    Raises:
        ConfigurationError: the environment names a proxy or certificates that cannot be used.
        TypeError: the caller's object is not an httpx client.
    """
    if isinstance(http_client, httpx.Client):
        return HttpxConnections(config, http_client)
    if http_client is not None:
        raise TypeError(f"http_client must be an httpx.Client, not {type(http_client).__name__}.")
    proxy, trusted = proxy_for(config.base_url), certificates_for(config.base_url)
    if proxy is not None:
        make_client = partial(httpx.Client, proxy=proxy, verify=trusted, trust_env=False)
        return HttpxConnections(config, None, make_client, f"{proxy.url.scheme}://{proxy.url.netloc.decode()}")
    return Connections(config, trusted)


class Connections:
    """Our own connections, for any number of threads in any event loops; each serves one exchange at a time.

    They are plain sockets, so no event loop owns them; a task that takes an idle one has it to itself.
    """

    proxy = ""
    """None is used."""

    def __init__(self, config: Config, trusted: SSLContext) -> None:
        self._key = config.key
        self._origin = Origin(config.base_url)
        self._trusted = trusted
        self._idle: deque[Connection] = deque()
        self._sockets: WeakSet[socket] = WeakSet()
        """All that are open: of idle connections, of those in use, and of those that are being opened."""
        self.is_closed = False
        renewed_in_children(self)

    def after_fork(self) -> None:
        """Leave the parent's connections alone; each ends when the parent closes it, however long the child lives."""
        for each in list(self._sockets):
            each.close()
        self._idle = deque()
        self._sockets = WeakSet()

    def close(self) -> None:
        """Close all connections; those in use close when their request has ended."""
        self.is_closed = True
        with suppress(IndexError):  # there are no more
            while True:
                self._idle.pop().close()

    def run(self, exchange: Exchange) -> None:
        """Send a request and fill in its answer.

        Raises:
            httpx.RequestError: the answer did not arrive completely.
            TimeoutError: it did not arrive in time.
        """
        breathe()  # answers may arrive so soon that nothing else waits; a task cancelled here has sent nothing
        exchange.begin()
        connection = self._idle_connection() or self._new_connection(exchange)
        try:
            connection.talk(exchange, self._key)
        except BaseException:
            connection.close()
            raise
        self._keep(connection, exchange)

    def _new_connection(self, exchange: Exchange) -> "Connection":
        with undivided:
            codecs.lookup("idna")  # imports what looking up a host needs
            from databox._sync.http1 import open_connection  # h11 is not needed earlier, and is slow to import

        return open_connection(self._origin, self._trusted, exchange, self._sockets.add)

    def _idle_connection(self) -> "Connection | None":
        """The connection that was used last, if it can be reused."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - connection.idle_since < IDLE_SECONDS and connection.is_quiet():
                return connection
            connection.close()

    def _keep(self, connection: "Connection", exchange: Exchange) -> None:
        if not connection.may_serve_again(exchange):
            connection.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if self.is_closed or len(self._idle) > MOST_IDLE:
            with suppress(IndexError):  # another thread took it
                self._idle.popleft().close()
