"""The cases of the conformance kit, run with both of our clients and with the one in Node."""

import copy
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from conformance.compare import differences
from conformance.program import Adapter
from conformance.run import CASES, SERVED, cases, problems

FOLDER = CASES.parent
PYTHON = [sys.executable, "-W", "error", str(FOLDER / "clients" / "python" / "adapter.py")]
NODE = ["node", str(FOLDER / "clients" / "node" / "adapter.mjs")]
NEEDS_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node: apt-get install nodejs")
ALL = [pytest.param(area, case, id=case["id"]) for area, case in cases()]
QUICK = [each for each in ALL if each.values[0] not in SERVED]
SLOWER = [each for each in ALL if each.values[0] in SERVED]


def adapter_of(command: list[str]) -> Iterator[Adapter]:
    adapter = Adapter(command)
    yield adapter
    adapter.close()


@pytest.fixture(scope="module")
def sync_adapter() -> Iterator[Adapter]:
    yield from adapter_of(PYTHON)


@pytest.fixture(scope="module")
def async_adapter() -> Iterator[Adapter]:
    yield from adapter_of([*PYTHON, "--async"])


@pytest.fixture(scope="module")
def node_adapter() -> Iterator[Adapter]:
    yield from adapter_of(NODE)


@pytest.mark.parametrize("path", sorted(CASES.glob("*.json")), ids=lambda path: path.stem)
def test_the_files_are_what_their_schemas_say(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    schema = json.loads((FOLDER / "schemas" / f"{path.stem}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    found = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]
    assert found == []


def test_each_case_has_a_name_of_its_own() -> None:
    names = [case["id"] for _, case in cases()]
    assert len(names) == len(set(names)) > 600
    schemas = {path.name.partition(".")[0] for path in (FOLDER / "schemas").iterdir()}
    assert schemas - {"mutants"} == {area for area, _ in cases()}


@pytest.mark.slow
@pytest.mark.parametrize(("area", "case"), ALL)
def test_the_synchronous_client(area: str, case: dict[str, Any], sync_adapter: Adapter) -> None:
    assert problems(sync_adapter, area, case) == []


@pytest.mark.slow
@pytest.mark.parametrize(("area", "case"), [each for each in ALL if each.values[0] in SERVED])
def test_the_asynchronous_client(area: str, case: dict[str, Any], async_adapter: Adapter) -> None:
    assert problems(async_adapter, area, case) == []


@pytest.mark.node
@NEEDS_NODE
@pytest.mark.parametrize(("area", "case"), ALL)
def test_the_client_in_node(area: str, case: dict[str, Any], node_adapter: Adapter) -> None:
    assert problems(node_adapter, area, case) == []


def wrong(value: Any) -> Any:
    """Return the expectation with another value in place of the first one that is compared."""
    if isinstance(value, dict) and value:
        name = next(iter(value))
        if name == "$one_of":
            return {name: [wrong(each) for each in value[name]]}
        return value | {name: wrong(value[name])}
    if isinstance(value, list) and value:
        return [*value[:-1], wrong(value[-1])]
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else "something else"


@pytest.mark.parametrize(("area", "case"), [*QUICK[::7], *SLOWER[::35]])
def test_a_wrong_expectation_is_noticed(area: str, case: dict[str, Any], sync_adapter: Adapter) -> None:
    other = copy.deepcopy(case)
    other["expected"] = wrong(case["expected"])
    assert problems(sync_adapter, area, other)


def test_what_is_compared() -> None:
    assert differences({"a": None}, {}) == []
    assert differences({"a": [1, {"b": 2.0}]}, {"a": [1, {"b": 2.0000000001, "c": 3}]}) == []
    assert differences({"a": 1}, {"a": True}) == ["result.a is true, not 1"]
    assert differences(9007199254740993, 9007199254740992.0)
    assert differences([1], [1, 1]) == ["result is [1, 1], not [1]"]
    assert differences({"message_has": ["x"], "message_lacks": ["y"]}, {"message": "y"}) == [
        "result.message lacks 'x': 'y'",
        "result.message has 'y': 'y'",
    ]
    assert differences({"a": {"$at_least": 2, "$at_most": 3}}, {"a": 3}) == []
    assert differences({"a": {"$at_least": 2}}, {"a": 1}) == ["result.a is 1, which should be $at_least 2"]
    assert differences({"$has": ["x", "z"], "$lacks": ["y"]}, "xz") == []
    assert differences({"$has": ["x"], "$lacks": ["y"]}, ["y"]) == [
        'result is ["y"], which should be $has ["x"]',
        'result is ["y"], which should be $lacks ["y"]',
    ]
    assert differences({"$one_of": [{"a": 1}, 2]}, {"a": 1, "b": 2}) == []
    assert differences({"$one_of": [{"a": 1}, 2]}, 3)
    assert differences({"$moment": "2026-01-31T12:30:00Z"}, "2026-01-31T12:30:00.000+00:00") == []
    assert differences({"$moment": "2026-01-31T12:30:00Z"}, "2026-01-31T12:30:00+01:00")


def test_what_is_sent_is_compared_exactly() -> None:
    assert differences({"bodies": [{"a": 1}]}, {"bodies": [{"a": 1}], "more": 1}) == []
    assert differences({"bodies": [{"a": 1}]}, {"bodies": [{"a": 1, "b": None}]})
    assert differences({"body": {"a": 1, "b": None}}, {"body": {"a": 1}})
    assert differences({"stored": {"$has": [{"a": 1}]}}, {"stored": [{"a": 1}, {"a": 2}]}) == []
