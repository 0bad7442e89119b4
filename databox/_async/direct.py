"""Connections of our own. Their twin is `_sync/direct.py`, which has more to do."""

import httpx

from databox import certificates
from databox._async.connections import AsyncHttpxConnections
from databox.config import Config

__all__ = ["own_connections"]


def own_connections(config: Config) -> AsyncHttpxConnections:
    """Return new connections; proxies and certificates as the environment has them."""
    return AsyncHttpxConnections(config, httpx.AsyncClient(verify=certificates.context()), ours=True)
