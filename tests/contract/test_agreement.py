"""The sandbox behaves like the API: the same claims hold for it and for recordings, and their answers agree."""

from collections.abc import Iterator
from typing import Any

import anyio.from_thread
import pytest

from databox.sandbox import Sandbox
from tests.contract.agreement import differences
from tests.contract.behaviours import BEHAVIOURS, Behaviour, Taken
from tests.contract.stages import on_recordings, on_sandbox
from tests.drive import Driver
from tests.scripted import ScriptedServer
from tools.contract.description import Description, contradictions
from tools.contract.recording import Recording, read_all
from tools.contract.steps import STEPS

RECORDED = {provenance: read_all(provenance) for provenance in ("documentation", "live")}
NAMES = {provenance: {item.name for item in found} for provenance, found in RECORDED.items()}
OF_STEPS = [item for found in RECORDED.values() for item in found if item.name in {step.name for step in STEPS}]
AS_RECORDED = [
    pytest.param(provenance, behaviour, id=f"{provenance}: {behaviour.says}")
    for provenance, names in NAMES.items()
    for behaviour in BEHAVIOURS
    if set(behaviour.steps) <= names
]


@pytest.fixture(scope="module", params=["sync", "async"])
def module_driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with anyio.from_thread.start_blocking_portal() as portal:
        driver = Driver(request.param, portal)
        yield driver
        driver.close()


@pytest.fixture(scope="module")
def sandboxed(module_driver: Driver, shared_box: Sandbox, description: Description) -> dict[str, Taken]:
    shared_box.reset()
    return on_sandbox(module_driver, shared_box, description)


@pytest.fixture(scope="module")
def replayed(module_driver: Driver, description: Description) -> dict[str, dict[str, Taken]]:
    with ScriptedServer() as server:
        return {name: on_recordings(module_driver, server, found, description) for name, found in RECORDED.items()}


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda item: item.says)
def test_the_sandbox_behaves(sandboxed: dict[str, Taken], behaviour: Behaviour) -> None:
    assert behaviour.check(sandboxed), [(step, sandboxed[step].outcome) for step in behaviour.steps]


@pytest.mark.parametrize(("provenance", "behaviour"), AS_RECORDED)
def test_the_recordings_behave(replayed: dict[str, Any], provenance: str, behaviour: Behaviour) -> None:
    taken = replayed[provenance]
    assert behaviour.check(taken), [(step, taken[step].outcome) for step in behaviour.steps]


@pytest.mark.parametrize("recording", OF_STEPS, ids=lambda item: f"{item.provenance}/{item.name}")
def test_the_sandbox_answers_as_recorded(emulated: dict[str, Recording], recording: Recording) -> None:
    assert differences(emulated[recording.name], recording) == []


def test_every_step_is_claimed_about() -> None:
    claimed = {step for behaviour in BEHAVIOURS for step in behaviour.steps}
    sent_on_the_way = {"create-ingestion-again", "create-ingestion-keyless"}
    not_json = {step.name for step in STEPS if step.text is not None}
    assert {step.name for step in STEPS} == claimed | sent_on_the_way | not_json


def test_every_operation_has_a_recorded_answer() -> None:
    assert {item.operation for item in OF_STEPS} == {step.operation for step in STEPS}


def test_every_answer_of_the_sandbox_is_as_known(emulated: dict[str, Recording], description: Description) -> None:
    for item in emulated.values():
        answer = item.response
        found = description.response_problems(item.operation, item.status, answer.content, answer.content_type)
        assert found == [], item.name


def test_no_answer_of_the_sandbox_contradicts_the_description(
    emulated: dict[str, Recording], published: Description
) -> None:
    for item in emulated.values():
        answer = item.response
        found = published.response_problems(item.operation, item.status, answer.content, answer.content_type)
        assert contradictions(found) == [], item.name
