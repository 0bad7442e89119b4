"""The pytest plugin that comes with the sandbox: the fixture `databox_sandbox`.

It is outside the package, because pytest imports plugins at every start, even for tests that have nothing to do with
Databox: the package is imported when the fixture is first used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from databox.sandbox import Sandbox

__all__ = ["databox_sandbox"]


@pytest.fixture(scope="session")
def _databox_sandbox_server() -> Iterator[Sandbox]:  # pyright: ignore[reportUnusedFunction]
    """One server for all tests, because starting one takes longer than most of them."""
    from databox.sandbox import Sandbox

    with Sandbox() as box:
        yield box


@pytest.fixture
def databox_sandbox(_databox_sandbox_server: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A `databox.sandbox.Sandbox` without any data, requests or faults. A client without arguments connects to it.

    `DATABOX_API_URL` and `DATABOX_API_KEY` point to it during the test, including for programs that the test starts.
    """
    box = _databox_sandbox_server
    with contextlib.suppress(RuntimeError):  # it is already running, unless a test has closed it
        box.start()
    box.reset()
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    return box
