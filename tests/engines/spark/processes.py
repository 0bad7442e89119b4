"""The processes of a Spark that the tests started: those below one that they know, and no others of the machine."""

import contextlib
from collections.abc import Iterable
from itertools import chain

import psutil

EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"
PATIENCE = 60


def below(root: int) -> list[psutil.Process]:
    """Return a process and all that it started, directly or not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    return []


def sender(roots: Iterable[int], mine: int, theirs: int) -> psutil.Process:
    """Return which of the processes below some speaks from one port to another. Either alone may be that of others.

    Raises:
        LookupError: none does.
    """
    for process in chain.from_iterable(map(below, roots)):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            for each in process.net_connections("tcp"):
                if each.laddr and each.raddr and (each.laddr.port, each.raddr.port) == (mine, theirs):
                    return process
    raise LookupError(f"No process below {list(roots)} speaks from port {mine} to {theirs}.")


def executor_of(process: psutil.Process) -> psutil.Process:
    """Return the executor that a process that runs Python for it belongs to."""
    return next(parent for parent in process.parents() if EXECUTOR in parent.cmdline())


def kill(*processes: psutil.Process) -> None:
    """Kill processes hard; return when they are dead."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(processes, PATIENCE)
    assert not alive


def kill_all(root: int) -> None:
    """Kill a process and all that it started."""
    kill(*below(root))
