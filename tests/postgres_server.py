"""A real PostgreSQL on a free loopback port."""

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.ports import Port

__all__ = ["NEEDS_POSTGRES", "PASSWORD", "PostgresServer"]

PASSWORD = "p@ss/word:1"
"""Contains everything that must be escaped in a URL."""


def _programs() -> str | None:
    """The directory of the server's programs; Debian does not put them on the path."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    program = shutil.which("initdb") or (found[-1] if found else None)
    return os.path.dirname(os.path.realpath(program)) if program else None


def _user() -> str | None:
    """The user to run it as, because it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None


NEEDS_POSTGRES = pytest.mark.skipif(
    _programs() is None or (os.geteuid() == 0 and _user() is None),
    reason="there is no PostgreSQL server: apt-get install postgresql",
)


class PostgresServer:
    """Run a server in a directory of its own for the duration of the `with` block."""

    def __init__(self) -> None:
        self._reserved = Port()
        self.port = self._reserved.number
        self._options: dict[str, Any] = {"cwd": "/"}
        user = _user()
        # Not in pytest's directory, which another user cannot enter.
        self._directory = Path(tempfile.mkdtemp(prefix="databox-postgres-"))
        if user:
            entry = pwd.getpwnam(user)
            self._options |= {"user": user, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self._directory, entry.pw_uid, entry.pw_gid)
        self._process: subprocess.Popen[Any] | None = None

    @property
    def url(self) -> str:
        """The address for SQLAlchemy."""
        return f"postgresql+psycopg://owner:p%40ss%2Fword%3A1@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        programs, data, secret = _programs(), self._directory / "data", self._directory / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command: list[str | Path] = [
            f"{programs}/initdb",
            "-D",
            data,
            "-U",
            "owner",
            "--auth",
            "scram-sha-256",
            "--pwfile",
            secret,
        ]
        command += ["-E", "UTF8", "--locale", "C", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, **self._options)
        command = [f"{programs}/postgres", "-D", data, "-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        self._process = subprocess.Popen(
            [*command, "-F"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._options
        )
        end = time.monotonic() + 120
        while subprocess.run([f"{programs}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode:
            if time.monotonic() > end:
                raise TimeoutError("PostgreSQL does not start.")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(60)
        self._reserved.close()
        shutil.rmtree(self._directory, ignore_errors=True)
