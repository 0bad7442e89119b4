"""Fixtures that many tests share."""

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
import trustme
from hypothesis import settings

from databox.sandbox import Sandbox
from databox.sending.exchange import Exchange
from tests.contract.watch import requests_are_described  # noqa: F401 - for all tests
from tests.drive import Driver
from tests.marks import leave_few, shared_out
from tests.ports import Port
from tests.scripted import ScriptedServer

settings.register_profile("project", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=25)  # of `make test`
settings.load_profile("project")

# Some tests press Ctrl-C. A shell that runs the suite in the background ignores it, here and in child processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the developer's own key, proxies and certificates out of the tests."""
    ours = {"DATABOX_API_KEY", "DATABOX_API_URL", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"}
    for name in list(os.environ):
        if name in ours or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(autouse=True)
def signals_are_left_alone() -> Iterator[None]:
    """Whoever calls us in their own process keeps their handlers, and so do the tests that come next."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last
    before = {number: signal.getsignal(number) for name in names if (number := getattr(signal, name, None))}
    yield
    after = {number: signal.getsignal(number) for number in before}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Run the test once with each client; `pytest_generate_tests` decides which ones."""
    backend = "trio" if request.param == "trio" else "asyncio"
    loop = nullcontext() if request.param.startswith("sync") else anyio.from_thread.start_blocking_portal(backend)
    with loop as portal:
        driver = Driver(request.param, portal)
        if getattr(request.module, "BATCHES_FAIL_WHOLE", False):
            driver.ingest_defaults = {"patience": 0, "on_refusal": "report"}
        yield driver
        driver.close()


@pytest.fixture(scope="session")
def shared_box() -> Iterator[Sandbox]:
    """A sandbox that many tests share, because starting and stopping one takes longer than most of them."""
    with Sandbox() as box:
        yield box


@pytest.fixture
def box(shared_box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox that has been reset after other tests."""
    shared_box.reset()
    # All tests use its one key, so the requests and pauses of one test must not count in the next.
    monkeypatch.setattr("databox.limit.shared._logs.known", {})
    return shared_box


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers what the test says, byte for byte."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def closed_port() -> Iterator[Port]:
    """A port on which nobody listens, as long as the test runs."""
    with Port() as port:
        yield port


@pytest.fixture(scope="session")
def shared_authority() -> trustme.CA:
    """One for all tests, because creating it takes longer than many of them."""
    return trustme.CA()


@pytest.fixture
def authority(shared_authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that the environment trusts."""
    authority = shared_authority
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


@pytest.fixture
def client(driver: Driver, box: Sandbox) -> Any:
    """A client of the sandbox."""
    return driver.client(box.api_key, box.url)


@pytest.fixture
def dataset(client: Any) -> Any:
    """A dataset keyed by `id` in the sandbox."""
    source = client.data_sources.create("Source")
    return client.datasets.create("Set", data_source=source, primary_keys=["id"])


@pytest.fixture
def plain(client: Any) -> Any:
    """A dataset without keys, where sending a row twice would store it twice."""
    return client.datasets.create("D", data_source=client.data_sources.create("S"))


@pytest.fixture
def departures(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record when requests leave, because that is what the client promises; on a busy machine they arrive later."""
    times: list[float] = []
    leaves = Exchange.leaves

    def noted(exchange: Exchange) -> None:
        leaves(exchange)
        assert exchange.left_at
        times.append(exchange.left_at)

    monkeypatch.setattr(Exchange, "leaves", noted)
    return times


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `make pulls` needs."""
    parser.addoption("--share", metavar="N/M", help="of the slow tests, every one with every Mth of its cases")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that need a driver with each client; modules about connections also with trio and httpx clients."""
    if "driver" in metafunc.fixturenames:
        more = ["trio", "sync-httpx", "async-httpx"] if getattr(metafunc.module, "EVERY_CONNECTION", False) else []
        metafunc.parametrize("driver", ["sync", "async", *more], indirect=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before pytest-randomly, which is both as well, changes the order
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Leave to `make slow` the connections that few users have, and most cases of tests that have many.

    Most users have both clients as they are, over TLS. A module says `EVERY_CASE = True` where each case counts.
    """
    cases: dict[object, list[pytest.Item]] = {}
    for item in items:
        found = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if found.get("driver", "sync") not in ("sync", "async") or found.get("any_server", "tls") != "tls":
            item.add_marker(pytest.mark.slow)
        elif isinstance(item, pytest.Function) and not getattr(item.module, "EVERY_CASE", False):
            cases.setdefault((item.nodeid.partition("[")[0], found.get("driver")), []).append(item)
    for of_one_test in cases.values():
        leave_few(of_one_test)
    if share := config.getoption("share", None):
        items[:], others = shared_out(items, share)
        config.hook.pytest_deselected(items=others)
    return (yield)
