"""The runner, with adapters that do not keep to the protocol."""

import subprocess
import sys
from pathlib import Path

import pytest

from conformance.run import main

ADAPTERS = {
    "crashes": "import sys; sys.stdin.readline(); sys.exit(3)",
    "hangs": "import time, sys; sys.stdin.readline(); time.sleep(60)",
    "chats": "import sys\nfor line in sys.stdin: print('Hello!', flush=True)",
    "answers another": 'import sys\nfor line in sys.stdin: print(\'{"id": "x", "result": {}}\', flush=True)',
    "answers a list": "import sys\nfor line in sys.stdin: print('[1]', flush=True)",
    "says twice": "import sys, json\nfor line in sys.stdin:\n"
    "  for _ in range(2): print(json.dumps({'id': json.loads(line)['id'], 'result': {}}), flush=True)",
    "cannot": "import sys, json\n"
    "for line in sys.stdin: print(json.dumps({'id': json.loads(line)['id'], 'error': 'no idea'}), flush=True)",
}
SAID = {
    "crashes": "it ended with status 3",
    "hangs": "it has not answered for 0.1 s",
    "chats": "which is no answer to report/empty",
    "answers another": "which is no answer to report/empty",
    "answers a list": "which is no answer to report/empty",
    "says twice": "which is no answer to report/all-stored",
    "cannot": "the adapter could not: no idea",
}


def run(*command: str, area: str = "report") -> int:
    return main(["--area", area, "--timeout", "0.1" if "sleep" in str(command) else "10", "--", *command])


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_broken_adapter_fails_its_cases_and_is_started_again(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sys.executable, "-c", ADAPTERS[name]) == 1
    said = capsys.readouterr().out
    assert SAID[name] in said
    assert "0 passed  13 failed   0 unsupported" in said


def test_what_is_unsupported_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    program = "import sys, json\nfor line in sys.stdin: "
    program += "print(json.dumps({'id': json.loads(line)['id'], 'unsupported': True}), flush=True)"
    assert run(sys.executable, "-c", program) == 0
    assert "0 passed   0 failed  13 unsupported" in capsys.readouterr().out


def test_what_cannot_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/nowhere/adapter") == 2
    assert run(sys.executable, area="juggling") == 2
    said = capsys.readouterr().err
    assert "/nowhere/adapter cannot be started: No such file or directory." in said
    assert "There are no such cases. Areas: answers, batches" in said


def test_the_runner_needs_nothing_but_python() -> None:
    script = Path(__file__).parents[2] / "conformance" / "run.py"
    command = [sys.executable, "-I", "-S", str(script), "--area", "juggling", "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "no such cases" in done.stderr
