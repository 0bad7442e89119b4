"""The key shows nowhere in a traceback, whatever failed and however closely someone looks."""

import gc
import json
import os
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import httpx
import pytest

from databox import APIError, AsyncDatabox, ConfigurationError, Databox, IngestError, RateLimit
from databox.config import load_config
from databox.forks import undivided
from databox.sandbox import Sandbox
from tests.drive import Driver
from tests.locals import frames, leaks, rendered
from tests.ports import Port
from tests.programs import untraced
from tests.scripted import Received, ScriptedServer, Step, answer, drop, reset, silence, wire

EVERY_CONNECTION = True
KEY = "pak_" + "made-up-for-tests-k3y"
ECHO = f"You sent {KEY}, you know"
FAILURES: dict[str, Step] = {
    "no JSON": answer(200, ECHO),
    "refusal": answer(401, {"status": "error", "errors": [{"message": ECHO, "code": KEY}]}),
    "redirect": answer(307, "", {"location": f"https://example.org/?key={KEY}"}),
    "encoded": answer(200, ECHO, {"content-encoding": "gzip"}),
    "no HTTP": wire(f"HTTP/9.9 {ECHO}\r\n\r\n".encode(), close=True),
    "half": wire(f"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{ECHO}".encode(), close=True),
    "dropped": drop,
    "reset": reset,
    "silent": silence,
}


@pytest.fixture
def proxy(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an API that is reached through the server as its proxy."""
    monkeypatch.setenv("HTTP_PROXY", server.url)
    return "http://api.example.org"


# Sending


@pytest.mark.parametrize("failure", FAILURES)
def test_of_an_answer(driver: Driver, server: ScriptedServer, failure: str) -> None:
    server.will(FAILURES[failure])
    client = driver.client(_key(), server.url, timeout=0.5)
    with pytest.raises(APIError) as caught:
        client.request("GET", "/v1/accounts")
    assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("failure", FAILURES)
def test_through_a_proxy(driver: Driver, server: ScriptedServer, proxy: str, failure: str) -> None:
    server.will(FAILURES[failure])
    client = driver.client(_key(), proxy, timeout=0.5)
    with pytest.raises(APIError) as caught:
        client.request("GET", "/v1/accounts")
    assert leaks(caught.value, KEY) == []


def test_of_an_ingest(driver: Driver, server: ScriptedServer) -> None:
    server.will(FAILURES["refusal"])
    with pytest.raises(IngestError) as caught:
        driver.client(_key(), server.url).datasets.ingest("d", [{"a": number} for number in range(300)], batch_size=10)
    assert leaks(caught.value, KEY) == []
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("is_httpx", [False, True])
def test_as_others_show_it(server: ScriptedServer, is_httpx: bool) -> None:
    server.will(FAILURES["refusal"])
    http = httpx.Client() if is_httpx else None
    with Databox(_key(), server.url, http_client=http) as client, pytest.raises(APIError) as caught:
        client.accounts.list()
    with pytest.raises(ConfigurationError) as refused:
        Databox(_key(), "https://example.org/?key=" + _key())
    for error in (caught.value, refused.value):
        for text in rendered(error):
            assert "Error" in text
            assert KEY not in text


def test_of_a_refused_connection(driver: Driver, closed_port: Port) -> None:
    with pytest.raises(APIError) as caught:
        driver.client(_key(), closed_port.url).accounts.list()
    assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("way", ["own", "httpx", "proxy"])
def test_of_ctrl_c(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    def interrupts(_: Received) -> Step:
        os.kill(os.getpid(), signal.SIGINT)
        return silence

    server.decides(interrupts)
    url = server.url
    if way == "proxy":
        monkeypatch.setenv("HTTP_PROXY", server.url)
        url = "http://api.example.org"
    with httpx.Client() as http, Databox(_key(), url, http_client=http if way == "httpx" else None) as client:
        try:
            with untraced():
                client.accounts.list()
        except KeyboardInterrupt as error:
            assert leaks(error, KEY) == []
        else:
            pytest.fail("it was not interrupted")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("way", ["own", "httpx", "proxy"])
def test_of_a_cancelled_request(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, way: str, backend: str
) -> None:
    came = threading.Event()

    def silent(_: Received) -> Step:
        came.set()
        return silence

    server.decides(silent)
    url = server.url
    if way == "proxy":
        monkeypatch.setenv("HTTP_PROXY", server.url)
        url = "http://api.example.org"
    caught: list[BaseException] = []

    async def ask(client: AsyncDatabox) -> None:
        try:
            await client.accounts.list()
        except BaseException as error:
            caught.append(error)
            raise

    async def cancel() -> None:
        async with httpx.AsyncClient() as http:
            client = AsyncDatabox(_key(), url, http_client=http if way == "httpx" else None)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, client)
                while not came.is_set():
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()

    anyio.run(cancel, backend=backend)
    assert "Cancelled" in type(caught[0]).__name__
    assert leaks(caught[0], KEY) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of sockets that an interrupt took from httpx
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("is_httpx", [False, True])
@pytest.mark.parametrize("start", range(1, 20))
def test_of_an_interrupt_on_any_line_of_a_request(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, start: int, is_httpx: bool
) -> None:
    """Uses a debugger's means, so that it comes while libraries handle the headers."""

    def reentrant(lock: Any) -> None:
        lock._lock = threading.RLock()

    # If httpcore is interrupted at the end of a `with`, it keeps its lock, and would wait for it forever.
    monkeypatch.setattr("httpcore._synchronization.ThreadLock.__init__", reentrant)
    server.will(answer(200, {"accounts": []}))
    certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # none, which takes no time
    with httpx.Client(verify=certificates) as http:
        for http_client in (None, http):
            Databox(_key(), server.url, http_client=http_client).accounts.list()  # now everything is imported

    def interrupt_each() -> None:
        for line in range(start, 100_000, 19):
            # A new one each time, because httpcore may keep a lock that it was interrupted with.
            mine = httpx.Client(verify=certificates) if is_httpx else None
            with Databox(_key(), server.url, timeout=60, rate_limit=None, http_client=mine) as client:
                error = _interrupted(client.accounts.list, line)
            if error is None:
                return
            assert leaks(error, KEY) == [], line
        pytest.fail("it never ended")

    # In its own thread: a thread interrupted like this may act as if it handled an exception, in all later tests.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(interrupt_each).result()
    # What the interrupts left goes now, while warnings about it are ignored. A debugger can interrupt where a `with`
    # does not notice, and then a deadline holds the connection for as long as it waits.
    for each in threading.enumerate():
        if isinstance(each, threading.Timer):
            each.cancel()
            each.join()
    gc.collect()


def test_of_code_of_the_callers(server: ScriptedServer) -> None:
    """We cannot clear its frames: the request that it sees does not show the key."""

    def hook(request: httpx.Request) -> None:
        headers, raw = request.headers, request.headers.raw
        assert headers["x-api-key"] == raw[-1][1].decode() == KEY
        raise LookupError("of a hook")

    with httpx.Client(event_hooks={"request": [hook]}) as http:
        with pytest.raises(LookupError) as caught:
            Databox(_key(), server.url, http_client=http).accounts.list()
        assert leaks(caught.value, KEY) == []
        assert [frame.f_locals["raw"] for frame in frames(caught.value) if frame.f_code.co_name == "hook"]


def test_of_errors_that_the_callers_transport_collects(driver: Driver) -> None:
    """As one does that tries several ways; each error has another one of httpcore as its cause and context."""

    def both(first: Exception, second: Exception) -> Exception:
        return ExceptionGroup("no way is left", [first, second])

    class Sync(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return super().handle_request(request)
            except httpx.ConnectError as error:
                raise both(error, error) from error

    class Async(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await super().handle_async_request(request)
            except httpx.ConnectError as error:
                raise both(error, error) from error

    own = httpx.AsyncClient(transport=Async()) if driver.is_async else httpx.Client(transport=Sync())
    client = driver.client(_key(), "http://127.0.0.1:1", http_client=own)
    with pytest.raises(ExceptionGroup, match="no way is left") as caught:
        client.accounts.list()
    assert leaks(caught.value, KEY) == []
    driver.run(own.aclose() if driver.is_async else own.close())  # type: ignore[union-attr]


def test_the_key_is_sent_all_the_same(driver: Driver, server: ScriptedServer, proxy: str) -> None:
    for url in (server.url, proxy):
        driver.client(_key(), url).auth.validate_key()
        assert server.requests[-1].headers["x-api-key"] == KEY


# Making a client


@pytest.fixture(params=["arguments", "environment", "file"])
def source(request: pytest.FixtureRequest) -> str:
    """Where the key and the address come from."""
    return str(request.param)


def made(source: str, url: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    """Create a client with a key and an address that no local variable of this test contains."""
    if source == "arguments":
        return Databox(_key(), url.replace("KEY", KEY), **options)
    if source == "environment":
        monkeypatch.setenv("DATABOX_API_KEY", KEY)
        monkeypatch.setenv("DATABOX_API_URL", url.replace("KEY", KEY))
    else:
        path = Path(os.environ["HOME"], ".config", "databox-cli", "config.json")
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"apiKey": KEY, "apiUrl": url.replace("KEY", KEY)}))
    return Databox(**options)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org",
        "KEY",
        "KEY@example.org",
        "https://KEY@example.org",
        "https://user:KEY@example.org",
        "https://example.org/?api_key=KEY",
        "https://example.org/#KEY",
        "https://example.org/KEY",
        "https://KEY.example.org",
        "https://a..KEY",
        "https://[KEY]",
        "https://example.org:KEY",
        "KEY://example.org",
    ],
)
def test_of_a_bad_address(source: str, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(source, url, monkeypatch)
    assert leaks(caught.value, KEY) == []
    where = {"arguments": "", "environment": " in DATABOX_API_URL", "file": " in /"}[source]
    assert f"The base URL{where}" in str(caught.value)


def test_of_a_store_that_cannot_be_used(source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(source, "https://example.org", monkeypatch, rate_limit=RateLimit(store=tmp_path))
    assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "SSL_CERT_FILE"])
def test_of_an_environment_that_cannot_be_used(source: str, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "nonsense://")
    with pytest.raises(ConfigurationError) as caught:
        made(source, "https://example.org", monkeypatch)
    assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("scheme", ["http", "ftp", "https"])
@pytest.mark.parametrize("host", ["a..b", "example.org:99999", "example.org/@"])
def test_of_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, scheme: str, host: str) -> None:
    """Nobody may see its password either."""
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:secret-word@{host}")
    with pytest.raises(ConfigurationError) as caught:
        Databox(_key(), "https://example.org")
    assert leaks(caught.value, "secret-word") == []


@pytest.mark.parametrize("options", [{"timeout": -1}, {"max_retries": None}, {"rate_limit": 5}, {"http_client": 5}])
def test_of_options_that_cannot_be_used(source: str, monkeypatch: pytest.MonkeyPatch, options: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        made(source, "https://example.org", monkeypatch, **options)
    assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("kind", [Databox, AsyncDatabox])
def test_of_arguments_in_each_others_place(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="swapped") as caught:
        kind("https://api.databox.com", _key())
    assert leaks(caught.value, KEY) == []
    with pytest.raises(ValueError, match="app is the API key") as refused:
        kind(_key(), app=_key())
    assert leaks(refused.value, KEY) == []
    with pytest.raises(ValueError, match="app is the API key"):
        kind("another-key-0123456789", app=_key())
    with pytest.raises(TypeError, match="api_key must be a string, not bytes") as typed:
        kind(_key().encode())
    assert leaks(typed.value, KEY) == []


@pytest.mark.parametrize(
    "text", ['{"apiKey": "KEY", "apiUrl": 5}', '{"apiKey": ["KEY"]}', '["KEY"]', '{"apiKey": "KEY"']
)
def test_of_a_file_that_cannot_be_used(text: str) -> None:
    path = Path(os.environ["HOME"], ".config", "databox-cli", "config.json")
    path.parent.mkdir(parents=True)
    path.write_text(text.replace("KEY", KEY))
    with pytest.raises(ConfigurationError) as caught:
        Databox()
    assert leaks(caught.value, KEY) == []


def test_of_an_interrupt_while_a_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second line on: the first one has what the caller passes."""
    monkeypatch.setenv("DATABOX_API_KEY", KEY)
    for line in range(0, 5000, 3):
        error = _interrupted(partial(load_config, None, None), line)
        if error is None:
            break
        there = {Path(frame.f_code.co_filename).name for frame in frames(error)}
        if there.isdisjoint({"secret.py", "os.py", "_collections_abc.py"}):  # where it is read and hidden
            assert leaks(error, KEY) == [], line
    else:
        pytest.fail("it never ended")


def test_of_a_sandbox_that_is_given_a_real_key() -> None:
    with pytest.raises(ValueError, match="real one") as caught:
        Sandbox(api_key=_key())
    assert leaks(caught.value, KEY) == []


def _key() -> str:
    return KEY


def _interrupted(call: Callable[[], object], lines: int) -> BaseException | None:
    """Interrupt a call after this many lines of Python; return how it ended, or None if it ended before."""
    left = lines

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename.endswith(("threading.py", "_synchronization.py")):
            return None  # whatever is left locked there is never released
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except (KeyboardInterrupt, RuntimeError) as error:  # the latter if the interrupt came within a lock or a generator
        return error
    finally:
        sys.settrace(before)
        while undivided._is_owned():  # type: ignore[attr-defined]
            undivided.release()  # unlike a signal, a debugger interrupts where a `with` ends, too
    return None
