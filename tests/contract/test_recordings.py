"""Every recorded answer matches the description, and the facade reads it correctly."""

import attrs
import pytest

from tests.contract.calls import CALLS, VALID_BODIES, ask, expected
from tests.drive import Driver
from tests.reference import REFERENCE
from tests.scripted import ScriptedServer, answer
from tools.contract.description import Description, Problem, contradictions
from tools.contract.recording import ABSENT, PROVENANCES, RECORDINGS, Recording, read_all

KNOWN, PUBLISHED = Description.of(REFERENCE), Description.published()
RECORDED = read_all(*PROVENANCES)
each = pytest.mark.parametrize("recording", RECORDED, ids=lambda item: f"{item.provenance}/{item.name}")


def parameters(recording: Recording) -> dict[str, str]:
    found = KNOWN.locate(recording.method, recording.path)
    assert found, f"{recording.name}: {recording.method} {recording.path} is not described"
    assert found[0].key == recording.operation
    return found[1]


def test_the_reference_is_recorded_whole() -> None:
    documented = {item.operation for item in RECORDED if item.provenance == "documentation" and item.status == 200}
    assert documented == set(CALLS) == {operation.key for operation in KNOWN.ours}


def test_only_real_provenances_are_kept() -> None:
    assert {path.name for path in RECORDINGS.iterdir() if path.is_dir()} <= {*PROVENANCES, "emulated"}


def problems(description: Description, recording: Recording) -> list[Problem]:
    sent = recording.response
    return description.response_problems(recording.operation, recording.status, sent.content, sent.content_type)


@each
def test_the_answer_is_as_known(recording: Recording) -> None:
    if recording.provenance != "live":  # those say how they differ from the description of their day
        # Word for word: neither a deviation that nobody declared, nor one that is gone.
        assert [problem.text for problem in problems(KNOWN, recording)] == list(recording.deviations)


@each
def test_the_answer_contradicts_no_description(recording: Recording) -> None:
    # Where a description is merely narrower, `make contract` says so.
    assert [each for each in contradictions(problems(PUBLISHED, recording)) if each not in recording.deviations] == []


@each
def test_the_request_is_as_described_where_it_was_well(recording: Recording) -> None:
    if recording.status == 200:
        sent = recording.request
        for description in (KNOWN, PUBLISHED):
            found = description.request_problems(
                recording.method, recording.path, query=recording.query, headers=sent.headers, body=sent.content
            )
            assert contradictions(found) == []


@each
def test_the_facade_reads_the_answer(driver: Driver, server: ScriptedServer, recording: Recording) -> None:
    server.will(answer(recording.status, recording.response.content, dict(recording.response.headers)))
    client = driver.client(base_url=server.url)
    path = parameters(recording)
    body = recording.request.body if recording.status == 200 else VALID_BODIES.get(recording.operation)

    found = ask(client, recording.operation, path, body)

    assert found == expected(recording, path)
    request = server.requests[0]
    assert f"{request.method} {request.target.partition('?')[0]}" == f"{recording.method} {recording.path}"
    if recording.status == 200 and recording.request.body is not ABSENT:
        assert request.json == recording.request.body
    models = found.result if isinstance(found.result, list) else [found.result]
    if not any(deviation.endswith("is not described") for deviation in recording.deviations):
        assert [model.extra for model in models if attrs.has(type(model)) and model.extra] == []
