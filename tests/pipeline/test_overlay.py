"""The overlay applier against the specification's rules."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.spec.document import SpecError, find, parse, resolve_path_items
from tools.spec.overlay import Pin, apply, only_pinned, with_our_templates
from tools.spec.validity import dangling_references, undeclared_schemes

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


def test_an_optional_one_is_reported() -> None:
    assert applied({"a": 1}, {"target": "$.b", "remove": True, "x-optional": True}) == {"a": 1}
    assert "$.b" in said[0]


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


# Reading and preparing


def test_moments_stay_text() -> None:
    assert parse(b"example: 2025-10-01T12:00:00.000000Z", "x") == {"example": "2025-10-01T12:00:00.000000Z"}


def test_keys_are_text_and_so_is_a_bare_equals_sign() -> None:
    content = b"base: &b {200: a, on: b}\nfull: {<<: *b, 1.0: c, null: d, 2025-10-01: e}\nsign: ="
    assert parse(content, "x") == {
        "base": {"200": "a", "on": "b"},
        "full": {"200": "a", "on": "b", "1.0": "c", "null": "d", "2025-10-01": "e"},
        "sign": "=",
    }


@pytest.mark.parametrize("content", [b"", b"text", b"- 1", b"a: [", b"a: \xff", b"\0", b"!!python/object:os.system {}"])
def test_what_is_no_mapping_is_refused(content: bytes) -> None:
    with pytest.raises(SpecError, match="x"):
        parse(content, "x")


def test_path_items_are_written_out() -> None:
    document = {"paths": {"/a": {"$ref": "#/x/~1b", "summary": "s"}}, "x": {"/b": {"get": {}}}}
    assert resolve_path_items(document)["paths"] == {"/a": {"get": {}, "summary": "s"}}
    for reference in ("#/nowhere", "#/paths/~1a"):
        with pytest.raises(SpecError, match="/a"):
            resolve_path_items({"paths": {"/a": {"$ref": reference}}})


def test_dangling_references() -> None:
    document = {"a": {"$ref": "#/b"}, "b": {"$ref": "#/c~1d"}, "e": [{"$ref": "#/f"}], "example": {"$ref": "#/g"}}
    assert dangling_references(document) == ["#/c~1d", "#/f"]
    assert dangling_references({"a": {"$ref": "other.yaml#/b"}}) == ["other.yaml#/b"]
    assert dangling_references({"a": [{"b": 1}], "c": {"$ref": "#/a/0/b"}, "d": {"$ref": "#/a/1"}}) == ["#/a/1"]


@pytest.mark.parametrize("names", ["responses", "properties"])
def test_a_name_that_looks_like_a_keyword_hides_nothing(names: str) -> None:
    assert dangling_references({names: {"default": {"$ref": "#/gone"}}}) == ["#/gone"]


def test_references_follow_the_rules_of_json_pointers() -> None:
    document = {"a/b": {"c~d": {"e f": [0, 1]}}}
    assert find(document, "#/a~1b/c~0d/e%20f/1") == 1
    assert find(document, "#/a~1b/c~0d/e%20f/2") is None
    assert find(document, "#") == document


def test_security_schemes_that_are_asked_for_must_be_there() -> None:
    asks: Any = {"get": {"security": [{"two": []}, {}]}}
    document = {"security": [{"one": []}], "paths": {"/a": asks}}
    assert undeclared_schemes(document) == ["one", "two"]
    declared: Any = {"components": {"securitySchemes": {"one": {}, "two": {}}}}
    assert undeclared_schemes({**document, **declared}) == []


def test_templates_are_named_as_ours() -> None:
    wanted = [Pin("/a/{accountId}/b", "get", "n", "t", "f")]
    document = {"paths": {"/a/{id}/b": 1, "/a/{id}": 2}}
    assert with_our_templates(document, wanted)["paths"] == {"/a/{accountId}/b": 1, "/a/{id}": 2}


def test_one_path_under_two_templates_loses_no_operation() -> None:
    wanted = [Pin("/a/{accountId}", "get", "n", "t", "f")]
    document = {"paths": {"/a/{accountId}": {"get": 1}, "/a/{id}": {"put": 2}}}
    assert with_our_templates(document, wanted)["paths"] == {"/a/{accountId}": {"get": 1, "put": 2}}


def test_what_is_not_pinned_is_left_out_and_named() -> None:
    told: list[str] = []
    paths = {"/a": {"get": {"x-facade": "a"}, "post": {}, "parameters": []}, "/b": {"get": {}}}
    rest = {"components": {"schemas": {"A": {}, "B": {}}, "parameters": {"C": {}}}, "webhooks": {"done": {}}}
    document = {"openapi": "3.1.0", "info": {}, "paths": paths, **rest}
    kept = only_pinned(document, told.append)
    assert kept == {"openapi": "3.1.0", "info": {}, "paths": {"/a": {"get": {"x-facade": "a"}}}}
    assert [line.removeprefix("left out: ") for line in told] == [
        "POST /a, which the facade does not use",
        "GET /b, which the facade does not use",
        "webhooks (done)",
        "3 components, as the pinned operations refer to none",
    ]
