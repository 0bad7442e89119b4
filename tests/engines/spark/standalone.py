"""A standalone cluster on this machine: a master and two workers, with ports and directories of their own."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pyspark

from tests.engines.spark.processes import kill_all

HOME = Path(pyspark.__file__).parent
START = 180
"""Seconds that a part of the cluster has to start, on a busy machine."""


class _Part:
    """A master or a worker, from its start until it is stopped with all that it started."""

    def __init__(self, folder: Path, ready: str, arguments: Sequence[str]) -> None:
        self.address = ""
        self._ready = re.compile(ready)
        self._is_ready = threading.Event()
        self._log = folder / "log"
        folder.mkdir()
        command = [str(HOME / "bin" / "spark-class"), *arguments]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=surroundings(folder), stdout=log, stderr=subprocess.PIPE, start_new_session=True
            )
        self.pid = self._process.pid
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def wait(self) -> None:
        """Return when it says that it is ready.

        Raises:
            RuntimeError: it does not start.
        """
        if not self._is_ready.wait(START) or not self.address:
            raise RuntimeError(f"Spark does not start:\n{self._log.read_text('utf-8')}")

    def stop(self) -> None:
        """Kill it, and what it started."""
        kill_all(self.pid)
        self._process.wait()
        self._reading.join()

    def _read(self) -> None:
        assert self._process.stderr
        with self._process.stderr as lines, self._log.open("ab", buffering=0) as log:
            for line in lines:
                log.write(line)
                found = self._ready.search(line.decode("utf-8", "replace"))
                if found:
                    self.address = found[1]
                    self._is_ready.set()
        self._is_ready.set()  # it has ended


class Standalone:
    """The cluster, with one core each for two executors of a program, for as long as the `with` block lasts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[_Part] = []

    @property
    def master(self) -> str:
        """The master's address."""
        return self._parts[0].address

    @property
    def workers(self) -> list[int]:
        """The processes that start executors."""
        return [part.pid for part in self._parts[1:]]

    def __enter__(self) -> Self:
        free = ["--port", "0", "--webui-port", "0"]
        try:
            master = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", *free]
            self._parts.append(_Part(self._folder / "master", r"Starting Spark master at (spark://\S+)", master))
            self._parts[0].wait()
            for host in ("127.0.0.1", "localhost"):  # two for Spark, which never runs a task twice at once on one
                folder = self._folder / f"worker-{host}"
                worker = ["org.apache.spark.deploy.worker.Worker", "--host", host, *free, "--cores", "1"]
                worker += ["--memory", "1g", "--work-dir", str(folder / "work"), self.master]
                self._parts.append(_Part(folder, r"registered with master (spark://\S+)", worker))
            for part in self._parts[1:]:
                part.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for part in reversed(self._parts):
            part.stop()


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment of a Spark that knows nothing of another one on this machine."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    for name in ("conf", "local"):
        (folder / name).mkdir(exist_ok=True)
    return ours | {
        "SPARK_HOME": str(HOME),
        "SPARK_CONF_DIR": str(folder / "conf"),
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    }
