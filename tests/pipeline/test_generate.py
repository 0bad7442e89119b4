"""However the API is described, the generated code matches the description and sends the same."""

import copy
import os
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from openapi_spec_validator import validate

from tests.pipeline.conftest import REAL, files
from tests.pipeline.forms import FORMS, described
from tests.pipeline.frameworks import FRAMEWORKS, Document
from tests.pipeline.requests_of import requests_of, type_fault
from tests.reference import REFERENCE
from tools.spec.check import main as check
from tools.spec.check import problems
from tools.spec.classes import REFUSAL
from tools.spec.document import dump, load, operations, parse
from tools.spec.facade import of_the_client, unmet
from tools.spec.generate import main as generate
from tools.spec.generate import write_package
from tools.spec.normalise import corrected, for_the_generator
from tools.spec.pins import PINS
from tools.spec.project import Project
from tools.spec.wire import facts_of

OVERLAY = load(REAL.overlay)


def test_the_reference_is_valid_and_whole() -> None:
    validate(REFERENCE)
    assert len(list(operations(REFERENCE))) == 13
    assert REFERENCE["security"] == [{"x-api-key": []}]


def described_fields(value: Any, where: str = "") -> list[str]:
    """Where a property has neither a description nor an example, of its own or by reference."""
    found: list[str] = []
    for name, schema in (value.get("properties") or {}).items() if isinstance(value, dict) else ():
        plain = schema.get("type") not in ("object", "array") and not isinstance(schema.get("type"), list)
        if "$ref" not in schema and ("description" not in schema or (plain and "examples" not in schema)):
            found.append(f"{where}.{name}")
    for key, inner in value.items() if isinstance(value, dict) else ():
        found += described_fields(inner, f"{where}.{key}")
    return found


def test_every_field_is_described() -> None:
    assert described_fields(REFERENCE["components"]["schemas"]) == []


OURS = for_the_generator(corrected(REFERENCE, OVERLAY))


def bones(schema: Any) -> Any:
    """What a class is made of, without words: names and types."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if key not in {"description", "example", "summary"}}
        return {key: bones(value) for key, value in kept.items()}
    return schema


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_another_form_gives_the_generator_the_same_names_to_read(form: str) -> None:
    theirs = for_the_generator(corrected(parse(described(form, REFERENCE), form), OVERLAY))
    for path, item in OURS["paths"].items():
        for method, operation in item.items():
            other = theirs["paths"][path][method]
            assert (other["operationId"], other["tags"]) == (operation["operationId"], operation["tags"])
            names = {each["name"]: bones(each["schema"])["type"] for each in operation["parameters"]}
            assert (
                names.items() <= {each["name"]: bones(each["schema"])["type"] for each in other["parameters"]}.items()
            )
            assert other.get("requestBody", {}).get("content") == operation.get("requestBody", {}).get("content")
    for name, schema in OURS["components"]["schemas"].items():
        if form == "dotnet" and name.startswith(REFUSAL):
            continue  # it says nothing of errors
        ours, other = bones(schema).get("properties", {}), bones(theirs["components"]["schemas"][name])
        assert ours.keys() <= other.get("properties", {}).keys(), name


ONLY_FORM = ["inline_3_0", "components_and_all_of", "scattered", "asp_net"]


@pytest.mark.parametrize("form", ONLY_FORM)
def test_where_only_the_form_differs_the_bones_are_the_same(form: str) -> None:
    theirs = for_the_generator(corrected(parse(described(form, REFERENCE), form), OVERLAY))
    assert bones(theirs["components"]) == bones(OURS["components"])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["strict", "awkward", "chained", "odd_words", *(each.__name__ for each in FRAMEWORKS)])
def test_the_code_sends_the_same(form: str, tmp_path: Path) -> None:
    other, package = tmp_path / "other.yaml", tmp_path / "made" / "databox_openapi"
    other.write_bytes(described(form, REFERENCE))
    package.parent.mkdir()
    write_package(REAL, other, package, lambda line: None)
    assert requests_of(package) == requests_of(REAL.package)


@pytest.mark.slow
def test_a_request_field_that_is_gone_fails_the_types_and_the_check(tmp_path: Path) -> None:
    document = copy.deepcopy(REFERENCE)
    properties = document["components"]["schemas"]["CreateDatasetRequest"]["properties"]
    properties["keyColumns"] = properties.pop("primaryKeys")
    other, package = tmp_path / "other.yaml", tmp_path / "made" / "databox_openapi"
    other.write_bytes(dump(document))
    package.parent.mkdir()
    write_package(REAL, other, package, lambda line: None)
    assert 'Unexpected keyword argument "primary_keys" for "CreateDatasetBody"' in (type_fault(package) or "")
    with pytest.raises(AssertionError, match="unexpected keyword argument 'primary_keys'"):
        requests_of(package)
    gone = "request field primaryKeys is not in the description, and the client sends it."
    assert any(gone in line for line in unmet(of_the_client(), facts_of(corrected(document, OVERLAY))))


@pytest.mark.slow
def test_it_takes_no_time_to_speak_of(project: Project) -> None:
    before = sum(os.times()[:4])  # of the processor, with that of programs it starts: other work slows the clock only
    assert generate([], project) == 0
    assert sum(os.times()[:4]) - before < 15


@pytest.mark.slow
def test_forms_stay_what_they_are_meant_to_be() -> None:
    document = REFERENCE
    assert b"$ref" not in described("inline_3_0", document)
    assert b"allOf" in described("components_and_all_of", document)
    assert b"operationId" not in described("nameless_and_more", document)
    assert b"application/*+json" in described("strict", document)
    assert b"\r\n" in described("awkward", document)
    assert b" 200:\r\n" in described("awkward", document)
    assert b"- 2025-10-01T12:00:00.000000Z\r\n" in described("awkward", document)
    assert b"titel" in described("chained", document)
    assert b"nullable" in described("swashbuckle", document)
    for form in FORMS:
        assert parse(described(form, document), form)["paths"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document["paths"].pop("/v1/datasets"), "lacks 1 of our 13 operations: POST /v1/datasets."),
        (lambda document: document["paths"]["/v1/accounts"].pop("get"), "GET /v1/accounts"),
        (lambda document: document.pop("paths"), "paths"),
    ],
)
def test_what_the_facade_needs_and_is_gone_is_named(
    change: Any, words: str, project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(project)
    document = copy.deepcopy(REFERENCE)
    change(document)
    other = tmp_path / "other.yaml"
    other.write_bytes(dump(document))
    assert generate(["--spec", str(other)], project) == 1
    said = capsys.readouterr().err
    assert words in said
    assert "Nothing was changed" in said
    assert "Traceback" not in said
    assert files(project) == before


def test_a_description_that_is_not_there(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(["--spec", "nowhere.yaml"], project) == 1
    assert "nowhere.yaml" in capsys.readouterr().err


@pytest.mark.slow
def test_a_relative_description_and_a_folder_of_ones_own(
    mirror: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(mirror)
    (tmp_path / "mine.yaml").write_bytes(mirror.description.read_bytes())
    monkeypatch.chdir(tmp_path)

    assert generate(["--spec", "mine.yaml", "--out", "fresh"], mirror) == 0

    assert " operations from mine.yaml" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "fresh").iterdir()] == ["databox_openapi"]
    assert files(attrs.evolve(mirror, root=tmp_path / "fresh" / "databox_openapi")) == {
        name.removeprefix("generated/databox_openapi/"): content
        for name, content in before.items()
        if name.startswith("generated/")
    }
    assert files(mirror) == before


# Operations that are none of ours


def with_more(**operations: Document) -> bytes:
    document = copy.deepcopy(REFERENCE)
    for path, operation in operations.items():
        document["paths"][f"/v1/{path}"] = {"post": {"responses": {"200": {"description": "Fine."}}, **operation}}
    return dump(document)


CSV = {"requestBody": {"content": {"text/csv": {"schema": {"type": "string"}}}}}


@pytest.mark.slow
def test_new_operations_are_made_too_and_those_that_cannot_be_are_left_out_and_told(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_bytes(with_more(reports={"description": "Makes a report."}, exports=CSV))
    assert generate(["--spec", str(other)], project) == 0
    said = capsys.readouterr()
    assert "databox_openapi has 14 operations" in said.out
    assert "left out: POST /v1/exports, which the generator cannot make" in said.err
    assert "Makes a report." in (project.package / "api" / "reports" / "post_v1_reports.py").read_text("utf-8")
    assert not (project.package / "api" / "exports").exists()


@pytest.mark.slow
def test_what_makes_code_that_is_none_is_refused(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(project)
    monkeypatch.setattr("tools.spec.generate.HEADER", "x = '\\d'\n")  # which Python warns of
    assert generate([], project) == 1
    assert "is not Python: invalid escape sequence" in capsys.readouterr().err
    assert files(project) == before


def test_a_swap_that_fails_puts_the_old_package_back(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(project)
    real = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise PermissionError(13, "Permission denied", str(target))
        return real(self, target)

    def made(_project: Project, _description: Path, target: Path, _report: object) -> None:
        target.mkdir()

    monkeypatch.setattr("tools.spec.generate.write_package", made)
    monkeypatch.setattr(Path, "rename", failing)
    assert generate([], project) == 1
    said = capsys.readouterr().err
    assert "Nothing was changed. Cannot write" in said
    assert "Permission denied" in said
    assert files(project) == before


def test_every_file_says_that_it_is_generated() -> None:
    for path in REAL.package.rglob("*.py"):
        assert path.read_text("utf-8").startswith("# Generated by openapi-python-client"), path


def test_the_pins_are_the_facades_operations() -> None:
    import databox.api.operations as facade

    assert len({pin.facade for pin in PINS}) == len({(pin.path, pin.method) for pin in PINS}) == 13
    assert all(hasattr(facade, pin.facade.replace(".", "_")) for pin in PINS)


# Drift


@pytest.mark.slow
def test_nothing_has_drifted(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(REAL) == 0
    assert "13 operations" in capsys.readouterr().out


@pytest.mark.slow
def test_every_kind_of_drift_is_found(mirror: Project) -> None:
    project = mirror
    edited = project.package / "types.py"
    edited.write_bytes(edited.read_bytes() + b"\n")
    (project.package / "client.py").unlink()
    (project.package / "mine.py").write_text("x = 1\n", "utf-8")
    (project.package.parent / "stray.py").write_text("x = 1\n", "utf-8")
    project.plain.write_bytes(project.plain.read_bytes() + b"\n")
    before = files(project)

    found = list(problems(project))

    assert len(found) == 5
    assert "client.py is missing" in found[0]
    assert "mine.py does not belong" in found[1]
    assert "types.py is not what" in found[2]
    assert all("make generate" in problem for problem in found[:3])
    assert "stray.py does not belong" in found[3]
    assert "Delete it" in found[3]
    assert "conformance/databox-v1.yaml is not what `make generate` writes" in found[4]
    assert files(project) == before


@pytest.mark.slow
def test_a_facade_that_does_not_import_is_named(
    mirror: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("tools.spec.facade", "databox.api.operations"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "databox.api.operations", None)
    monkeypatch.delattr("databox.api.operations", raising=False)
    assert check(mirror) == 1
    said = capsys.readouterr().err
    assert "databox.api.operations cannot be imported" in said
    assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_an_edited_description_is_found(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.description.write_bytes(project.description.read_bytes() + b"\n")
    assert check(project) == 1
    assert "not the file that spec.lock describes" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"[]", b"address: x\n", b"\xff"])
def test_a_broken_lock_is_named(project: Project, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    project.lock.write_bytes(content)
    assert check(project) == 1
    assert "spec.lock" in capsys.readouterr().err
