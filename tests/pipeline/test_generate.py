"""However the API is described, the same code comes out."""

import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from openapi_spec_validator import validate

from tests.pipeline.conftest import REAL, files
from tests.pipeline.forms import FORMS, described
from tools.spec.check import main as check
from tools.spec.check import problems
from tools.spec.document import dump, load, operations, parse
from tools.spec.generate import main as generate
from tools.spec.generate import patched
from tools.spec.overlay import pins
from tools.spec.project import Project


def test_the_description_is_valid_and_whole() -> None:
    document = load(REAL.description)
    validate(document)
    assert len(list(operations(document))) == 13
    assert document["openapi"].startswith("3.1")
    assert document["security"] == [{"x-api-key": []}]


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
    assert described_fields(load(REAL.description)["components"]["schemas"]) == []


@pytest.mark.parametrize("form", FORMS)
def test_the_same_wire_gives_the_generator_the_same_to_read(form: str, project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_bytes(described(form, load(project.description)))
    told: list[str] = []
    ours, theirs = (patched(project, path, told.append)[0] for path in (project.description, other))
    # Their own description of the whole API is kept, and appears nowhere in the code.
    theirs["info"].pop("description", None)
    ours["info"].pop("description", None)
    assert theirs == ours


@pytest.mark.parametrize("form", ["awkward", "strict", "asp_net"])
def test_the_same_wire_gives_the_same_code(form: str, project: Project, tmp_path: Path) -> None:
    before = files(project)
    other = tmp_path / "other.yaml"
    other.write_bytes(described(form, load(project.description)))
    assert other.read_bytes() != project.description.read_bytes()

    assert generate(["--spec", str(other)], project) == 0

    assert files(project) == before


def test_forms_stay_what_they_are_meant_to_be() -> None:
    document = load(REAL.description)
    assert b"$ref" not in described("inline_3_0", document)
    assert b"allOf" in described("components_and_all_of", document)
    assert b"operationId" not in described("nameless_and_more", document)
    assert b"application/*+json" in described("strict", document)
    assert b"\r\n" in described("awkward", document)
    assert b" 200:\r\n" in described("awkward", document)
    assert b"- 2025-10-01T12:00:00.000000Z\r\n" in described("awkward", document)
    for form in FORMS:
        assert parse(described(form, document), form)["paths"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document["paths"].pop("/v1/datasets"), "/v1/datasets"),
        (lambda document: document["paths"]["/v1/accounts"].pop("get"), "/v1/accounts"),
        (lambda document: document.pop("paths"), "paths"),
    ],
)
def test_what_the_facade_needs_and_is_gone_is_named(
    change: Any, words: str, project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(project)
    document = load(project.description)
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


def test_a_relative_description_and_a_folder_of_ones_own(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(project)
    (tmp_path / "mine.yaml").write_bytes(project.description.read_bytes())
    monkeypatch.chdir(tmp_path)

    assert generate(["--spec", "mine.yaml", "--out", "fresh"], project) == 0

    assert "13 operations from mine.yaml" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "fresh").iterdir()] == ["databox_openapi"]
    assert files(attrs.evolve(project, root=tmp_path / "fresh" / "databox_openapi")) == {
        name.removeprefix("generated/databox_openapi/"): content
        for name, content in before.items()
        if name.startswith("generated/")
    }
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

    wanted = pins(load(REAL.overlay))
    assert len({pin.facade for pin in wanted}) == len({(pin.path, pin.method) for pin in wanted}) == 13
    assert all(hasattr(facade, pin.facade.replace(".", "_")) for pin in wanted)


# Drift


def test_nothing_has_drifted(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(REAL) == 0
    assert "13 operations" in capsys.readouterr().out


def test_every_kind_of_drift_is_found(project: Project) -> None:
    edited = project.package / "types.py"
    edited.write_bytes(edited.read_bytes() + b"\n")
    (project.package / "client.py").unlink()
    (project.package / "mine.py").write_text("x = 1\n", "utf-8")
    (project.package.parent / "stray.py").write_text("x = 1\n", "utf-8")
    before = files(project)

    found = list(problems(project))

    assert len(found) == 4
    assert "client.py is missing" in found[0]
    assert "mine.py does not belong" in found[1]
    assert "types.py is not what" in found[2]
    assert all("make generate" in problem for problem in found[:3])
    assert "stray.py does not belong" in found[3]
    assert "Delete it" in found[3]
    assert files(project) == before


def test_a_facade_that_does_not_import_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "databox.api.operations", None)
    assert check(project) == 1
    said = capsys.readouterr().err
    assert "databox.api.operations cannot be imported" in said
    assert len(said.splitlines()) == 1


def test_an_edited_description_is_found(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    content = project.description.read_bytes()
    project.description.write_bytes(content.replace(b"List accounts", b"List Accounts", 1))
    assert check(project) == 1
    assert "not the file that spec.lock describes" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"[]", b"address: x\n", b"\xff"])
def test_a_broken_lock_is_named(project: Project, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    project.lock.write_bytes(content)
    assert check(project) == 1
    assert "spec.lock" in capsys.readouterr().err
