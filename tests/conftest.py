"""What many tests share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
import trustme
from hypothesis import settings

from databox.sandbox import Sandbox
from tests.contract.watch import requests_are_described  # noqa: F401 - for all tests
from tests.drive import Driver
from tests.scripted import ScriptedServer

settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the developer's own key, proxies and certificates out of the tests."""
    ours = {"DATABOX_API_KEY", "DATABOX_API_URL", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"}
    for name in list(os.environ):
        if name in ours or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Run the test once with each client; which, `pytest_generate_tests` says."""
    with anyio.from_thread.start_blocking_portal("trio" if request.param == "trio" else "asyncio") as portal:
        driver = Driver(request.param, portal)
        if getattr(request.module, "BATCHES_FAIL_WHOLE", False):
            driver.ingest_defaults = {"patience": 0, "on_refusal": "report"}
        yield driver
        driver.close()


@pytest.fixture(scope="session")
def shared_box() -> Iterator[Sandbox]:
    """One sandbox for many tests, as starting and stopping one takes longer than most of them."""
    with Sandbox() as box:
        yield box


@pytest.fixture
def box(shared_box: Sandbox) -> Sandbox:
    """A sandbox that has forgotten whatever other tests did to it."""
    shared_box.reset()
    return shared_box


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers what the test says, byte for byte."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that the environment trusts."""
    authority = trustme.CA()
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
    """A dataset without keys, where sending twice would show."""
    return client.datasets.create("D", data_source=client.data_sources.create("S"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a driver with each client; modules about connections also in trio, and over clients of httpx's."""
    if "driver" in metafunc.fixturenames:
        more = ["trio", "sync-httpx", "async-httpx"] if getattr(metafunc.module, "EVERY_CONNECTION", False) else []
        metafunc.parametrize("driver", ["sync", "async", *more], indirect=True)
