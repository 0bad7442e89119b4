"""`make pull`, `make diff` and `make generate` accept the same files, and report the same problems."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import files
from tests.reference import REFERENCE
from tools.spec.diff import main as diff
from tools.spec.document import dump
from tools.spec.generate import main as generate
from tools.spec.project import Project
from tools.spec.pull import main as pull
from tools.spec.validity import circles, published

Document = dict[str, Any]


def changed(change: Callable[[Document], object]) -> bytes:
    document = copy.deepcopy(REFERENCE)
    change(document)
    return dump(document)


def parameter(document: Document) -> Document:
    found: Document = document["paths"]["/v1/datasets/{datasetId}/ingestions"]["get"]["parameters"][1]["schema"]
    return found


def schemas(document: Document) -> Document:
    found: Document = document["components"]["schemas"]
    return found


PAGE = "paths['/v1/datasets/{datasetId}/ingestions'].get.parameters[1].schema"
TWICE = "Operation ID 'Accounts_GetAccounts' for 'post' in '/v1/datasets' is not unique"

WARNED: dict[str, tuple[Callable[[Document], object], str]] = {
    "a wrong default of a parameter": (
        lambda document: parameter(document).update(default="ten"),
        f"{PAGE}: the default does not fit: 'ten' is not of type 'integer'",
    ),
    "a wrong default of a field": (
        lambda document: schemas(document)["Account"]["properties"]["name"].update(default=5),
        "components.schemas.Account.properties.name: the default does not fit: 5 is not of type 'string'",
    ),
    "a version that is a number": (
        lambda document: document["info"].update(version=1.0),
        'info.version: 1.0 is not of type "string"',
    ),
    "an operation id that stands twice": (
        lambda document: document["paths"]["/v1/datasets"]["post"].update(operationId="Accounts_GetAccounts"),
        TWICE,
    ),
    "a type that is none": (
        lambda document: schemas(document)["Account"].update(type="objct"),
        "components.schemas.Account: 'objct' is no JSON type",
    ),
    "a required list that is none": (
        lambda document: schemas(document)["Account"].update(required=True),
        "components.schemas.Account: required is not a list of names",
    ),
    "a reference that depends": (
        lambda document: schemas(document)["Account"]["properties"].update(parent={"$dynamicRef": "#up"}),
        "components.schemas.Account.properties.parent: $dynamicRef is not followed",
    ),
    "an answer that is empty": (
        lambda document: document["paths"]["/v1/accounts"]["get"]["responses"].update({"418": None}),
        "paths['/v1/accounts'].get.responses[418]: null is not of type",
    ),
    "a version in two parts": (lambda document: document.update(openapi="3.1"), "openapi: 3.1 is read as if it were"),
    "a title that is none": (lambda document: document["info"].update(title=5), "info.title: 5 is not of type"),
}

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a key that stands twice": (
        lambda: dump(REFERENCE).replace(b"  version: v1\n", b"  version: v1\n  version: v2\n", 1),
        "the key 'version' twice at /info",
    ),
    "an alias cycle": (
        lambda: dump(REFERENCE) + b"x-a: &a\n  b: {c: *a}\n",
        "the alias at /x-a/b/c stands for what it is in",
    ),
    "a schema that is nothing but itself": (
        lambda: changed(
            lambda document: schemas(document).update(
                One={"$ref": "#/components/schemas/Two"}, Two={"allOf": [{"$ref": "#/components/schemas/One"}]}
            )
        ),
        "#/components/schemas/Two → #/components/schemas/One → #/components/schemas/Two",
    ),
    "a choice of itself": (
        lambda: changed(
            lambda document: schemas(document).update(
                One={"oneOf": [{"$ref": "#/components/schemas/One"}, {"type": "null"}]}
            )
        ),
        "#/components/schemas/One is nothing but itself",
    ),
    "a missing target": (
        lambda: changed(lambda document: schemas(document).pop("Account")),
        (
            "components.schemas.AccountsResponse.properties.accounts.items refers to #/components/schemas/Account, "
            "which is not there"
        ),
    ),
    "a reference to everything": (
        lambda: changed(lambda document: schemas(document)["Account"]["properties"].update(parent={"$ref": "#"})),
        "components.schemas.Account.properties.parent refers to #, which is not there",
    ),
    "another file": (
        lambda: dump(REFERENCE).replace(b"'#/components/schemas/Account'", b"'rest.yaml#/Account'"),
        "refers to rest.yaml#/Account, which is another file's",
    ),
    "a list where a mapping belongs": (
        lambda: changed(lambda document: document["paths"]["/v1/datasets"]["post"].update(responses=[1])),
        "paths['/v1/datasets'].post.responses holds a list ([1]) where a mapping belongs",
    ),
    "a parameter without a name": (
        lambda: changed(lambda document: document["paths"]["/v1/accounts"]["get"].update(parameters=[{"in": "query"}])),
        "paths['/v1/accounts'].get.parameters[0] says neither its name",
    ),
    "a number where a schema belongs": (
        lambda: changed(lambda document: schemas(document)["Account"]["properties"].update(name=5)),
        "accounts[].name holds a number (5) where a schema belongs",
    ),
    "a path that refers to itself": (
        lambda: changed(
            lambda document: document["paths"].update({"/v1/accounts": {"$ref": "#/paths/~1v1~1accounts"}})
        ),
        "#/paths/~1v1~1accounts",
    ),
    "security that is not declared": (
        lambda: changed(lambda document: document["paths"]["/v1/accounts"]["get"].update(security=[{"other": []}])),
        "paths['/v1/accounts'].get asks for the security scheme other, which is not there",
    ),
}


def run_all(
    project: Project,
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, tuple[int, str]]:
    """Let the three commands have the same file; return what each came to and said."""
    other = tmp_path / "other.yaml"
    other.write_bytes(content)
    found = {}
    found["generate"] = generate(["--spec", str(other)], project), capsys.readouterr().err
    found["diff"] = diff([str(project.description), str(other)], project), capsys.readouterr().err
    monkeypatch.setenv("SPEC_URL", other.as_uri())
    found["pull"] = pull(project), capsys.readouterr().err
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", WARNED)
def test_what_can_be_lived_with_is_a_warning_that_names_the_place(
    name: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = WARNED[name]
    for command, (status, told) in run_all(project, changed(change), tmp_path, monkeypatch, capsys).items():
        assert status == 0, (command, told)
        assert any(line.startswith("warning: ") and said in line for line in told.splitlines()), (command, told)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_by_all_in_one_line_with_the_place(
    name: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content, said = REFUSED[name]
    before = files(project)
    for command, (status, told) in run_all(project, content(), tmp_path, monkeypatch, capsys).items():
        assert status == (2 if command == "diff" else 1), command
        assert said in told, command
        assert len(told.splitlines()) == 1, command
        assert "Traceback" not in told
    assert files(project) == before


def test_many_warnings_are_not_all_told() -> None:
    def change(document: Document) -> None:
        for schema in schemas(document).values():
            schema["required"] = "all"

    found = published(changed(change), "x")
    told: list[str] = []
    found.warn(told.append)
    assert len(found.warnings) > 20
    assert told[20:] == [f"warning: and {len(found.warnings) - 20} more of the kind"]


def test_the_reference_is_without_blemish() -> None:
    assert published(dump(REFERENCE), "x").warnings == ()


@pytest.mark.parametrize(
    ("schema", "is_circle"),
    [
        ({"properties": {"next": {"$ref": "#/a"}}}, False),
        ({"items": {"$ref": "#/a"}}, False),
        ({"oneOf": [{"type": "string"}, {"items": {"$ref": "#/a"}}]}, False),
        ({"oneOf": [{"type": "string"}, {"$ref": "#/a"}]}, True),
        ({"allOf": [{"anyOf": [{"$ref": "#/a"}]}]}, True),
        ({"$ref": "#/a"}, True),
    ],
)
def test_only_what_is_nothing_but_itself_is_a_circle(schema: Document, is_circle: bool) -> None:
    assert bool(list(circles({"a": schema, "b": {"$ref": "#/a"}}))) is is_circle
