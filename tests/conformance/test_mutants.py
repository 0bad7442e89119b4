"""The cases catch mistakes: each small mistake planted in the Node client fails the cases meant for it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from conformance.program import Adapter
from conformance.run import cases, problems
from tests.conformance.test_cases import FOLDER, NEEDS_NODE

DOCUMENT = json.loads((FOLDER / "mutants" / "node.json").read_text("utf-8"))
CLIENT: Path = FOLDER / DOCUMENT["client"]
MUTANTS = [pytest.param(mutant, id=mutant["id"]) for mutant in DOCUMENT["mutants"]]
CASES = {case["id"]: (area, case) for area, case in cases()}


def planted(mutant: dict[str, Any], folder: Path) -> Path:
    """Return a copy of the client with the mistake."""
    copy = folder / CLIENT.name
    shutil.copytree(CLIENT, copy)
    file = copy / mutant["file"]
    file.write_text(file.read_text("utf-8").replace(mutant["search"], mutant["replace"]), "utf-8")
    return copy


def test_the_mutants_are_what_their_schema_says() -> None:
    schema = json.loads((FOLDER / "schemas" / "mutants.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(DOCUMENT)] == []
    names = [mutant["id"] for mutant in DOCUMENT["mutants"]]
    assert len(names) == len(set(names)) >= 60


def test_the_mutants_can_be_planted() -> None:
    for mutant in DOCUMENT["mutants"]:
        found = (CLIENT / mutant["file"]).read_text("utf-8").count(mutant["search"])
        assert found == 1, f"{mutant['id']}: its text stands in {mutant['file']} {found} times"
        assert mutant["cases"], mutant["id"]
        assert set(mutant["cases"]) <= CASES.keys(), mutant["id"]


@pytest.mark.node
@NEEDS_NODE
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(mutant: dict[str, Any], tmp_path: Path) -> None:
    copy = planted(mutant, tmp_path)
    for name in mutant["cases"]:
        # A machine so busy that everything is slow may hide a client that does not wait, but not three times.
        found = next(filter(None, (problems_of(copy, name) for _ in range(3))), [])
        assert found, f"missed by {name}"
        # Because of what it does, and not because it cannot run.
        assert "the adapter reported an error" not in found[0]
        assert "it ended with status" not in found[0]


def problems_of(client: Path, name: str) -> list[str]:
    adapter = Adapter(["node", str(client / "adapter.mjs")], timeout=10)
    try:
        return problems(adapter, *CASES[name]) or []
    finally:
        adapter.close()
