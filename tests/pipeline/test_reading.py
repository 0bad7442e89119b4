"""From bytes to a document: what stays unchanged, and what is refused, in one line that says where."""

import pytest

from tools.spec.document import SpecError, at, find, references
from tools.spec.reading import parse


def test_text_stays_text() -> None:
    content = b"moment: 2025-10-01T12:00:00.000000Z\nday: 2025-10-01\n"
    content += b"land: NO\nanswer: yes\ntime: 12:30:45\nsign: =\nn: 1_000"
    assert parse(content, "x") == {
        "moment": "2025-10-01T12:00:00.000000Z",
        "day": "2025-10-01",
        "land": "NO",
        "answer": "yes",
        "time": "12:30:45",
        "sign": "=",
        "n": "1_000",
    }


def test_numbers_and_truth_are_those_of_yaml_1_2() -> None:
    content = b"a: 012\nb: 0o17\nc: 0x1F\nd: 1e3\ne: -5\nf: .5\ng: true\nh: ~\ni:\nj: .nan\nk: '1'"
    found = parse(content, "x")
    assert found == {
        "a": 12,
        "b": 15,
        "c": 31,
        "d": 1000.0,
        "e": -5,
        "f": 0.5,
        "g": True,
        "h": None,
        "i": None,
        "j": ".nan",
        "k": "1",
    }


def test_keys_are_text() -> None:
    content = b"base: &b {200: a, on: b}\nfull: {<<: *b, 1.0: c, null: d, 2025-10-01: e}"
    assert parse(content, "x") == {
        "base": {"200": "a", "on": "b"},
        "full": {"200": "a", "on": "b", "1.0": "c", "null": "d", "2025-10-01": "e"},
    }


def test_a_merged_key_may_be_overridden() -> None:
    assert parse(b"a: &a {x: 1}\nb: {<<: *a, x: 2}", "x")["b"] == {"x": 2}


def test_json_is_read_with_all_its_escapes() -> None:
    assert parse(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00", "b": 1e2}', "x") == {"a": "😀", "b": 100.0}


@pytest.mark.parametrize("content", [b"", b"text", b"- 1", b"a: [", b"a: \xff", b"\0", b"!!python/object:os.system {}"])
def test_what_is_no_mapping_is_refused(content: bytes) -> None:
    with pytest.raises(SpecError, match="x"):
        parse(content, "x")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"paths:\n  /a: {get: {}, get: {}}", "the key 'get' twice at /paths//a (line 2)"),
        (b"a: 1\nb: 2\na: 3", "the key 'a' twice at the top (line 3)"),
        (b"200: 1\n'200': 2", "the key '200' twice"),
        (b'{"paths": {"/a": 1, "/a": 2}}', "the key '/a' twice at /paths (line 1)"),
        (b"a: &x\n  b: {c: *x}", "the alias at /a/b/c stands for what it is in"),
        (b"a: &x [1, *x]", "the alias at /a/1 stands for what it is in"),
        (b"a: !!timestamp 2025-10-01", "a 'timestamp' at /a, which JSON does not know"),
        (b"a: !!set {b, c}", "a 'set' at /a"),
        (b"[" * 100_000, "is nested more than 200 levels deep"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "is nested more than 200 levels deep"),
        (b'{"a": "\\ud83d"}', "surrogates not allowed"),
        (b"a: 1\n---\nb: 2", "a single document"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_in_one_line(content: bytes, said: str) -> None:
    with pytest.raises(SpecError) as found:
        parse(content, "x.yaml")
    assert said in str(found.value)
    assert str(found.value).startswith("x.yaml ")
    assert len(str(found.value).splitlines()) == 1


def test_aliases_of_aliases_of_aliases_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(SpecError, match="more than 1,000,000 values"):
        parse("\n".join(lines).encode(), "x")


def test_references_follow_the_rules_of_json_pointers() -> None:
    document = {"a/b": {"c~d": {"e f": [0, 1]}}}
    assert find(document, "#/a~1b/c~0d/e%20f/1") == 1
    assert find(document, "#/a~1b/c~0d/e%20f/2") is None
    assert find(document, "#") == document


def test_references_are_found_where_they_stand_and_not_in_examples() -> None:
    document = {
        "paths": {"/a": {"get": {"parameters": [{"$ref": "#/p"}], "responses": {"default": {"$ref": "#/r"}}}}},
        "x": {"properties": {"default": {"$ref": "#/s"}, "$ref": {"type": "string"}}, "example": {"$ref": "#/no"}},
    }
    assert list(references(document)) == [
        ("paths['/a'].get.parameters[0]", "#/p"),
        ("paths['/a'].get.responses.default", "#/r"),
        ("x.properties.default", "#/s"),
    ]


def test_places_are_told_as_people_write_them() -> None:
    assert at("paths", "/v1/{a}", "get", "parameters", 0) == "paths['/v1/{a}'].get.parameters[0]"
    assert at() == "the document"
