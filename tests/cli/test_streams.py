"""Standard streams that are full, closed or no longer read: the exit code still says what was done."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from databox.sandbox import Fault, Sandbox
from tests.marks import first

ROWS = 150


def run(box: Sandbox, arguments: str, redirected: str, unbuffered: str = "") -> tuple[int, str]:
    """Run the command in a shell; return its own exit code, and its standard error."""
    program = shlex.join([sys.executable, "-W", "error", "-c", "from databox.cli import main; main()"])
    environ = os.environ | {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url, "PYTHONUNBUFFERED": unbuffered}
    script = f"{{ {program} {arguments}; echo $? > code; }} {redirected}"
    done = subprocess.run(["sh", "-c", script], env=environ, stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return int(Path("code").read_text()), done.stderr


@pytest.fixture(autouse=True)
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file to send, in its own directory."""
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("id,name\n" + "".join(f"{n},x\n" for n in range(ROWS)))


UNWRITABLE = ["> /dev/full", ">&-", "| true", "> /dev/full 2>&1", ">&- 2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("redirected", first(UNWRITABLE))
@pytest.mark.parametrize("more", first(["", " --json"]))
def test_the_code_of_ingest_tells_of_the_rows(box: Sandbox, dataset_id: str, redirected: str, more: str) -> None:
    code, said = run(box, f"dataset ingest {dataset_id} a.csv --primary-keys id{more}", redirected)
    assert (code, len(box.rows(dataset_id))) == (0, ROWS)
    assert "othing was sent" not in said
    assert ("Standard output could not be written: No space left" in said) == (redirected == "> /dev/full")
    box.inject(Fault("create_ingestion", status=400))
    assert run(box, f"dataset ingest {dataset_id} a.csv --on-refusal report{more}", redirected)[0] == 1


@pytest.mark.parametrize("redirected", first(UNWRITABLE))
@pytest.mark.parametrize("arguments", first(["account timezones", "account timezones --json", "--help", "--version"]))
@pytest.mark.parametrize("unbuffered", first(["", "1"]))
def test_a_result_that_could_not_be_written_is_no_success(
    box: Sandbox, arguments: str, redirected: str, unbuffered: str
) -> None:
    """Without a buffer it is the writing that fails, and not the flushing."""
    code, _ = run(box, arguments, redirected, unbuffered)
    listing = arguments.startswith("account")
    assert code == (1 if listing and "/dev/full" in redirected else 0)
    assert run(box, "account data-sources 999", redirected)[0] == 1
    assert run(box, "nonsense", redirected)[0] == 2
