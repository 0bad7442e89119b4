"""The pytest plugin in a user's project: installed next to it, and used by name alone."""

import subprocess
import sys
from pathlib import Path

import pytest

OUTCOMES = """
import os

import pytest

from databox import APIConnectionError, Databox
from databox.sandbox import Fault, Sandbox


def load(rows):
    with Databox(max_retries=0) as client:
        source = client.data_sources.create("Shop")
        dataset = client.datasets.create("Orders", data_source=source, primary_keys=["id"])
        client.datasets.ingest(dataset, rows)
        return dataset


@pytest.mark.parametrize("run", [1, 2])
def test_a_client_without_arguments_goes_to_an_empty_sandbox(databox_sandbox, run):
    assert isinstance(databox_sandbox, Sandbox)
    assert len(databox_sandbox.requests) == 0
    dataset = load([{"id": 1, "total": 9.5}])
    assert databox_sandbox.rows(dataset) == [{"id": 1, "total": 9.5}]
    assert [request.operation for request in databox_sandbox.requests][:2] == ["data_sources.create", "datasets.create"]
    databox_sandbox.inject(Fault("*", status=503))


def test_what_happens_without_the_service(databox_sandbox):
    databox_sandbox.close()
    with pytest.raises(APIConnectionError):
        load([])


def test_a_closed_sandbox_is_another_test_s_affair(databox_sandbox):
    load([])


def test_the_environment_is_as_before():
    assert os.environ["DATABOX_API_URL"] == "https://example.invalid"
    assert "DATABOX_API_KEY" not in os.environ
"""

UNUSED = """
import sys


def test_the_package_is_not_imported():
    assert not {"databox", "starlette", "uvicorn"} & sys.modules.keys()
"""

WITHOUT_EXTRA = """
import sys

sys.modules["uvicorn"] = None


def test_that_needs_no_sandbox():
    pass


def test_that_needs_one(databox_sandbox):
    pass
"""


def run(project: Path, tests: str) -> "subprocess.CompletedProcess[str]":
    """Run pytest in a project of its own, with this package's plugin and no other that is installed here."""
    (project / "test_shop.py").write_text(tests)
    # Nothing turns the plugin on but its entry point; the others are turned off as they take seconds to import.
    others = ("hypothesispytest", "xdist", "xdist.looponfail", "schemathesis", "anyio", "timeout")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-W", "error", "--strict-config"]
    command += ["-p", "no:cacheprovider", *(part for name in others for part in ("-p", f"no:{name}"))]
    environ = {"PATH": "", "HOME": str(project), "DATABOX_API_URL": "https://example.invalid"}
    return subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_the_fixture_in_a_project(tmp_path: Path) -> None:
    done = run(tmp_path, OUTCOMES)
    assert "5 passed" in done.stdout, done.stdout + done.stderr
    assert (done.returncode, done.stderr) == (0, "")


def test_the_plugin_imports_nothing_before_it_is_used(tmp_path: Path) -> None:
    done = run(tmp_path, UNUSED)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_a_missing_extra_fails_only_the_tests_that_need_it(tmp_path: Path) -> None:
    done = run(tmp_path, WITHOUT_EXTRA)
    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert 'pip install "databox-sdk[sandbox]"' in done.stdout


def test_it_is_at_hand_in_this_run_too(databox_sandbox: object, request: pytest.FixtureRequest) -> None:
    assert request.config.pluginmanager.has_plugin("databox")
