"""What docs/pipelines.md and docs/spark.md show, to be run as printed."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "pipelines.md").read_text("utf-8")


def block(heading: str, language: str = "python") -> str:
    """Return the one code block of that language under a heading, up to the next of any level."""
    (section,) = re.findall(rf"^##+ {heading}\n(.*?)(?=^## |^### |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return str(code)


def blocks_of(page: str) -> list[str]:
    """Return all blocks of Python on a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
