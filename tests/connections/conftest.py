"""Servers with and without TLS, for every way in which a client can send."""

from collections.abc import Iterator

import pytest
import trustme

from tests.scripted import ScriptedServer, tls_for


@pytest.fixture(params=["plain", "tls"])
def any_server(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[ScriptedServer]:
    """A scripted server, plain and with TLS."""
    with ScriptedServer(tls_for(authority) if request.param == "tls" else None) as server:
        yield server
