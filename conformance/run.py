"""Hold a client in any language against the cases in `cases/`.

    python conformance/run.py [--area AREA]... [--timeout SECONDS] -- COMMAND...

COMMAND starts an adapter: a program that reads a line of JSON from standard input for each case and writes one to
standard output. Asked {"id", "area", "input"} it answers {"id", "result"}, or {"id", "unsupported": true} where its
language or client has no such thing, or {"id", "error": "why it could not"}. What it writes to standard error is shown.

The exit status is 0 when no case failed, 1 when one did, and 2 when nothing could be run. Needs Python 3.11 alone.
"""

import argparse
import http.server
import json
import math
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CASES = Path(__file__).resolve().parent / "cases"
SERVED = {"calls", "ingest", "recovery"}
"""Areas whose cases need a server."""
PREFIX = "/v1/datasets/dataset"
"""Where the rows of an ingest go."""


def cases(area: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all cases of an area, or of all, each with its area."""
    for path in sorted(CASES.glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        if area in (None, document["area"]):
            for case in document["cases"]:
                yield document["area"], case


# Comparing


def differences(expected: Any, got: Any, where: str = "result") -> list[str]:
    """Return how a result differs from what is expected of it.

    Members that are not named are not compared; null and absent are the same; numbers are equal within a millionth.
    `message_has` and `message_lacks` are about the member `message`.
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        found: list[str] = []
        for name, value in expected.items():
            if name in ("message_has", "message_lacks"):
                found += _of_message(name, value, got.get("message"), where)
            else:
                found += differences(value, got.get(name), f"{where}.{name}")
        return found
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = enumerate(zip(expected, got, strict=True))
        return [problem for n, (a, b) in pairs for problem in differences(a, b, f"{where}[{n}]")]
    if _same(expected, got):
        return []
    return [f"{where} is {_shown(got)}, not {_shown(expected)}"]


def _same(expected: Any, got: Any) -> bool:
    numbers = (int, float)
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, numbers) and isinstance(got, numbers):
        # Whole numbers exactly, as far as a double could not: ids are no measurements.
        return expected == got or (isinstance(expected, float) and math.isclose(expected, got, abs_tol=1e-6))
    return bool(expected == got)


def _of_message(name: str, texts: list[str], message: Any, where: str) -> list[str]:
    said = message if isinstance(message, str) else ""
    if name == "message_has":
        return [f"{where}.message lacks {text!r}: {said!r}" for text in texts if text not in said]
    return [f"{where}.message has {text!r}: {said!r}" for text in texts if text in said]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 300 else f"{text[:300]}…"


# The server


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers one step of the script a request."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        step = self.server.came({"method": self.command, "target": self.path, "headers": headers}, body)
        if step.get("drop"):
            self.close_connection = True
            return
        content = json.dumps(step.get("body")).encode() if "body" in step else b""
        self.send_response(step["status"])
        for name, value in ({"content-type": "application/json"} | step.get("headers", {})).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_PUT = _answer  # noqa: N815 - the names that the library calls

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: list[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._script = iter(script)
        self.requests: list[dict[str, Any]] = []
        self.bodies: list[Any] = []

    @property
    def seen(self) -> dict[str, Any]:
        """What came, as the cases expect it."""
        paths = [request["target"].removeprefix(PREFIX) for request in self.requests]
        return {"requests": self.requests, "paths": paths, "bodies": self.bodies}

    def came(self, request: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Note a request; return what to do with it."""
        self.requests.append(request)
        if body:
            self.bodies.append(json.loads(body))
        # One too many is told by an answer that no client takes for a good one.
        return next(self._script, {"status": 418, "body": {"message": "The script has no more steps."}})


@contextmanager
def serving(script: list[dict[str, Any]]) -> Iterator[_Server]:
    """Serve a script on a free loopback port."""
    with _Server(script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# The adapter


class Broken(Exception):
    """The adapter did not answer as the protocol says."""


class Adapter:
    """A program that is asked one case at a time, and started again after it broke."""

    def __init__(self, command: list[str], timeout: float = 30.0) -> None:
        self._command = command
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes] = queue.Queue()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return its answer to a case.

        Raises:
            Broken: it crashed, hangs, or said something else.
            OSError: it cannot be started.
        """
        process = self._process or self._start()
        try:
            assert process.stdin
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            line = self._lines.get(timeout=self._timeout)
        except queue.Empty:
            self.close()
            raise Broken(f"it has not answered for {self._timeout:g} s") from None
        except OSError:
            line = b""
        if not line:
            status = process.wait()
            self.close()
            raise Broken(f"it ended with status {status}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("id") != question["id"]:
            self.close()  # whatever else it says belongs to no case
            raise Broken(f"it said {line[:200]!r}, which is no answer to {question['id']}")
        return answer

    def close(self) -> None:
        """End the program."""
        if self._process:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lines = queue.Queue()
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()
        return self._process

    @staticmethod
    def _read(process: subprocess.Popen[bytes], lines: "queue.Queue[bytes]") -> None:
        assert process.stdout
        try:
            for line in process.stdout:
                lines.put(line)
        except ValueError:  # closed
            pass
        lines.put(b"")


def problems(adapter: Adapter, area: str, case: dict[str, Any]) -> list[str] | None:
    """Return what is wrong with an adapter's answer to a case, or None when it does not support it."""
    given = case["input"]
    try:
        if area not in SERVED:
            answer = adapter.ask({"id": case["id"], "area": area, "input": given})
        else:
            with serving(given["script"]) as server:
                url = f"http://127.0.0.1:{server.server_port}"
                asked = {name: value for name, value in given.items() if name != "script"} | {"base_url": url}
                answer = adapter.ask({"id": case["id"], "area": area, "input": asked})
            if isinstance(answer.get("result"), dict):
                answer["result"] |= server.seen
    except Broken as error:
        return [f"the adapter broke: {error}"]
    if answer.get("unsupported"):
        return None
    if "error" in answer:
        return [f"the adapter could not: {answer['error']}"]
    return differences(case["expected"], answer.get("result"))


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Hold a client against the cases.")
    parser.add_argument("--area", action="append", help="only this area; may be given several times")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for one case")
    parser.add_argument("command", nargs="+", help="what starts the adapter, after --")
    given = parser.parse_args(arguments)
    chosen = [(area, case) for area, case in cases() if not given.area or area in given.area]
    if not chosen:
        print(f"There are no such cases. Areas: {', '.join(sorted({area for area, _ in cases()}))}.", file=sys.stderr)
        return 2
    adapter = Adapter(given.command, given.timeout)
    counts: dict[str, list[int]] = {}
    try:
        for area, case in chosen:
            found = problems(adapter, area, case)
            place = 2 if found is None else 1 if found else 0
            counts.setdefault(area, [0, 0, 0])[place] += 1
            if found:
                print("\n  ".join([f"{case['id']}: {case['why']}", *found]))
    except OSError as error:
        print(f"{given.command[0]} cannot be started: {error.strerror}.", file=sys.stderr)
        return 2
    finally:
        adapter.close()
    for area, (passed, failed, unsupported) in counts.items():
        print(f"{area:14}{passed:4} passed{failed:4} failed{unsupported:4} unsupported")
    return 1 if any(failed for _, failed, _ in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
