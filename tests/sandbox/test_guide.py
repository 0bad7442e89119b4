"""The examples in the guide to the sandbox run as printed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from databox.sandbox import Fault, Sandbox

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "sandbox.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"), ids=["fixture", "context", "faults"])
def test_the_code_runs_as_printed(code: str, databox_sandbox: Sandbox) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(code, "sandbox.md", "exec"), names)
    for name, found in names.items():
        if name.startswith("test_") and callable(found):
            found(databox_sandbox)
    assert "databox_sandbox" not in code or databox_sandbox.requests


@pytest.mark.skipif(shutil.which("curl") is None, reason="the guide's commands are curl's, and there is none")
def test_the_commands_run_as_printed(databox_sandbox: Sandbox) -> None:
    (script,) = blocks("sh")
    before = databox_sandbox.advance(0)
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"error"' not in done.stdout
    assert databox_sandbox._faults.waiting()[0][0] == Fault("create_ingestion", status=503, times=2)
    assert (databox_sandbox.advance(0) - before).total_seconds() >= 3600
