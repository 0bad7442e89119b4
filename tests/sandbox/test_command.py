"""`databox sandbox` as a process."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from databox.sandbox import Sandbox
from tests.marks import slow


def command(*arguments: str) -> "subprocess.Popen[str]":
    program = [sys.executable, "-W", "error", "-c", "from databox.cli import main; main()", *arguments]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_stopped(number: int, tmp_path: Path) -> None:
    with command("sandbox", "--port", "0", "--state", str(tmp_path / "w.sqlite"), "--api-key", "mine-1") as running:
        assert running.stdout
        said = "".join(running.stdout.readline() for _ in range(3))
        (url,) = re.findall(r"^export DATABOX_API_URL=(\S+)$", said, re.MULTILINE)
        assert "export DATABOX_API_KEY=mine-1" in said
        assert httpx.get(url + "/v1/accounts", headers={"x-api-key": "mine-1"}, timeout=60).status_code == 200
        os.kill(running.pid, number)
        _, errors = running.communicate(timeout=120)
    assert (running.returncode, errors) == (0, "")
    assert (tmp_path / "w.sqlite").exists()


def test_limits_and_processing_are_those_asked_for() -> None:
    options = [
        "--rate-limit",
        "0.001",
        "--no-retry-after",
        "--processing-polls",
        "1",
        "--host",
        "::1",
        "--api-key",
        "mine",
    ]
    with command("sandbox", "--port", "0", *options) as running:
        assert running.stdout
        url = running.stdout.readline().split()[4].removesuffix(".")
        assert url.startswith("http://[::1]:")
        with httpx.Client(base_url=url, headers={"x-api-key": "mine"}, timeout=60) as http:
            answers = [http.get("/v1/accounts") for _ in range(2)]
        running.terminate()
    assert [answer.status_code for answer in answers] == [200, 429]
    assert "retry-after" not in answers[-1].headers


@pytest.mark.slow
def test_a_port_in_use_is_named(box: Sandbox) -> None:
    with command("sandbox", "--port", box.url.rpartition(":")[2]) as running:
        _, errors = running.communicate(timeout=120)
    assert running.returncode == 2
    assert "cannot be used" in errors
    assert "Traceback" not in errors


def test_wrong_usage_and_version() -> None:
    with command("sandbox", "--api-key", "pak_1") as running:
        _, errors = running.communicate(timeout=120)
    assert (running.returncode, "Traceback" in errors) == (2, False)
    with command("--version") as running:
        output, _ = running.communicate(timeout=120)
    assert re.fullmatch(r"databox-sdk \d+\.\d+\.\d+\n", output)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--state", "{directory}/none/world.sqlite"],
        ["--port", "70000"],
        *slow(
            [
                ["--state", "{directory}/text"],
                ["--processing-delay", "-1"],
                ["--rate-limit", "0"],
                ["--processing-polls", "-1"],
                ["--host", "0.0.0.0"],
            ]
        ),
    ],
)
def test_wrong_values_are_named(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 100)
    with command("sandbox", "--port", "0", *(each.format(directory=tmp_path) for each in arguments)) as running:
        _, errors = running.communicate(timeout=120)
    assert (running.returncode, "Traceback" in errors) == (2, False)
    assert "Invalid value" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "program", "remedy"),
    [
        ("starlette", "import databox.sandbox", "databox-sdk[sandbox]"),
        ("uvicorn", "import databox.sandbox", "databox-sdk[sandbox]"),
        ("typer", "from databox.cli import main; main()", "databox-sdk[cli]"),
    ],
)
def test_a_missing_extra_is_named(missing: str, program: str, remedy: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; {program}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert f'pip install "{remedy}"' in done.stderr


@pytest.mark.slow
def test_what_no_extra_has_is_named_as_it_is() -> None:
    """Some builds of Python have no SQLite."""
    program = "import sys; sys.modules['sqlite3'] = None; import databox.sandbox"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert "ModuleNotFoundError: import of sqlite3 halted" in done.stderr
    assert "pip install" not in done.stderr
