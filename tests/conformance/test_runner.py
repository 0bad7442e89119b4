"""The runner, with adapters that violate the protocol."""

import subprocess
import sys
from pathlib import Path

import pytest

from conformance.received import Request
from conformance.run import late, main
from conformance.server import Server

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
    "hangs": "it did not answer within 0.1 s",
    "chats": "which is not an answer to report/empty",
    "answers another": "which is not an answer to report/empty",
    "answers a list": "which is not an answer to report/empty",
    "says twice": "which is not an answer to report/all-stored",
    "cannot": "the adapter reported an error: no idea",
}


def run(*command: str, area: str = "report") -> int:
    return main(["--area", area, "--timeout", "0.1" if "sleep" in str(command) else "100", "--", *command])


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_broken_adapter_fails_its_cases_and_is_started_again(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sys.executable, "-c", ADAPTERS[name]) == 1
    said = capsys.readouterr().out
    assert SAID[name] in said
    assert "0 passed  13 failed   0 unsupported" in said


UNSUPPORTED = (
    "import sys, json\nfor line in sys.stdin: "
    "print(json.dumps({'id': json.loads(line)['id'], 'unsupported': True}), flush=True)"
)


def test_what_is_unsupported_fails_where_every_client_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sys.executable, "-c", UNSUPPORTED, area="order") == 0
    assert "0 passed   0 failed   7 unsupported" in capsys.readouterr().out
    assert run(sys.executable, "-c", UNSUPPORTED) == 1
    said = capsys.readouterr().out
    assert "unsupported, which the area report does not allow" in said
    assert "0 passed  13 failed   0 unsupported" in said


def test_strict_allows_nothing_to_be_unsupported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--strict", "--area", "order", "--", sys.executable, "-c", UNSUPPORTED]) == 1
    said = capsys.readouterr().out
    assert "unsupported, which --strict does not allow" in said
    assert "0 passed   7 failed   0 unsupported" in said


def test_single_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--case", "order/free", "--case", "report/empty", "--", sys.executable, "-c", UNSUPPORTED]) == 1
    assert "order            0 passed   0 failed   1 unsupported" in capsys.readouterr().out


SAYS_THE_KEY = (
    "import sys, json\nfor line in sys.stdin: "
    "print(json.dumps({'id': json.loads(line)['id'], 'result': {'x': 'conformance-key-0123456789'}}), flush=True)"
)
SENDS = """
import json, sys, urllib.error, urllib.request
for line in sys.stdin:
    asked = json.loads(line)
    url = asked['input']['base_url'] + '/v1/datasets/dataset/data'
    data = %s
    try:
        urllib.request.urlopen(urllib.request.Request(url, data, method='POST')).read()
    except urllib.error.HTTPError:
        pass
    print(json.dumps({'id': asked['id'], 'result': {'report': {'accepted': 2}}}), flush=True)
"""


def test_an_adapter_that_says_the_key_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sys.executable, "-c", SAYS_THE_KEY) == 1
    assert "the adapter's answer contains the key" in capsys.readouterr().out


def test_a_body_that_is_no_json_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--case", "ingest/away-then-back", "--", sys.executable, "-c", SENDS % "b'{records: []}'"]) == 1
    said = capsys.readouterr()
    assert "the body is not JSON: b'{records: []}'" in said.out
    assert "Traceback" not in said.out + said.err


def test_requests_that_come_too_soon_or_not_at_all() -> None:
    came = [Request("GET", "/", {}, b"", arrived=10.0, answered=10.1), Request("GET", "/", {}, b"", arrived=10.4)]
    server = Server([])
    server.requests, server.started = came, 9.0
    assert late(server, to=1, after=0, at_least=0.25) == []
    assert late(server, to=1, at_least=1.3) == []
    assert late(server, to=1, after=0, at_least=0.5) == [
        "request 1 arrived 0.300 s after the answer to request 0, not at least 0.5 s"
    ]
    assert late(server, to=2, at_least=0.5) == ["request 2 was not received"]


def test_what_cannot_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/nowhere/adapter") == 2
    assert run(sys.executable, area="juggling") == 2
    said = capsys.readouterr().err
    assert "Could not start /nowhere/adapter: No such file or directory." in said
    assert "There are no such cases. Areas: answers, batches" in said


def test_the_runner_needs_nothing_but_python() -> None:
    script = Path(__file__).parents[2] / "conformance" / "run.py"
    command = [sys.executable, "-I", "-S", str(script), "--area", "juggling", "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "no such cases" in done.stderr
