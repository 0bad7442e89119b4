"""The overlay applier against the rules of the specification, and what our overlay corrects."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.conftest import REAL
from tests.reference import REFERENCE
from tools.spec.document import SpecError, load
from tools.spec.facade import of_the_client, unmet
from tools.spec.normalise import corrected, plain
from tools.spec.overlay import apply
from tools.spec.wire import facts_of

said: list[str] = []


def applied(document: Any, *actions: dict[str, Any]) -> Any:
    said.clear()
    return apply({"actions": list(actions)}, document, said.append)


@pytest.mark.parametrize(
    ("document", "action", "result"),
    [
        ({"a": {"b": 1}}, {"target": "$.a", "update": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": {"b": {"x": 1}}}, {"target": "$.a", "update": {"b": {"y": 2}}}, {"a": {"b": {"x": 1, "y": 2}}}),
        ({"a": [1]}, {"target": "$.a", "update": 2}, {"a": [1, 2]}),
        ({"a": [1]}, {"target": "$", "update": {"a": [2]}}, {"a": [1, 2]}),
        ({"a": 1}, {"target": "$.a", "update": "x"}, {"a": "x"}),
        ({"a": 1}, {"target": "$", "update": {"b": 2}}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"target": "$.a", "remove": True}, {"b": 2}),
        ({"a": [1, 2, 3, 2]}, {"target": "$.a[?@ == 2]", "remove": True}, {"a": [1, 3]}),
        (
            {"a": {"/v1/{x}": {"get": 1}}},
            {"target": "$.a['/v1/{x}'].get", "update": 5},
            {"a": {"/v1/{x}": {"get": 5}}},
        ),
        ({"a": {"x": 1}, "b": {"x": 1}}, {"target": "$..x", "remove": True}, {"a": {}, "b": {}}),
        ({"a": 1}, {"target": "$.a", "remove": False, "update": 2}, {"a": 2}),
        ({"a": [1, 2, 3]}, {"target": "$.a[1, 0]", "remove": True}, {"a": [3]}),
        ({"a": [1, 2, 3]}, {"target": "$.a[0, 0]", "remove": True}, {"a": [2, 3]}),
        ({"a": [1, 2, 3]}, {"target": "$.a[-1, 0]", "remove": True}, {"a": [2]}),
        ({"a": {"a": {"a": 1}}}, {"target": "$..a", "remove": True}, {}),
        ({"a": {"b": {"c": 1}}}, {"target": "$..*", "update": "x"}, {"a": "x"}),
        ({"a": [1]}, {"target": "$['a', 'a']", "update": 2}, {"a": [1, 2]}),
    ],
)
def test_actions(document: Any, action: dict[str, Any], result: Any) -> None:
    before = copy.deepcopy(document)
    assert applied(document, action) == result
    assert document == before


def test_actions_build_on_one_another() -> None:
    steps: list[dict[str, Any]] = [{"target": "$", "update": {"a": {"b": 1}}}, {"target": "$.a.b", "remove": True}]
    assert applied({}, *steps) == {"a": {}}


def test_an_update_of_many_places_does_not_tie_them_together() -> None:
    steps = [{"target": "$.*", "update": {"n": {}}}, {"target": "$.a.n", "update": {"x": 1}}]
    assert applied({"a": {}, "b": {}}, *steps) == {"a": {"n": {"x": 1}}, "b": {"n": {}}}


def test_a_target_that_finds_nothing_is_an_error_with_its_reason() -> None:
    with pytest.raises(SpecError, match=r"\$\.paths.*because"):
        applied({}, {"target": "$.paths", "update": {}, "description": "because"})


def test_an_optional_one_may_find_nothing_and_tells_what_it_corrects() -> None:
    action = {"target": "$.b", "remove": True, "x-optional": True, "description": "Because."}
    assert applied({"a": 1}, action) == {"a": 1}
    assert said == []
    assert applied({"b": 1}, action) == {}
    assert said == ["corrected: b: Because. (overlay action 1)"]


@pytest.mark.parametrize("action", [{}, {"target": "$"}, {"target": "$.[", "update": 1}, {"target": 5, "update": 1}])
def test_a_broken_action_is_named(action: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="action 1"):
        applied({"a": 1}, action)


def test_the_whole_document_cannot_be_removed() -> None:
    with pytest.raises(SpecError):
        applied({"a": 1}, {"target": "$", "remove": True})


trees = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), trees, min_size=1), trees)
def test_the_input_is_left_alone(document: dict[str, Any], update: Any) -> None:
    before, given_update = copy.deepcopy(document), copy.deepcopy(update)
    patched = applied(document, {"target": "$.*", "update": update})
    assert (document, update) == (before, given_update)
    assert set(patched) == set(document)


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), trees, min_size=1))
def test_what_is_merged_in_is_there(document: dict[str, Any]) -> None:
    patched = applied(document, {"target": "$", "update": {"new": {"deep": 1}}})
    assert patched == {**document, "new": {"deep": 1}}


@given(st.lists(st.integers(), min_size=1, max_size=8), st.data())
def test_removing_members_leaves_the_others(members: list[int], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(members) - 1), min_size=1))
    target = f"$.a[{', '.join(map(str, chosen))}]"
    left = [member for position, member in enumerate(members) if position not in chosen]
    assert applied({"a": members}, {"target": target, "remove": True}) == {"a": left}


# Ours


OURS = load(REAL.overlay)


def older() -> Any:
    """The reference as its older pages had it, and with what other sources get wrong."""
    document = copy.deepcopy(REFERENCE)
    schemas = document["components"]["schemas"]
    for name in ("DataSource", "DataSourceResponse"):
        del schemas[name]["properties"]["ingestionSupported"]
    del schemas["IngestionsResponse"]["properties"]["pagination"]
    del schemas["IngestionResponse"]["properties"]["errors"]
    del schemas["TimezonesResponse"]["properties"]["timezones"]
    schemas["TimezonesResponse"]["required"].remove("timezones")
    schemas["CreateDatasetRequest"]["required"] = ["dataSourceId", "title", "primaryKeys"]
    listing = document["paths"]["/v1/datasets/{datasetId}/ingestions"]["get"]
    listing["parameters"] = [each for each in listing["parameters"] if "$ref" in each]
    return document


def test_each_action_has_its_reason_and_looks_whether_it_is_needed() -> None:
    assert OURS["actions"]
    for action in OURS["actions"]:
        assert action["description"].endswith(".")
        assert action["x-optional"] is True
    assert len(REAL.overlay.read_text("utf-8").splitlines()) < 100


def test_what_the_client_relies_on_is_there_after_it_whatever_the_older_pages_lack() -> None:
    told: list[str] = []
    document = corrected(older(), OURS, told.append)
    assert list(unmet(of_the_client(), facts_of(plain(older())))) != []
    assert list(unmet(of_the_client(), facts_of(document))) == []
    assert len([line for line in told if line.startswith("corrected: ")]) == len(OURS["actions"])


def test_on_the_newer_ones_it_only_opens_what_is_closed() -> None:
    told: list[str] = []
    document = corrected(REFERENCE, OURS, told.append)
    (line,) = [line for line in told if line.startswith("corrected: ")]
    assert line.startswith("corrected: paths['/v1/accounts'].get.responses.200.content")
    assert "accountType.enum: The reference lists three types of accounts." in line
    before, after = facts_of(plain(REFERENCE)), facts_of(document)
    changed = {(key, place) for key in before for place in before[key] if before[key][place] != after[key][place]}
    assert changed == {("GET /v1/accounts", "answer field accounts[].accountType")}
    again: list[str] = []
    assert apply(OURS, document, again.append) == document
    assert again == []


def test_what_has_another_name_is_not_put_back_under_the_old_one() -> None:
    document = copy.deepcopy(REFERENCE)
    zones = document["components"]["schemas"]["TimezonesResponse"]
    zones["properties"]["zones"] = zones["properties"].pop("timezones")
    page = document["components"]["schemas"]["IngestionsResponse"]["properties"]
    page["paging"] = page.pop("pagination")
    listing = document["paths"]["/v1/datasets/{datasetId}/ingestions"]
    listing["get"]["parameters"][1] = {**listing["get"]["parameters"][1], "name": "pageNumber"}
    listing["options"] = {"responses": {"200": {"description": "Fine."}}}
    told: list[str] = []
    found = list(unmet(of_the_client(), facts_of(corrected(document, OURS, told.append))))
    for gone in ("answer field timezones", "answer field pagination", "query parameter page"):
        assert any(f"{gone} is not in the description" in line for line in found), gone
    assert not any("ingestions" in line or "timezones" in line for line in told if line.startswith("corrected: "))


def test_a_field_that_becomes_required_is_not_corrected_away() -> None:
    document = older()
    document["components"]["schemas"]["CreateDatasetRequest"]["properties"]["region"] = {"type": "string"}
    document["components"]["schemas"]["CreateDatasetRequest"]["required"].append("region")
    facts = facts_of(corrected(document, OURS))["POST /v1/datasets"]
    assert facts["request field region"].required
    assert not facts["request field primaryKeys"].required
