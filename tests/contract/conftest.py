"""The sandbox's own answers to the walk, as sent over the wire."""

import httpx
import pytest

from databox.sandbox import Sandbox
from tests.reference import REFERENCE
from tools.contract.description import Description
from tools.contract.recording import Recording
from tools.contract.walk import Walk


@pytest.fixture(scope="session")
def description() -> Description:
    """The API as the tests know it."""
    return Description.of(REFERENCE)


@pytest.fixture(scope="session")
def published() -> Description:
    """What was pulled last."""
    return Description.published()


@pytest.fixture(scope="session")
def emulated(shared_box: Sandbox) -> dict[str, Recording]:
    """What a sandbox answers to each step."""
    shared_box.reset()
    with httpx.Client(base_url=shared_box.url, headers={"x-api-key": shared_box.api_key}, verify=False) as http:
        return {item.name: item for item in Walk(http, title="A title").run()}
