"""The examples in the documentation run as printed, over real HTTP against a sandbox."""

import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from databox import Databox, Dataset
from databox.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {  # whose code needs more than a sandbox and a shell
    "pipelines.md": "tests/engines",
    "sandbox.md": "tests/sandbox",
    "spark.md": "tests/engines",
}
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name not in ELSEWHERE)]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


CODE = [
    pytest.param(page, code, id=f"{page.stem}-{n}", marks=[] if page.name == "README.md" else pytest.mark.slow)
    for page in PAGES
    for n, code in enumerate(blocks(page, "python"))
]
SCRIPTS = [page for page in PAGES if blocks(page, "sh") and page.name not in {"README.md"}]


ACCOUNT = 123456


def _others(box: Sandbox) -> dict[str, list[dict[str, Any]]]:
    """Fill the account with objects that are not the reader's; return the rows of each dataset."""
    with Databox(box.api_key, box.url) as client:
        for title in ("ERP", "Accounting"):
            source = client.data_sources.create(title, account_id=ACCOUNT)
            for name in ("Orders", "Returns"):
                dataset = client.datasets.create(name, data_source=source, primary_keys=["order"])
                client.datasets.ingest(dataset, [{"order": n, "of": title} for n in range(3)], verify=None)
    found = {dataset.id: box.rows(dataset.id) for dataset in _datasets(box)}
    assert [len(rows) for rows in found.values()] == [3] * 4
    return found


def _datasets(box: Sandbox) -> list[Dataset]:
    with Databox(box.api_key, box.url) as client:
        sources = client.accounts.list_data_sources(ACCOUNT).items
        return [dataset for source in sources for dataset in client.data_sources.list_datasets(source.id).items]


@pytest.fixture
def surroundings(box: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty directory, the sandbox's key and address in the environment, and an unused rate limit.

    The account has other data sources with datasets and rows, which no page may touch.
    """
    others = _others(box)
    logger = logging.getLogger("databox")
    level = logger.level  # a page sets it
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    monkeypatch.setattr("databox.limit.shared._logs.known", {})
    yield tmp_path
    logger.setLevel(level)
    assert {dataset: box.rows(dataset) for dataset in others} == others
    kept = {dataset.id for dataset in _datasets(box)}
    assert kept >= set(others)


@pytest.mark.parametrize(("page", "code"), CODE)
def test_the_code_runs_as_printed(
    page: Path, code: str, surroundings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(code, page.name, "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out
    if (page.name == "README.md" and "Sandbox()" in code) or (page.name == "ingest.md" and "seconds=2.0" in code):
        (printed,) = (block for block in blocks(page, "text") if block.startswith("1,000 rows read"))
        different = r"\d+\.\d s|[0-9a-f]{8}-[0-9a-f-]{27}"  # each time
        assert re.sub(different, "…", said) == re.sub(different, "…", printed)
    if page.name == "why.md":
        assert blocks(page, "text") == [said]
    if page.name == "files.md":
        assert "postcode text kept as text: leading zeros" in said


@pytest.mark.slow
@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: page.stem)
def test_the_commands_run_as_printed(page: Path, surroundings: Path) -> None:
    shim = surroundings / "bin" / "databox"
    shim.parent.mkdir()
    run = shlex.join([sys.executable, "-W", "error", "-c", "from databox.cli import main; main()"])
    shim.write_text(f'#!/bin/sh\nexec {run} "$@"\n')
    shim.chmod(0o755)
    environ = os.environ | {"COLUMNS": "100", "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}"}
    script = "set -e\n" + "".join(blocks(page, "sh"))
    done = subprocess.run(
        ["sh", "-c", script], cwd=surroundings, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if page.name == "cli.md":
        (preview,) = (block for block in blocks(page, "text") if block.startswith("orders.csv:"))
        said = [line.rstrip() for line in done.stderr.splitlines()]
        assert all(line in said for line in preview.splitlines())


@pytest.mark.parametrize("name", ELSEWHERE)
def test_code_that_is_not_run_here_is_run_elsewhere(name: str) -> None:
    if (ROOT / "docs" / name).exists():
        tests = (path.read_text("utf-8") for path in (ROOT / ELSEWHERE[name]).rglob("*.py"))
        assert any(f'"{name}"' in text for text in tests)


def test_code_is_narrow_enough_to_be_read_without_scrolling() -> None:
    """A page of 1,280 pixels has 76 columns; a program's output, a block of text, may be wider."""
    wide: list[str] = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        if page.name == "cli.md":
            continue
        for language, code in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            lines = [] if language == "text" else code.splitlines()
            lines = [re.sub(r"(@[0-9a-f]{7})[0-9a-f]{33} # v.*", r"\1", line) for line in lines]  # nobody reads those
            wide += [f"{page.name}: {line}" for line in lines if len(line) > 76]
    assert not wide


def test_the_readme_shows_what_its_example_prints() -> None:
    assert [len(blocks(ROOT / "README.md", language)) for language in ("python", "text")] == [2, 1]


def test_the_links_of_the_readme_lead_somewhere() -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(linked) > 15
    assert not [name for name in linked if not (ROOT / name).exists()]


def test_every_make_target_of_the_documentation_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "openapi" / "README.md"]:
        named = set(re.findall(r"make ([a-z]+)`|^make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE))
        assert {a or b for a, b in named} <= targets, page.name


def test_the_walks_name_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    walks = text.partition("## Follow a call, follow a row\n")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w/]+\.py)`", walks)
    assert len(set(named)) > 20
    assert not [name for name in named if not any((ROOT / where / name).exists() for where in ("databox", "."))]


def test_each_promise_about_security_names_tests_that_are_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    named = [re.findall(r"`([\w/]+\.py)`", row.rpartition(" | ")[2] or row.rpartition("| ")[2]) for row in rows]
    assert len(rows) > 10
    assert all(named), [row for row, names in zip(rows, named, strict=True) if not names]
    assert not [name for names in named for name in names if not (ROOT / "tests" / name).exists()]


def _tests_of(engine: str) -> str:
    folder = ROOT / "tests" / "engines" / engine
    return "".join(path.read_text("utf-8") for path in folder.rglob("test_*.py"))


def _rows_under(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its header."""
    section = re.split(r"^##", page.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_each_cell_of_the_guarantees_names_a_test_of_its_engine() -> None:
    rows = _rows_under((ROOT / "docs" / "pipelines.md").read_text("utf-8"), "What each guarantees")
    assert [row[0] for row in rows] == ["**dlt**", "**Airflow**", "**Dagster**", "**Prefect**"]
    for name, *cells in rows:
        there = _tests_of(name.strip("*").lower())
        assert len(cells) == 3, name
        for cell in cells:
            named = re.findall(r"`(test_\w+)`", cell)
            assert named, cell
            assert [test for test in named if f"def {test}(" not in there] == [], name


@pytest.mark.parametrize("engine", ["dlt", "Airflow", "Dagster", "Prefect"])
def test_what_a_guarantee_rests_on_names_tests_that_are_there(engine: str) -> None:
    rows = _rows_under((ROOT / "docs" / "pipelines.md").read_text("utf-8"), f"What {engine}'s guarantees rest on")
    assert len(rows) > 3
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row[-1])
        assert named, row
        assert [test for test in named if f"def {test}(" not in _tests_of(engine.lower())] == [], row


def test_the_guarantees_on_spark_name_tests_that_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "spark.md").read_text("utf-8")))
    there = _tests_of("spark")
    assert named
    assert {name for name in named if f"def {name}(" not in there} == set()
