"""Create the pictures of the README and the documentation from a real run of `databox demo`.

python -m tests.browser.pictures
"""

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.browser.chromium import Chromium, missing

ASSETS = Path(__file__).resolve().parents[2] / "docs" / "assets"
WIDTH = 110


def main() -> None:
    """Run the demo, and keep what it prints and what the sandbox's page shows."""
    if problem := missing():
        sys.exit(problem)
    command = [sys.executable, "-m", "databox.cli", "demo", "--stay"]
    environ = os.environ | {"FORCE_COLOR": "1"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout
        lines: list[str] = []
        for line in running.stdout:
            if line.startswith("Look around at "):
                break
            lines.append(line)
        (ASSETS / "command.svg").write_text(drawn("".join(lines).rstrip()), "utf-8")
        with Chromium() as page:
            page.look(width=1280, height=860)
            page.open(line.split()[3])
            page.until("the rows are there", lambda: "2015-12-31" in page.text("body"))
            page.screenshot(ASSETS / "sandbox.png")
        running.send_signal(signal.SIGINT)
    sys.stdout.write("Made docs/assets/command.svg and docs/assets/sandbox.png; look at them.\n")


def drawn(said: str) -> str:
    """Return the picture of a terminal."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(said))
    picture = console.export_svg(title="databox demo", unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # which load from somebody else's server


if __name__ == "__main__":
    main()
