"""What the documentation shows runs as printed."""

import re
from pathlib import Path

import pytest

from databox.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=lambda code: code.strip().splitlines()[-1])
def test_the_readme_runs_as_printed(
    code: str, box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    if "print(report)" in code:
        assert "250 rows read, 250 accepted" in capsys.readouterr().out


def test_the_readme_has_the_examples_it_is_known_for() -> None:
    assert len(BLOCKS) == 4


def test_every_make_target_of_the_documentation_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md", "openapi/README.md"):
        named = set(re.findall(r"make ([a-z]+)`|^make ([a-z]+)", (ROOT / page).read_text("utf-8"), re.MULTILINE))
        assert {a or b for a, b in named} <= targets
