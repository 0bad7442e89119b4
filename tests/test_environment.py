"""What the environment says about connections: proxies, exceptions to them, certificates. Wrong values are named."""

import contextlib
import logging
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from databox import APIConnectionError, ConfigurationError
from databox.config import load_config
from databox.sending.environment import certificates_for, proxy_for
from tests.drive import Driver
from tests.ports import Port
from tests.scripted import ScriptedServer, answer, secured, tls_for
from tests.tunnel import Tunnel

KEY = "test-key-0123456789"
OK = answer(200, {"requestId": "r", "status": "success", "accounts": []})
API = "https://api.example.org"
PROXY = "http://proxy.example.com:3128"
PROXIES = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
LOOPBACK = [
    *[
        "http://localhost:8700",
        "http://LOCALHOST",
        "http://box.localhost",
        "http://localhost.",
        "http://127.0.0.1:8700",
    ],
    *["http://127.255.255.254", "http://127.1", "http://0x7f000001", "http://[::1]:8700", "http://[0:0:0:0:0:0:0:1]"],
    *["http://[::ffff:127.0.0.1]", "https://localhost", "https://127.0.0.1"],
]
NOT_LOOPBACK = [
    *[
        "http://localhost.example.org",
        "http://notlocalhost",
        "http://128.0.0.1",
        "http://126.255.255.255",
        "http://[::2]",
    ],
    *["http://127.0.0.1.example.org", "http://[::ffff:128.0.0.1]", "http://10.0.0.1", "http://x-localhost"],
]


def given_environment(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def proxy_of(base_url: str) -> str | None:
    """Return the proxy for a base URL as a user writes it."""
    found = proxy_for(load_config(KEY, base_url).base_url)
    return None if found is None else str(found.url)


# Which proxy


@pytest.mark.parametrize(
    ("environ", "base_url", "proxy"),
    [
        ({}, API, None),
        ({"HTTPS_PROXY": PROXY}, API, PROXY),
        ({"https_proxy": PROXY}, API, PROXY),
        ({"ALL_PROXY": PROXY}, API, PROXY),
        ({"HTTP_PROXY": PROXY}, API, None),
        ({"HTTP_PROXY": PROXY}, "http://api.example.org", PROXY),
        ({"HTTPS_PROXY": PROXY}, "http://api.example.org", None),
        ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "socks://other"}, API, PROXY),
        ({"HTTPS_PROXY": "http://capitals", "https_proxy": PROXY}, API, PROXY),
        ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, API, None),
        ({"HTTPS_PROXY": ""}, API, None),
        ({"HTTPS_PROXY": "proxy.example.com:3128"}, API, PROXY),
        ({"HTTPS_PROXY": f" {PROXY}/ "}, API, f"{PROXY}/"),
        ({"HTTPS_PROXY": "HTTP://PROXY.example.com:3128"}, API, PROXY),
        ({"HTTPS_PROXY": "http://user:p%40ss@proxy.example.com:3128"}, API, PROXY),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, API, "http://[::1]:3128"),
        ({"HTTPS_PROXY": "http://münchen.example:3128"}, API, "http://xn--mnchen-3ya.example:3128"),
        ({"ALL_PROXY": "socks5://127.0.0.1:1080"}, API, "socks5://127.0.0.1:1080"),
        ({"ALL_PROXY": "socks5h://127.0.0.1"}, API, "socks5h://127.0.0.1"),
        ({"HTTP_PROXY": "http://evil", "REQUEST_METHOD": "GET"}, "http://api.example.org", None),  # CVE-2016-1000110
        ({"no_proxy": "[", "NO_PROXY": "10.0.0.0/99"}, API, None),  # irrelevant without a proxy
    ],
)
def test_which_proxy(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], base_url: str, proxy: str | None
) -> None:
    given_environment(monkeypatch, environ)
    assert proxy_of(base_url) == proxy


@pytest.mark.parametrize(
    ("listed", "base_url", "needed"),
    [
        ("*", API, False),
        ("other.org, *", API, False),
        ("example.org", API, False),
        ("EXAMPLE.org", API, False),
        (".example.org", API, False),
        ("*.example.org", API, False),
        ("example.org.", API, False),
        ("api.example.org", "https://api.example.org.", False),
        ("a.org,api.example.org", API, False),
        ("a.org api.example.org", API, False),
        (" , ,api.example.org,", API, False),
        ("api.*", API, False),
        ("ample.org", API, True),
        ("example.or", API, True),
        ("api.example.org:443", API, False),
        ("api.example.org:8443", API, True),
        ("api.example.org:8443", f"{API}:8443", False),
        (".example.org:443", API, False),
        ("https://api.example.org", API, False),
        ("https://api.example.org/", API, False),
        ("http://api.example.org", API, True),
        ("all://api.example.org:443", API, False),
        ("münchen.example", "https://münchen.example", False),
        ("münchen.example", "https://xn--mnchen-3ya.example", False),
        ("10.1.2.3", "https://10.1.2.3", False),
        ("10.1.2.4", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://10.1.2.3", False),
        ("10.9.9.9/8", "https://10.1.2.3", False),
        ("10.0.0.0/8", "https://11.1.2.3", True),
        ("10.0.0.0/8", API, True),
        ("10.0.0.0/8:8443", "https://10.1.2.3", True),
        ("10.*", "https://10.1.2.3", False),
        ("0/0", "https://10.1.2.3", None),
        ("::1", API, True),
        ("[::1]", API, True),
        ("fd00::1", "https://[fd00::1]", False),
        ("FD00:0::1", "https://[fd00::1]", False),
        ("[fd00::1]", "https://[fd00::1]", False),
        ("[fd00::1]:443", "https://[fd00::1]", False),
        ("[fd00::1]:8443", "https://[fd00::1]", True),
        ("fd00::/8", "https://[fd00::1]", False),
        ("[fd00::]/8", "https://[fd00::1]", False),
        ("fd00::/8", "https://10.1.2.3", True),
        ("<local>", API, True),
        ("localhost,127.0.0.1,.internal,169.254.169.254,10.0.0.0/8,[::1],fe80::/10", API, True),
        # What cannot be read is an error, wherever it is.
        ("[::1", API, None),
        ("::1]", API, None),
        ("[api.example.org]", API, None),
        ("[]", API, None),
        ("api.example.org:99999", API, None),
        ("api.example.org:0", API, None),
        ("api.example.org:x", API, None),
        pytest.param(f"api.example.org:{'9' * 5000}", API, None, id="5,000 digits"),
        ("10.0.0.0/33", API, None),
        ("10.0.0.0/", API, True),
        ("example.org/8", API, None),
        ("fd00::/129", API, None),
        ("::1::", API, None),
        ("https://api.example.org/path", API, None),
        ("*,[::1", API, None),
    ],
)
def test_which_hosts_need_no_proxy(
    monkeypatch: pytest.MonkeyPatch, listed: str, base_url: str, needed: bool | None
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", listed)
    if needed is None:
        unreadable = r"^NO_PROXY cannot be used: its entry \d, '.*', cannot be read"
        with pytest.raises(ConfigurationError, match=unreadable) as caught:
            proxy_of(base_url)
        assert caught.value.__context__ is sys.exc_info()[1]
    else:
        assert proxy_of(base_url) == (PROXY if needed else None)


@pytest.mark.parametrize("base_url", LOOPBACK)
@pytest.mark.parametrize("proxy", [PROXY, "socks://x", "http://["])
def test_loopback_never_takes_a_proxy(monkeypatch: pytest.MonkeyPatch, base_url: str, proxy: str) -> None:
    """The values of the variables do not matter then."""
    given_environment(monkeypatch, {"ALL_PROXY": proxy, "NO_PROXY": "[::"})
    assert proxy_of(base_url) is None


@pytest.mark.parametrize("base_url", NOT_LOOPBACK)
def test_what_only_looks_like_loopback_takes_it(monkeypatch: pytest.MonkeyPatch, base_url: str) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    assert proxy_of(base_url) == PROXY


@pytest.mark.parametrize("variable", PROXIES)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks://user:secret@127.0.0.1:1080", "Write socks5:// if it is a SOCKS 5 proxy"),
        ("socks4://user:secret@127.0.0.1:1080", "one of http, https, socks5, socks5h"),
        ("ftp://user:secret@proxy.example.com", "one of http, https, socks5, socks5h"),
        ("://user:secret@proxy.example.com", "one of http, https, socks5, socks5h"),
        ("socks5://user:" + "secret" * 50 + "@127.0.0.1:1080", "at most 255 bytes"),
        ("socks5h://us%C3%A9r:" + "%C3%A9" * 128 + "@127.0.0.1", "at most 255 bytes"),
        ("http://user:secret@", "host or port"),
        ("http://user:secret@:3128", "host or port"),
        ("http://user:secret@proxy.example.com:99999", "host or port"),
        ("http://user:secret@proxy.example.com:0", "percent-encoded"),
        ("http://user:secret@proxy.example.com:port", "host or port"),
        ("http://user:secret@proxy..example.com", "host or port"),
        ("http://user:secret@" + "x" * 64, "host or port"),
        ("http://user:secret@[::1", "host or port"),
        ("http://user:secret@256.1.1.1", "host or port"),
        ("http://user:secret@pro xy", "host or port"),
        ("http://user:se/cret@proxy.example.com:3128", "percent-encoded"),
        ("http://user:se#cret@proxy.example.com:3128", "percent-encoded"),
        ("http://user:1?secret@proxy.example.com:3128", "percent-encoded"),
        ("http://user:1/secret@proxy.example.com:3128", "percent-encoded"),
        ("user:secret@proxy.example.com:x", "host or port"),
        ("http://user:secret\udcff@proxy.example.com", "percent-encoded"),
        ("http://user:secret\x1b@proxy.example.com", "percent-encoded"),
        pytest.param(f"http://user:secret@h/{'x' * 70_000}", "percent-encoded", id="70,000 characters"),
        (PROXY + "\nsecret", "host or port"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{variable} cannot be used: .*or unset it") as caught:
        proxy_of(API)
    assert words in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is sys.exc_info()[1]  # a parser's error, which contains the value
    assert "secret" not in str(caught.value)


def test_no_proxy_that_is_a_proxy_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    given_environment(monkeypatch, {"ALL_PROXY": PROXY, "NO_PROXY": "a.org,http://user:se,cret@proxy.example.com:3128"})
    with pytest.raises(ConfigurationError, match="its entry 2 cannot be read") as caught:
        proxy_of(API)
    assert "user" not in str(caught.value)


def test_a_socks_proxy_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1080")
    assert proxy_of(API)
    monkeypatch.setitem(sys.modules, "socksio", None)  # which makes importing it fail
    with pytest.raises(ConfigurationError, match=r"^all_proxy cannot be used: .*pip install 'httpx\[socks\]'"):
        proxy_of(API)


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.lists(
    st.sampled_from(
        [*":/@[]*.,%#?- \t", "//", "http", "socks5", "https", "user:secret@", "h", "::1", "10.0.0.0", "8", "99999"]
    )
).map("".join)


@given(
    proxy=WORDS | WORDS.map("http://user:secret@".__add__), no_proxy=WORDS, scheme=st.sampled_from(["http", "https"])
)
def test_any_environment_gives_a_proxy_that_works_or_an_error_that_names_it(
    proxy: str, no_proxy: str, scheme: str
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        given_environment(monkeypatch, {"ALL_PROXY": proxy, "NO_PROXY": no_proxy})
        try:
            found = proxy_for(f"{scheme}://api.example.org")
        except ConfigurationError as error:
            assert str(error).startswith(("ALL_PROXY cannot be used", "NO_PROXY cannot be used"))
            assert "secret" not in str(error)
        else:
            with httpx.Client(proxy=found, verify=NOBODY, trust_env=False):
                pass


NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


# Proxies that exist


@pytest.fixture
def proxied(driver: Driver, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> ScriptedServer:
    """The scripted server as the proxy for everything that may use one."""
    given_environment(monkeypatch, {"HTTP_PROXY": server.url, "HTTPS_PROXY": server.url, "NO_PROXY": "direct.invalid"})
    server.will(OK)
    return server


def test_a_proxy_of_the_environment_is_used(driver: Driver, proxied: ScriptedServer) -> None:
    client = driver.client(KEY, "http://api.invalid/base")
    assert client.accounts.list().items == ()
    assert [request.target for request in proxied.requests] == ["http://api.invalid/base/v1/accounts"]
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.accounts.list()


def test_a_proxy_never_sees_the_key_of_https(driver: Driver, proxied: ScriptedServer) -> None:
    proxied.will(answer(403, "Forbidden"))
    with pytest.raises(APIConnectionError, match="Nothing was sent"):
        driver.client(KEY, "https://api.invalid").data_sources.create("t")
    assert [(request.method, request.target) for request in proxied.requests] == [("CONNECT", "api.invalid:443")]
    assert KEY not in str(proxied.requests[0].headers)


def test_some_hosts_take_none(driver: Driver, proxied: ScriptedServer) -> None:
    with pytest.raises(APIConnectionError):
        driver.client(KEY, "http://direct.invalid").accounts.list()
    assert not proxied.requests


def test_loopback_takes_none(driver: Driver, proxied: ScriptedServer) -> None:
    port = proxied.url.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1", "127.1"):
        assert driver.client(KEY, f"http://{host}:{port}").accounts.list().items == ()
    assert [request.target for request in proxied.requests] == ["/v1/accounts"] * 3


def test_what_httpx_cannot_read_in_no_proxy_is_read(
    driver: Driver, proxied: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "[::1],10.0.0.0/8,fd00::/8,api.invalid:8080")
    assert driver.client(KEY, "http://api.invalid").accounts.list().items == ()
    assert [request.target for request in proxied.requests] == ["http://api.invalid/v1/accounts"]


def test_plain_http_through_a_proxy_warns(
    driver: Driver, proxied: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    def ours() -> list[int]:
        return [record.levelno for record in caplog.records if record.name == "databox"]

    driver.client(KEY, proxied.url)
    assert ours() == []
    driver.client(KEY, "http://api.invalid").accounts.list()
    assert ours() == [logging.WARNING]
    assert "http://api.invalid is not https" in caplog.text


@pytest.mark.parametrize("kind", ["http", "https", "socks5", "socks5h"])
@pytest.mark.parametrize("password", [None, "s3cret", "a:b@c/d#e?f%g ü"])
def test_every_kind_of_proxy(
    driver: Driver, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, kind: str, password: str | None
) -> None:
    """The message's advice about special characters works."""
    with (
        secured(authority, "api.invalid") as server,
        Tunnel(server.url, tls_for(authority) if kind == "https" else None) as tunnel,
    ):
        server.will(OK)
        user = "" if password is None else f"user:{quote(password, safe='')}@"
        monkeypatch.setenv("HTTPS_PROXY", f"{kind}://{user}127.0.0.1:{tunnel.port}")
        client = driver.client(KEY, "https://api.invalid")
        for _ in range(3):
            assert client.accounts.list().items == ()
        assert tunnel.asked == ["api.invalid:443"] * 3  # each request has its own connection
        assert tunnel.users == [None if password is None else f"user:{password}"] * 3
        assert [request.target for request in server.requests] == ["/v1/accounts"] * 3
        assert "proxy-authorization" not in server.requests[0].headers


@contextlib.contextmanager
def saying(data: bytes) -> Iterator[int]:
    """A server that reads something, writes something, and closes, again and again; the value is its port."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(1000)
                    connection.sendall(data)

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("kind", ["http", "https"])
@pytest.mark.parametrize(
    "said", [b"", b"\5\xff", b"\5\0", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 407 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_a_proxy_that_lets_nothing_through_is_no_reason_to_fear_for_rows(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, kind: str, said: bytes
) -> None:
    """A request to a proxy is not the request itself, which certainly had no effect."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    with saying(said) as port:
        monkeypatch.setenv("ALL_PROXY", f"{kind}://user:s3cret@127.0.0.1:{port}")
        client = driver.client(KEY, "https://api.invalid", max_retries=1, timeout=5.0)
        with pytest.raises(APIConnectionError, match=r"Nothing was sent\. .* any proxy on the way") as caught:
            client.data_sources.create("t")
    assert not caught.value.request_sent
    assert "s3cret" not in str(caught.value)


def test_a_proxy_that_cannot_be_reached_is_named(
    driver: Driver, closed_port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the API, which may be fine, is what refuses the connection."""
    port = closed_port.number
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:s3cret@127.0.0.1:{port}")
    client = driver.client(KEY, "https://api.invalid", max_retries=0, timeout=5.0)
    with pytest.raises(APIConnectionError) as caught:
        client.accounts.list()
    assert f"https://api.invalid through the proxy http://127.0.0.1:{port}: " in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "user" not in str(caught.value)


CREATE = """
import asyncio
from databox import APIConnectionError, AsyncDatabox, Databox

def told(error):
    assert "Nothing was sent" in str(error) and not error.request_sent, error
    assert "s3cret" not in str(error), error

try:
    Databox("key-0123456789", "https://api.invalid", timeout=5, max_retries=1).data_sources.create("t")
except APIConnectionError as error:
    told(error)

async def create():
    async with AsyncDatabox("key-0123456789", "https://api.invalid", timeout=5, max_retries=1) as client:
        await client.data_sources.create("t")

try:
    asyncio.run(create())
except APIConnectionError as error:
    told(error)
print("told")
"""


@pytest.mark.slow
@pytest.mark.parametrize("said", [b"", b"\5\xff", b"\5\0", b"SSH-2.0-OpenSSH_9\r\n"])
def test_a_socks_proxy_that_lets_nothing_through(said: bytes) -> None:
    """In a separate process, because httpcore leaves such a connection to the garbage collector, which warns."""
    with saying(said) as port:
        environ = os.environ | {"ALL_PROXY": f"socks5://user:s3cret@127.0.0.1:{port}"}
        done = subprocess.run([sys.executable, "-c", CREATE], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "told\n"), done.stderr


def test_a_client_keeps_to_the_environment_that_it_was_made_in(
    driver: Driver, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secured(authority, "api.invalid") as server, Tunnel(server.url) as tunnel:
        server.will(OK)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{tunnel.port}")
        client = driver.client(KEY, "https://api.invalid")
        given_environment(monkeypatch, {"HTTPS_PROXY": "socks://", "NO_PROXY": "[", "SSL_CERT_FILE": "/nowhere"})
        assert client.accounts.list().items == ()
        assert tunnel.asked == ["api.invalid:443"]


def test_a_wrong_environment_is_told_when_the_client_is_made(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match="ALL_PROXY"):
        driver.client(KEY, API)
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "[::1")
    with pytest.raises(ConfigurationError, match="NO_PROXY"):
        driver.client(KEY, API)
    monkeypatch.delenv("NO_PROXY")
    driver.client(KEY, API)


def test_a_client_of_the_callers_own_knows_nothing_of_it(
    driver: Driver, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.will(OK)
    kind = httpx.AsyncClient if driver.is_async else httpx.Client
    mine: Any = kind(proxy=server.url, verify=NOBODY, trust_env=False)
    given_environment(monkeypatch, {"ALL_PROXY": "socks://", "NO_PROXY": "[", "SSL_CERT_FILE": "/nowhere"})
    for base_url in ("http://api.invalid", "http://127.0.0.1:9"):
        driver.client(KEY, base_url, http_client=mine).accounts.list()
    assert [request.target for request in server.requests] == [
        "http://api.invalid/v1/accounts",
        "http://127.0.0.1:9/v1/accounts",
    ]
    driver.client(KEY, API, http_client=mine)
    driver.run(mine.aclose() if driver.is_async else mine.close())


# Certificates


def test_certificates_are_read_once(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trusted = certificates_for(API)
    assert certificates_for(f"{API}:8443") is trusted
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    assert certificates_for(API) is not trusted
    monkeypatch.delenv("SSL_CERT_FILE")
    assert len(certificates_for(API).get_ca_certs()) > 50


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None]
)
@pytest.mark.parametrize("kind", ["direct", "through a proxy", "through a secured proxy"])
def test_a_file_without_certificates_is_named(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, kind: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    if kind != "direct":
        monkeypatch.setenv("ALL_PROXY", PROXY if kind == "through a proxy" else "https://proxy.example.com")
    base_url = "http://api.invalid" if kind == "through a secured proxy" else API
    with pytest.raises(ConfigurationError, match=r"^SSL_CERT_FILE cannot be used: '.*ca\.pem' ") as caught:
        driver.client(KEY, base_url)
    assert caught.value.__cause__ is None
    monkeypatch.delenv("SSL_CERT_FILE")  # as the message advises
    driver.client(KEY, base_url)


def test_a_folder_is_no_file(driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        driver.client(KEY, API)


def test_certificates_do_not_matter_where_nothing_is_secured(
    driver: Driver, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"), "/nowhere/at/all")
    given_environment(monkeypatch, {**stale, "HTTP_PROXY": server.url})
    server.will(OK)
    driver.client(KEY, server.url).accounts.list()
    driver.client(KEY, "http://api.invalid").accounts.list()
    assert len(server.requests) == 2


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the command openssl, which the message names")
def test_a_folder_of_certificates(driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    with secured(authority) as server:
        server.will(OK)
        monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'gone'}:{tmp_path / 'here'}")
        with pytest.raises(ConfigurationError, match=r"^SSL_CERT_DIR cannot be used: .* Run `openssl rehash` on it"):
            driver.client(KEY, server.url)
        (tmp_path / "here").mkdir()
        authority.cert_pem.write_to_path(tmp_path / "here" / "ca.pem")
        with pytest.raises(ConfigurationError, match="SSL_CERT_DIR"):
            driver.client(KEY, server.url)
        subprocess.run(["openssl", "rehash", str(tmp_path / "here")], check=True)
        assert driver.client(KEY, server.url).accounts.list().items == ()


def test_a_log_of_keys_that_cannot_be_written_is_named(
    driver: Driver, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "no" / "keys"))
    with pytest.raises(ConfigurationError, match=r"^SSLKEYLOGFILE cannot be used"):
        driver.client(KEY, API)
    monkeypatch.delenv("SSLKEYLOGFILE")
    driver.client(KEY, API)


# The key in plain text


@pytest.mark.parametrize("through", [None, "environment"])
def test_a_key_that_crosses_a_network_in_clear_is_warned_of(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, through: str | None
) -> None:
    if through:
        monkeypatch.setenv("HTTP_PROXY", PROXY)
    driver.client(KEY, "http://api.example.org")
    (warning,) = caplog.messages
    assert "unencrypted" in warning
    assert "any proxy" in warning


def test_a_tunnel_does_not_see_the_key(
    driver: Driver, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with secured(authority, "api.example.org") as server, Tunnel(server.url) as proxy:
        server.will(OK)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        driver.client(KEY, API).accounts.list()
    assert not caplog.messages


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://localhost:1"])
def test_a_proxy_of_the_callers_client_is_warned_of_where_the_address_is_loopback(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, base_url: str
) -> None:
    """httpx sends loopback requests through such a proxy; nothing else says that the key leaves the machine."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    kind = httpx.AsyncClient if driver.is_async else httpx.Client
    http: Any = kind()
    client = driver.client(KEY, base_url, http_client=http)
    for _ in range(2):
        with pytest.raises(APIConnectionError):
            client.accounts.list()
    driver.run(http.aclose() if driver.is_async else http.close())
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "unencrypted" in warnings[0]
    assert "proxy.invalid" in warnings[0]


def test_no_warning_where_the_proxy_is_on_this_machine(
    driver: Driver, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.will(OK)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    kind = httpx.AsyncClient if driver.is_async else httpx.Client
    http: Any = kind()
    driver.client(KEY, "http://localhost:1", http_client=http).accounts.list()
    driver.run(http.aclose() if driver.is_async else http.close())
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_without_certifis_own_file_others_are_advised(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, tmp_path: Path
) -> None:
    named = os.environ["SSL_CERT_FILE"]
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))  # certificates are kept by their variables
    monkeypatch.setattr("certifi.where", lambda: str(tmp_path / "gone.pem"))
    words = "The certificates of certifi cannot be opened: No such file or directory. Reinstall it, or name others in"
    with pytest.raises(ConfigurationError, match=f"^{words} SSL_CERT_FILE"):
        driver.client(base_url="https://example.org")
    monkeypatch.setenv("SSL_CERT_FILE", named)
    driver.client(base_url="https://example.org")
