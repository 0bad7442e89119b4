"""The tests of Spark touch only what they started, and one that hangs takes no other with it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from databox import Dataset
from databox.sandbox import Sandbox
from tests.engines.page import ROOT
from tests.engines.spark.conftest import needs_java
from tests.engines.spark.processes import below, kill, sender
from tests.engines.spark.sessions import program_of
from tests.engines.spark.test_spark import killed_at
from tests.engines.spark.writes import ROWS, frame, stored, write

DAEMON = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
if os.fork() == 0:  # as the daemon of Spark does for each task
    near = socket.create_connection(listener.getsockname())
    print(near.getsockname()[1], near.getpeername()[1], flush=True)
    near.recv(1)
else:
    listener.accept()[0].recv(1)
"""


@pytest.fixture
def stranger() -> Iterator[tuple[list[psutil.Process], list[int]]]:
    """The daemon of somebody else's Spark with a task of his, and the ports between which that speaks."""
    command = [sys.executable, "-c", DAEMON, "-m", "pyspark.daemon", "pyspark.sql.worker.write_into_data_source"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        ports = [int(port) for port in process.stdout.readline().split()]
        processes = below(process.pid)
        assert len(processes) == 2
        yield processes, ports
        kill(*processes)


def test_the_spark_of_somebody_else_lives_on(
    stranger: tuple[list[psutil.Process], list[int]], session: SparkSession, box: Sandbox, keyed: Dataset
) -> None:
    processes, ports = stranger
    with killed_at(3, "after", session, box):
        write(frame(session, tasks=1), keyed)
    assert stored(box, keyed) == ROWS
    assert [process.status() != psutil.STATUS_ZOMBIE for process in processes] == [True, True]
    with pytest.raises(LookupError, match="speaks from port"):
        sender([program_of(session)], *ports)


HANGING = """
import time

from pyspark.sql import SparkSession

from tests.engines.spark import conftest

conftest.HANGS = 20.0
programs = []


def test_that_hangs(session: SparkSession) -> None:
    conftest.HANGS = 450.0  # for the next one
    programs.append(session.sparkContext._gateway.proc)
    session.sparkContext.parallelize(range(8), 8).foreach(lambda _: time.sleep(3600))


def test_after_it(session: SparkSession) -> None:
    assert session.range(10).count() == 10
    assert programs[0].poll() is not None
    assert session.sparkContext._gateway.proc is not programs[0]
"""


def test_a_test_that_hangs_leaves_the_next_one_another_session(tmp_path: Path) -> None:
    needs_java()
    (tmp_path / "test_hanging.py").write_text(HANGING, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.engines.spark.conftest", "-p", "no:cacheprovider"]
    command += ["--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=550, check=False)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "which was killed then." in done.stdout
