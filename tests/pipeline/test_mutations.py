"""Every change in the description shows in what the generator reads, or is named; none is ignored silently.

Each field and parameter of each operation is renamed, dropped, retyped, required or not, and gets a neighbour: some
hundreds of changes. The generator itself sees a sample, as it takes a second or two for each.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import REAL
from tests.pipeline.test_diff import BEFORE, INLINE, RELIED, TITLES, alone, operation_of, parts, title
from tools.spec.document import dump, load
from tools.spec.facade import unmet
from tools.spec.generate import write_package
from tools.spec.normalise import corrected, for_the_generator
from tools.spec.wire import facts_of

Document = dict[str, Any]
Change = Callable[[Document, str], None]
OVERLAY = load(REAL.overlay)


def rename(holder: Document, name: str) -> None:
    if is_parameter(holder, name):
        holder["name"] = "renamed"
    else:
        holder["renamed"] = holder.pop(name)


def drop(holder: Document, name: str) -> None:
    if is_parameter(holder, name):
        holder |= {"in": "header", "name": "accept"}  # which nobody sees
    else:
        del holder[name]


def retype(holder: Document, name: str) -> None:
    place = "schema" if is_parameter(holder, name) else name
    was = holder[place].get("type")
    holder[place] = {"type": "string" if "boolean" in (was if isinstance(was, list) else [was]) else "boolean"}


def loosen_or_close(holder: Document, name: str) -> None:
    """Give a list of words to what has none."""
    place = "schema" if is_parameter(holder, name) else name
    holder[place] = {**holder[place], "format": "of-ours", "description": "Other words."}


def is_parameter(holder: Document, name: str) -> bool:
    return name == "name" and "in" in holder


def places_of(key: str) -> list[str]:
    """The fields and parameters that an operation has, items of lists aside, which have no name."""
    fields = [place for place in BEFORE[key] if " field " in place or place.startswith("query")]
    return [place for place in fields if not place.endswith("[]")]


MUTATIONS: dict[str, Change] = {each.__name__: each for each in (rename, drop, retype, loosen_or_close)}
ALL = [(key, place, name) for key in BEFORE for place in places_of(key) for name in MUTATIONS]


def read_by_the_generator(document: Document) -> tuple[Document, list[str]]:
    told: list[str] = []
    found = corrected(document, OVERLAY, told.append)
    return for_the_generator(found, told.append), told


def named_in(document: Document, key: str) -> list[str]:
    return list(unmet({key: RELIED[key]}, facts_of(corrected(document, OVERLAY))))


def test_there_are_some_hundreds() -> None:
    assert len(ALL) > 500


@pytest.mark.slow
@pytest.mark.parametrize("key", BEFORE)
def test_each_change_of_a_field_shows_or_is_named(key: str) -> None:
    original, told_before = read_by_the_generator(alone(key))
    for _, place, name in [each for each in ALL if each[0] == key]:
        changed = alone(key)
        holders = list(parts(changed, key, place))
        assert holders, place
        for holder, field in holders:
            MUTATIONS[name](holder, field)
        found, told = read_by_the_generator(changed)
        assert found != original or set(told) - set(told_before), (name, place)
        if name in {"rename", "drop", "retype"} and place in RELIED[key].places and not set(told) - set(told_before):
            assert any(f"{title(key)}: {place} " in line for line in named_in(changed, key)), (name, place)


@pytest.mark.slow
@pytest.mark.parametrize("key", BEFORE)
def test_each_new_field_shows(key: str) -> None:
    original, _ = read_by_the_generator(alone(key))
    for _, place, _ in [each for each in ALL if each[0] == key and " field " in each[1]]:
        changed = alone(key)
        for holder, _name in parts(changed, key, place):
            holder["brandNew"] = {"type": "integer", "description": "Nobody has seen it before."}
        found, _ = read_by_the_generator(changed)
        assert "brandNew" in str(found)
        assert found != original
        assert named_in(changed, key) == []


@pytest.mark.slow
@pytest.mark.parametrize("key", BEFORE)
def test_what_is_required_shows(key: str) -> None:
    original, _ = read_by_the_generator(alone(key))

    def toggle(schema: Any, name: str) -> None:
        if isinstance(schema, dict):
            if name in (schema.get("properties") or {}):
                required = schema.get("required", [])
                schema["required"] = [*required, name] if name not in required else [x for x in required if x != name]
            for inner in schema.values():
                toggle(inner, name)

    for _, place, _ in [each for each in ALL if each[0] == key and each[2] == "rename" and " field " in each[1]]:
        if (key, place) == ("POST /v1/datasets", "request field primaryKeys"):
            continue  # which sources disagree about; our corrections have a test of their own
        changed = alone(key)
        toggle(operation_of(changed, key), place.rpartition(" ")[2].rpartition(".")[2].removesuffix("[]"))
        assert read_by_the_generator(changed)[0] != original, place


@pytest.mark.parametrize("key", BEFORE)
def test_words_show_wherever_they_stand(key: str) -> None:
    for where in ("summary", "description", "answer", "refusal"):
        changed = alone(key)
        operation = operation_of(changed, key)
        refusal = next(status for status in operation["responses"] if status[0] == "4")
        holder = {"answer": operation["responses"]["200"], "refusal": operation["responses"][refusal]}
        holder.get(where, operation)[where if where in {"summary", "description"} else "description"] = "Unheard of."
        assert "Unheard of." in str(read_by_the_generator(changed)[0]), where


def test_a_new_operation_shows() -> None:
    changed = copy.deepcopy(INLINE)
    changed["paths"]["/v1/reports/{id}"] = {"get": {"responses": {"200": {"description": "A report."}}}}
    found, _ = read_by_the_generator(changed)
    assert found["paths"]["/v1/reports/{id}"]["get"]["operationId"] == "get_v1_reports_item"


SAMPLE = [
    ("POST /v1/datasets", "request field primaryKeys", "rename", "models/create_dataset_body.py", "renamed"),
    ("GET /v1/accounts", "answer field accounts[].accountType", "rename", "accounts_item.py", "renamed"),
    ("GET /v1/datasets/{}/ingestions", "query parameter pageSize", "retype", "api/datasets/list_ingestions.py", "bool"),
    ("POST /v1/data-sources", "answer field created", "retype", "create_data_source_response_200.py", "bool | None"),
    ("POST /v1/datasets/{}/data", "answer field message", "drop", "create_ingestion_response_200.py", None),
    ("DELETE /v1/data-sources/{}", "error field errors[].code", "rename", "errors_item.py", "renamed"),
    (
        "GET /v1/datasets/{}/ingestions/{}",
        "answer field metrics.datasetMetrics.datasetSizeMB",
        "loosen_or_close",
        "dataset_metrics.py",
        "Other words. Described as format of-ours.",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("key", "place", "name", "file", "shown"), SAMPLE)
def test_a_sample_shows_in_the_code(
    key: str, place: str, name: str, file: str, shown: str | None, tmp_path: Path
) -> None:
    changed = copy.deepcopy(INLINE)
    for holder, field in parts(changed, key, place):
        MUTATIONS[name](holder, field)
    description = tmp_path / "changed.yaml"
    description.write_bytes(dump(changed))
    write_package(REAL, description, tmp_path / "made", lambda line: None)
    made, field = next((tmp_path / "made").rglob(f"*{file.rpartition('/')[2]}")), place.rpartition(".")[2]
    code = " ".join(made.read_text("utf-8").split())
    if shown:
        assert shown in code
    else:
        assert f'"{field.rpartition(" ")[2]}"' not in code
    assert TITLES[key]
