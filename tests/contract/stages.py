"""Takes the steps of the walk through the facade: against a sandbox, or against recordings."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from databox import APIStatusError
from databox.sandbox import Sandbox
from tests.contract.behaviours import Taken
from tests.contract.calls import Outcome, ask
from tests.drive import Driver
from tests.scripted import ScriptedServer, answer
from tools.contract.description import Description
from tools.contract.recording import ABSENT, Recording
from tools.contract.steps import STEPS, Asked, Step

__all__ = ["on_recordings", "on_sandbox"]


def on_sandbox(driver: Driver, box: Sandbox, description: Description) -> dict[str, Taken]:
    """Return the outcome of each step, taken one after the other; by the description, what the facade would send."""
    found: dict[str, Any] = {"title": "A title"}
    taken = {}
    for step in STEPS:
        asked = step.asked(found)
        if asked.text is None:  # through the facade no body can be sent that is not JSON
            outcome = _through_the_facade(driver, box.url, box.api_key, step, asked, description)
            taken[step.name] = Taken(asked.body, outcome)
            found |= _learned(step, outcome.result)
    return taken


def on_recordings(
    driver: Driver, server: ScriptedServer, recordings: Iterable[Recording], description: Description
) -> dict[str, Taken]:
    """Return the outcome of each step that was recorded, its answer served as it came."""
    steps = {step.name: step for step in STEPS}
    taken = {}
    for recording in recordings:
        sent = recording.request
        if recording.name in steps and sent.text is None:
            server.will(answer(recording.status, recording.response.content, dict(recording.response.headers)))
            asked = Asked(recording.method, recording.path, recording.query, sent.body, None, None, good_key=True)
            outcome = _through_the_facade(
                driver, server.url, "any-key-of-16-or-more", steps[recording.name], asked, description
            )
            taken[recording.name] = Taken(sent.body, outcome)
    return taken


def _through_the_facade(
    driver: Driver, url: str, key: str, step: Step, asked: Asked, description: Description
) -> Outcome:
    client = driver.client(key if asked.good_key else "not-the-key", url)
    place = description.locate(asked.method, asked.path)
    assert place
    headers = {"x-api-key": key, "content-type": "application/json"}
    body = b"" if asked.body is ABSENT else json.dumps(asked.body).encode()
    if not step.query and not description.request_problems(asked.method, asked.path, headers=headers, body=body):
        return ask(client, step.operation, place[1], asked.body)
    # What the facade's methods would not send goes by its way for everything else.
    sent = None if asked.body is ABSENT else asked.body
    try:
        return Outcome(client.request(asked.method, asked.path, params=asked.query, json=sent))
    except APIStatusError as error:
        return Outcome(None, type(error).__name__, error.status_code, error.errors, error.request_id)


def _learned(step: Step, result: Any) -> Mapping[str, Any]:
    if step.name == "list-accounts":
        return {"accountId": result[0].id}
    return {
        name: getattr(result, {"ingestionId": "ingestion_id"}.get(field, field)) for name, field in step.finds.items()
    }
