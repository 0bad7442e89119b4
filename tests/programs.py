"""Programs, and calls, that tests interrupt at any moment; programs that fork."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["PEAK", "unmeasured", "untraced"]

PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
"""
"""The most memory that a program has had so far, in kilobytes. `ru_maxrss` begins with that of the process that started
it, and tells nothing in a suite that has grown larger than the program."""


def unmeasured(**more: str) -> dict[str, str]:
    """Return an environment, and more, in which coverage does not measure.

    At each call of a function that it measures, coverage takes a lock of its own. An interrupt just then leaves it
    locked, and so does a fork for the child if another thread has it; then the program never ends.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")} | more


@contextmanager
def untraced() -> Generator[None]:
    """Have coverage not measure this thread during the block, for the reason that `unmeasured` names."""
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(trace)
