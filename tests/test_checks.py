"""What is checked at every commit, and in which order `make check` reports."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = ROOT / ".pre-commit-config.yaml"
HOOKS: list[dict[str, Any]] = yaml.safe_load(CONFIGURATION.read_text("utf-8"))["repos"][0]["hooks"]
NEEDS_MAKE = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def commands(target: str) -> str:
    """Return what make would run."""
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


@NEEDS_MAKE
def test_make_check_says_first_what_everything_else_follows_from() -> None:
    """If generated code is out of date, errors of types would only say so in other words."""
    said = commands("check")
    places = [said.index(f"-m {module}") for module in ("tools.spec.check", "tools.unasync", "ruff", "mypy")]
    assert places == sorted(places)


@NEEDS_MAKE
@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_says_what_make_check_says(hook: dict[str, Any]) -> None:
    assert hook["entry"].removesuffix(" --force-exclude") in commands("check")


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".venv" / "bin" / "python").exists(), reason="the hooks run from .venv")
@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs(hook: dict[str, Any]) -> None:
    files = [] if hook.get("pass_filenames") is False else [__file__, str(ROOT / "generated")]
    done = subprocess.run(
        [*shlex.split(hook["entry"]), *files], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pre_commit_takes_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path))
    command = [sys.executable, "-m", "pre_commit", "validate-config", str(CONFIGURATION)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
