"""Pulling: byte for byte, both files or neither, and a refusal in a few lines for everything else."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipeline.conftest import files
from tests.pipeline.forms import FORMS, described
from tests.reference import REFERENCE
from tests.scripted import ScriptedServer, Step, answer, drop, head, wire
from tools.spec.document import dump
from tools.spec.project import Project
from tools.spec.pull import main as pull

YAML = {"content-type": "application/yaml"}


@pytest.fixture
def published(project: Project) -> bytes:
    """What the real file may look like."""
    return described("awkward", REFERENCE)


def pulled(project: Project, address: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("SPEC_URL", address)
    return pull(project)


def test_the_file_arrives_byte_for_byte(
    project: Project, server: ScriptedServer, published: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.will(answer(200, published, YAML))
    assert pulled(project, server.url + "/api.yaml", monkeypatch) == 0
    assert project.description.read_bytes() == published
    lock = yaml.safe_load(project.lock.read_bytes())
    assert lock["sha256"] == hashlib.sha256(published).hexdigest()
    assert (lock["provenance"], lock["operations"]) == ("pulled", 13)
    assert lock["address"] == server.url + "/api.yaml"
    assert len(lock["date"]) == 10


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_api_is_accepted(project: Project, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = project.root / "published.yaml"
    content = described(form, REFERENCE)
    source.write_bytes(content)
    assert pulled(project, source.as_uri(), monkeypatch) == 0
    assert project.description.read_bytes() == content


def cut(content: bytes) -> bytes:
    """The first half, up to a line's end: it parses."""
    half = content[: content.index(b"components:")]
    return half[: half.rindex(b"\n") + 1]


def without_one(document: dict[str, Any]) -> bytes:
    """A description that lost an operation."""
    return dump({**document, "paths": {path: item for path, item in document["paths"].items() if "purge" not in path}})


def refusals(published: bytes, document: dict[str, Any]) -> Iterator[tuple[str, Step, str]]:
    """What a server may send instead, and a word of the refusal."""
    yield "404 with a good body", answer(404, published, YAML), "404"
    yield "500", answer(500), "500"
    yield "203", answer(203, published, YAML), "203"
    yield "empty", answer(200), "is empty"
    yield "short body", wire(head(200, {"content-length": str(len(published) + 9)}) + published, close=True), ""
    yield "HTML", answer(200, "<!doctype html><html><body>Sign in</body></html>"), "web page"
    yield "not YAML", answer(200, "a: [1, {"), "not YAML"
    yield "binary", answer(200, b"\x89PNG\r\n\x1a\n\0\0"), "not YAML"
    yield "a list", answer(200, "- openapi: 3.1.0"), "list"
    yield "Swagger 2", answer(200, "swagger: '2.0'\npaths: {}"), "OpenAPI 3"
    yield "no version", answer(200, dump({**document, "openapi": ""})), "OpenAPI 3"
    yield "no paths", answer(200, "openapi: 3.1.0\ninfo: {title: t, version: v}"), "paths"
    yield "another API", answer(200, "openapi: 3.1.0\ninfo: {title: t, version: v}\npaths: {/a: {}}"), "lacks 13"
    yield "cut at a line's end", answer(200, cut(dump(document))), "which is not there"
    yield "cut, and refers to nothing", answer(200, cut(described("inline_3_0", document))), "security scheme"
    yield "in several files", answer(200, dump(document).replace(b"'#/comp", b"'rest.yaml#/comp")), "another file's"
    yield "one operation short", answer(200, without_one(document)), "lacks 1"
    yield "malformed", answer(200, dump({**document, "paths": {**document["paths"], "/v1/x": {"get": 5}}})), "number"
    yield "dropped", drop, "cannot be fetched"


NAMES = [
    "404 with a good body",
    "500",
    "203",
    "empty",
    "short body",
    "HTML",
    "not YAML",
    "binary",
    "a list",
    "Swagger 2",
    "no version",
    "no paths",
    "another API",
    "cut at a line's end",
    "cut, and refers to nothing",
    "in several files",
    "one operation short",
    "malformed",
    "dropped",
]


def test_every_refusal_is_tried(published: bytes, project: Project) -> None:
    assert [name for name, _, _ in refusals(published, REFERENCE)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_refusals_leave_both_files_alone(
    name: str,
    project: Project,
    server: ScriptedServer,
    published: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files(project)
    _, step, word = next(entry for entry in refusals(published, REFERENCE) if entry[0] == name)
    server.will(step)
    assert pulled(project, server.url, monkeypatch) == 1
    said = capsys.readouterr().err
    assert word in said
    assert "nothing was changed" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 4
    assert files(project) == before


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "ftp://example.org/x",
        "http://",
        "http://nowhere.invalid/x",
        "http://[::1",
        "file:///nowhere.yaml",
    ],
)
def test_addresses_that_lead_nowhere(
    project: Project, address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not address:
        monkeypatch.setattr("tools.spec.pull.ADDRESS", "https://nowhere.invalid/api.yaml")
    before = files(project)
    assert pulled(project, address, monkeypatch) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert files(project) == before


@pytest.mark.parametrize("there_before", [("description", "lock"), ("lock",), ("description",)])
def test_both_files_or_neither(
    there_before: tuple[str, ...],
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = project.root / "published.yaml"
    source.write_bytes(described("strict", REFERENCE))
    for name in {"description", "lock"} - set(there_before):
        getattr(project, name).unlink()
    before = files(project)
    real = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if Path(target).name == "spec.lock":
            raise PermissionError(13, "Permission denied", str(target))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    assert pulled(project, source.as_uri(), monkeypatch) == 1
    assert "Permission denied" in capsys.readouterr().err
    assert files(project) == before


CHANGELOG = "# Changelog\r\n\r\n## 9.9.9 - unreleased\r\n\r\n### Added\r\n\r\n- Everything.\r\n\r\n## 9.9.8\r\n"


def test_the_changelog_says_how_the_description_changed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.changelog.write_bytes(CHANGELOG.encode())
    source = project.root / "published.yaml"
    source.write_bytes(project.description.read_bytes().replace(b"accountType", b"kind"))
    assert pulled(project, source.as_uri(), monkeypatch) == 0
    text = project.changelog.read_bytes().decode()
    head, _, tail = text.partition("## 9.9.9 - unreleased\r\n")
    date = yaml.safe_load(project.lock.read_bytes())["date"]
    assert tail.startswith(
        f"\n### The API's description, {date}\n\nThe client relies on what is gone or changed here:\n"
    )
    assert "- GET /v1/accounts (accounts.list): answer field accounts[].accountType is gone\n" in tail
    assert head + "## 9.9.9 - unreleased\r\n" + tail[tail.index("\r\n### Added") :] == CHANGELOG
    assert pulled(project, source.as_uri(), monkeypatch) == 0
    assert project.changelog.read_bytes().decode() == text  # nothing has changed since


@pytest.mark.slow
def test_only_so_much_is_told_of_what_breaks_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.changelog.write_text(CHANGELOG)
    source = project.root / "published.yaml"
    source.write_bytes(described("nameless_and_more", REFERENCE))
    assert pulled(project, source.as_uri(), monkeypatch) == 0
    told = project.changelog.read_text()
    assert "Nothing that the client relies on is gone or changed." in told
    assert "- and 21 more\n" in told


def test_a_pull_mends_a_description_that_somebody_spoilt(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.changelog.write_text(CHANGELOG)
    source = project.root / "published.yaml"
    source.write_bytes(project.description.read_bytes())
    project.description.write_bytes(b"openapi: [")
    assert pulled(project, source.as_uri(), monkeypatch) == 0
    assert project.description.read_bytes() == source.read_bytes()
    assert "It could not be compared with the one before." in project.changelog.read_text()
