"""What the guides show runs as printed, in a shell."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from databox.sandbox import Sandbox

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(guide: str, language: str) -> list[str]:
    text = (DOCS / guide).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("guide", ["cli.md", "files.md"])
def test_the_commands_run_as_printed(guide: str, box: Sandbox, tmp_path: Path) -> None:
    shim = tmp_path / "bin" / "databox"
    shim.parent.mkdir()
    run = shlex.join([sys.executable, "-W", "error", "-c", "from databox.cli import main; main()"])
    shim.write_text(f'#!/bin/sh\nexec {run} "$@"\n')
    shim.chmod(0o755)
    environ = os.environ | {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url, "COLUMNS": "100"}
    environ["PATH"] = f"{shim.parent}{os.pathsep}{environ['PATH']}"
    script = "set -e\n" + "".join(blocks(guide, "sh"))
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=55, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if guide == "cli.md":
        (preview,) = (block for block in blocks(guide, "text") if block.startswith("orders.csv:"))
        said = [line.rstrip() for line in done.stderr.splitlines()]
        assert all(line in said for line in preview.splitlines())


def test_the_reader_runs_as_printed(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    (code,) = blocks("files.md", "python")
    exec(compile(code, "files.md", "exec"), {"__name__": "__main__"})
    assert "postcode text kept as text: leading zeros" in capsys.readouterr().out
