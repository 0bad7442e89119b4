"""Servers with and without TLS, for every way in which a client can send."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from databox.pooling import certificates
from tests.scripted import ScriptedServer


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """A certificate authority that the system trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    certificates.cache_clear()
    yield authority
    certificates.cache_clear()


def server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """What a server with a certificate for a name needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture(params=["plain", "tls"])
def any_server(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[ScriptedServer]:
    """A scripted server, once plain and once with TLS."""
    with ScriptedServer(server_context(authority) if request.param == "tls" else None) as server:
        yield server
