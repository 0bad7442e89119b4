"""A real Redis server on a free loopback port."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.ports import Port

__all__ = ["NEEDS_REDIS", "RedisServer"]

NEEDS_REDIS = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="there is no Redis server: apt-get install redis-server"
)


class RedisServer:
    """A server that keeps its data in a directory across restarts, for the duration of the `with` block."""

    def __init__(self, directory: Path, password: str | None = None) -> None:
        self._port = Port()
        self._directory = directory
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for clients."""
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self._port.number}/0"

    def start(self) -> None:
        """Start serving; return when it answers."""
        options = ["--port", str(self._port.number), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        options += ["--save", "", "--appendonly", "yes", *(["--requirepass", self._password] if self._password else [])]
        self._process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self._port.number), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise TimeoutError("The Redis server does not start.")

    def stop(self) -> None:
        """Stop serving."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let it answer nobody during the block."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, *command: str) -> str:
        """Return the server's answer to a command, sent with its own client."""
        program = ["redis-cli", "-p", str(self._port.number), *command]
        return subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._port.close()
