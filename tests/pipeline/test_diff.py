"""Changes of the wire are reported, operation by operation; changes of form are not."""

import copy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.pipeline.forms import FORMS, described
from tests.pipeline.frameworks import Document, resolved
from tests.reference import REFERENCE, REFERENCE_FILE
from tools.spec.diff import Change, changes, compare
from tools.spec.diff import main as diff
from tools.spec.document import dump, operations, parse
from tools.spec.facade import of_the_client
from tools.spec.pins import blank
from tools.spec.project import Project
from tools.spec.wire import wire_of

PUBLISHED = REFERENCE
INLINE: Document = {**resolved(PUBLISHED, PUBLISHED), "components": PUBLISHED["components"]}
"""Everything written out, so that what is done to one operation is done to that one alone."""
RELIED = of_the_client()


BEFORE = wire_of(INLINE)
TITLES = {f"{method.upper()} {blank(path)}": f"{method.upper()} {path}" for path, method, _ in operations(INLINE)}


def of(*changed: Document) -> list[Change]:
    """The changes from our description, or between two."""
    if len(changed) == 2:
        return compare(*changed)
    return list(changes(BEFORE, wire_of(changed[0]), RELIED, TITLES))


def alone(key: str) -> Document:
    """A copy of our description with one path only, which is quicker to do things to."""
    path = TITLES[key].partition(" ")[2]
    return {**INLINE, "paths": {path: copy.deepcopy(INLINE["paths"][path])}}


def of_one(key: str, changed: Document) -> list[Change]:
    """The changes to one operation."""
    return list(changes({key: BEFORE[key]}, {key: wire_of(changed)[key]}, RELIED, TITLES))


def breaking(found: list[Change]) -> list[str]:
    return [str(change) for change in found if change.weight == "breaks"]


# The form


REQUIRED_WRONGLY = ["POST /v1/datasets (datasets.create): request field primaryKeys is required now"]
"""What one form says falsely, and is no other form but another wire."""


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_another_form_is_no_other_wire(form: str) -> None:
    other = parse(described(form, PUBLISHED), form)
    assert breaking(of(PUBLISHED, other)) == (REQUIRED_WRONGLY if form == "chained" else [])
    back = breaking(of(other, PUBLISHED))
    assert back == []  # what the form has more is missed by nobody


@pytest.mark.parametrize("form", ["inline_3_0", "components_and_all_of", "awkward", "scattered"])
def test_a_form_that_says_the_same_has_no_changes(form: str) -> None:
    told = {change.what for change in of(PUBLISHED, parse(described(form, PUBLISHED), form))}
    assert told <= {"header parameter x-trace is new"}


# What the facade relies on


def test_nearly_everything_that_is_described_is_relied_on() -> None:
    unread = {"answer field message", "answer field pagination.page"}
    for key, facts in BEFORE.items():
        assert not RELIED[key].broken
        assert facts.keys() - RELIED[key].places.keys() <= unread


def test_every_operation_relies_on_something_of_its_own() -> None:
    assert len(RELIED) == 13
    assert RELIED["POST /v1/datasets"].always_sent >= {"request field title", "request field dataSourceId"}
    assert "request field primaryKeys" not in RELIED["POST /v1/datasets"].always_sent
    assert "query parameter pageSize" in RELIED["GET /v1/datasets/{}/ingestions"].places


def relied_places(key: str) -> list[str]:
    """What the facade relies on in an operation, and our description says."""
    places = sorted(RELIED[key].places.keys() & BEFORE[key].keys())
    return [place for place in places if " field " in place or " parameter " in place]


def named_places(key: str) -> list[str]:
    """Those with a name of their own: items of lists have none, and those in a path only the one that we give them."""
    return [place for place in relied_places(key) if not place.endswith("[]") and not place.startswith("path")]


def parts(document: Document, key: str, place: str) -> Iterator[tuple[Document, str]]:
    """Find where a place is described, for all statuses: the mapping, and the name in it."""
    operation = operation_of(document, key)
    word, _, name = place.replace(" field ", " ").replace(" parameter ", " ").partition(" ")
    if word in {"query", "path"}:
        yield from ((each, "name") for each in operation["parameters"] if each["name"] == name)
        return
    bodies: dict[str, Any] = {"request": operation.get("requestBody"), **operation["responses"]}
    for status, body in bodies.items():
        if {"request": "request", "2": "answer", "4": "error"}[status if status == "request" else status[0]] == word:
            yield from inside(body["content"]["application/json"]["schema"], name)


def operation_of(document: Document, key: str) -> Document:
    method, _, template = key.partition(" ")
    (found,) = (
        item[method.lower()]
        for path, item in document["paths"].items()
        if blank(path) == template and method.lower() in item
    )
    return cast("Document", found)


def inside(schema: Document, path: str) -> Iterator[tuple[Document, str]]:
    for part in (schema, *schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        first, _, rest = path.partition(".")
        name = first.removesuffix("[]")
        if name not in part.get("properties", {}):
            continue
        if not rest and first.endswith("[]"):
            for items in (part["properties"][name], *part["properties"][name].get("anyOf", ())):
                if "items" in items:
                    yield items, "items"
        elif not rest:
            yield part["properties"], name
        elif first.endswith("[]"):
            for item in (part["properties"][name], *part["properties"][name].get("anyOf", ())):
                if "items" in item:
                    yield from inside(item["items"], rest)
        else:
            yield from inside(part["properties"][name], rest)


@pytest.mark.parametrize("key", RELIED)
def test_a_name_that_changes_is_named(key: str) -> None:
    for place in named_places(key):
        changed = alone(key)
        found = list(parts(changed, key, place))
        assert found, place
        for holder, name in found:
            if name == "name" and "in" in holder:
                holder["name"] = "renamed"
            else:
                holder["renamed"] = holder.pop(name)
        told = of_one(key, changed)
        assert breaking(told) == [f"{title(key)}: {place} is gone"]
        others = [str(change) for change in told if change.weight != "breaks"]
        assert all(line.startswith(title(key)) and "renamed is new" in line for line in others)


@pytest.mark.parametrize("key", RELIED)
def test_a_type_that_changes_is_named(key: str) -> None:
    for place in relied_places(key):
        changed = alone(key)
        for holder, name in parts(changed, key, place):
            other = {"type": "boolean" if "boolean" not in BEFORE[key][place].kinds else "string"}
            holder["schema" if name == "name" and "in" in holder else name] = other
        lines = breaking(of_one(key, changed))
        assert any(line.startswith(f"{title(key)}: {place} was ") for line in lines), place
        assert all(line.startswith(f"{title(key)}: {place}") for line in lines)


def title(key: str) -> str:
    return RELIED[key].title


@pytest.mark.parametrize("key", RELIED)
def test_an_operation_that_is_gone_is_named(key: str) -> None:
    changed = copy.deepcopy(INLINE)
    method, _, template = key.partition(" ")
    for path in changed["paths"]:
        if blank(path) == template:
            del changed["paths"][path][method.lower()]
    assert breaking(of(changed)) == [f"{title(key)}: the operation is gone"]


# Other changes


def test_the_key_in_another_header_breaks_everything() -> None:
    changed = copy.deepcopy(INLINE)
    (scheme,) = changed["components"]["securitySchemes"].values()
    scheme["name"] = "authorization-key"
    lines = breaking(of(changed))
    assert len(lines) == 26
    assert all(line.endswith(("x-api-key is gone", "authorization-key is new, and required")) for line in lines)


def test_a_second_key_breaks_what_sends_one() -> None:
    changed = copy.deepcopy(INLINE)
    changed["components"]["securitySchemes"]["tenant"] = {"type": "apiKey", "in": "header", "name": "x-tenant"}
    changed["security"] = [{"x-api-key": [], "tenant": []}]
    lines = breaking(of(changed))
    assert len(lines) == 13
    assert all(line.endswith("key in header x-tenant is new, and required") for line in lines)


def test_nothing_said_of_keys_is_no_change_of_keys() -> None:
    changed = copy.deepcopy(INLINE)
    del changed["security"], changed["components"]["securitySchemes"]
    assert {change.weight for change in of(changed)} == {"described"}


@pytest.mark.parametrize("required", [False, True])
def test_what_is_new_matters_when_it_must_be_sent(required: bool) -> None:
    changed = copy.deepcopy(INLINE)
    listing, create = operation_of(changed, "GET /v1/accounts"), operation_of(changed, "POST /v1/datasets")
    listing["parameters"] = [{"name": "since", "in": "query", "required": required, "schema": {"type": "string"}}]
    schema = create["requestBody"]["content"]["application/json"]["schema"]
    schema["properties"]["region"] = {"type": "string"}
    schema["required"] = [*schema.get("required", ()), *(["region"] if required else [])]
    operation_of(changed, "DELETE /v1/datasets/{}")["requestBody"] = {
        "required": required,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    changed["paths"]["/v2/accounts"] = {"get": {"responses": {"200": {"description": "New."}}}}
    told = of(changed)
    expected = [
        "DELETE /v1/datasets/{datasetId} (datasets.delete): JSON request is new, and required",
        "GET /v1/accounts (accounts.list): query parameter since is new, and required",
        "POST /v1/datasets (datasets.create): request field region is new, and required",
    ]
    assert breaking(told) == (expected if required else [])
    assert "GET /v2/accounts: the operation is new" in map(str, told)


def test_an_optional_field_that_becomes_required_matters_unless_it_is_always_sent() -> None:
    changed = copy.deepcopy(INLINE)
    schema = operation_of(changed, "POST /v1/data-sources")["requestBody"]["content"]["application/json"]["schema"]
    schema["required"] = ["title", "timezone"]
    assert breaking(of(changed)) == [
        "POST /v1/data-sources (data_sources.create): request field timezone is required now"
    ]


def test_an_operation_that_we_do_not_have_may_go() -> None:
    before = copy.deepcopy(INLINE)
    before["paths"]["/v1/reports"] = {"get": {"responses": {"200": {"description": "Fine."}}}}
    (change,) = of(before, INLINE)
    assert (str(change), change.weight) == ("GET /v1/reports: the operation is gone", "harmless")


def test_a_narrower_description_is_told_and_breaks_nothing() -> None:
    changed = copy.deepcopy(PUBLISHED)
    changed["components"]["schemas"]["created"] |= {"format": "date-time"}
    told = of(PUBLISHED, changed)
    assert {change.weight for change in told} == {"described"}
    assert "POST /v1/datasets (datasets.create): answer field created says format date-time" in map(str, told)


def test_a_shared_name_is_told_for_each_operation_that_has_it() -> None:
    changed = copy.deepcopy(PUBLISHED)
    entry = changed["components"]["schemas"]["Error"]["properties"]
    entry["reason"] = entry.pop("code")
    lines = breaking(of(PUBLISHED, changed))
    assert len([line for line in lines if line.endswith("error field errors[].code is gone")]) == 13


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    changed = copy.deepcopy(PUBLISHED)
    changed["components"]["schemas"]["Loop"] = {"properties": {"next": {"$ref": "#/components/schemas/Loop"}}}
    changed["components"]["schemas"]["Envelope"]["properties"]["loop"] = {"$ref": "#/components/schemas/Loop"}
    assert breaking(of(PUBLISHED, changed)) == []


# As a command


def test_the_command_says_what_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = copy.deepcopy(PUBLISHED)
    account = changed["components"]["schemas"]["Account"]["properties"]
    account["kind"] = account.pop("accountType")
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_bytes(dump(PUBLISHED))
    new.write_bytes(dump(changed))
    assert diff([str(old), str(new)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "The client relies on what is gone or changed here:",
        "",
        "- GET /v1/accounts (accounts.list): answer field accounts[].accountType is gone",
        "",
        "Changed, and the client does not rely on it:",
        "",
        "- GET /v1/accounts (accounts.list): answer field accounts[].kind is new",
    ]
    assert diff([str(old), str(old)]) == 0


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"openapi: 3.1.0\n", b"openapi: 2.0\npaths: {}\n", b"\xff\xfe", None]
)
def test_what_cannot_be_compared_is_named(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    if content is not None:
        bad.write_bytes(content)
    for pair in ([str(bad), str(REFERENCE_FILE)], [str(REFERENCE_FILE), str(bad)]):
        assert diff(pair) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.startswith("Nothing was compared.")) == ("", True)
        assert "bad.yaml" in said.err


def committed(project: Project) -> None:
    git = ["git", "-C", str(project.root), "-c", "user.name=n", "-c", "user.email=e@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)


def test_without_arguments_the_last_commit_is_the_older_one(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff([], project) == 2
    assert "OLD=file" in capsys.readouterr().err
    committed(project)
    assert diff([], project) == 0
    project.description.write_bytes(project.description.read_bytes().replace(b"ingestionId", b"ingestId"))
    assert diff([], project) == 1
    assert "answer field ingestionId is gone" in capsys.readouterr().out


def test_without_arguments_an_operation_that_is_gone_gets_a_verdict(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    committed(project)
    document = copy.deepcopy(REFERENCE)
    del document["paths"]["/v1/datasets/{datasetId}/ingestions"]
    document["paths"]["/v1/accounts"] = {"put": document["paths"]["/v1/accounts"]["get"]}
    project.description.write_bytes(dump(document))
    assert diff([], project) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[2:4] == [
        "- GET /v1/accounts (accounts.list): the operation is gone",
        "- GET /v1/datasets/{datasetId}/ingestions (datasets.list_ingestions): the operation is gone",
    ]
    assert "- PUT /v1/accounts: the operation is new" in said.out
    assert said.err == ""


def test_where_the_client_cannot_build_a_request_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_keys(title: str, *, data_source_id: int, primary_keys: Any) -> None:
        raise TypeError("CreateDatasetBody.__init__() got an unexpected keyword argument 'primary_keys'")

    monkeypatch.setattr("databox.api.operations.datasets_create", without_keys)
    assert breaking(of(PUBLISHED, PUBLISHED)) == [
        (
            "POST /v1/datasets (datasets.create): the client cannot build this request any more: TypeError: "
            "CreateDatasetBody.__init__() got an unexpected keyword argument 'primary_keys'"
        )
    ]
