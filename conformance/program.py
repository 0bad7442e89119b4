"""The adapter: a program that receives one case at a time, and is restarted if it fails."""

import json
import queue
import subprocess
import threading
from typing import Any

__all__ = ["Adapter", "Broken"]


class Broken(Exception):
    """The adapter did not answer according to the protocol."""


class Adapter:
    """A client that is driven through standard input and output.

    Args:
        command: the command that starts it.
        timeout: seconds for one answer.
    """

    def __init__(self, command: list[str], timeout: float = 30.0) -> None:
        self._command = command
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes] = queue.Queue()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the adapter's answer to a case.

        Raises:
            Broken: it crashed, did not answer in time, or answered something else.
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
            raise Broken(f"it did not answer within {self._timeout:g} s") from None
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
            self.close()  # whatever it writes next belongs to no case
            raise Broken(f"it wrote {line[:200]!r}, which is not an answer to {question['id']}")
        return answer

    def kill(self) -> None:
        """Kill the program, from any thread; a caller that waits for an answer learns that it ended."""
        process = self._process
        if process:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the program."""
        if self._process:
            self.kill()
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
