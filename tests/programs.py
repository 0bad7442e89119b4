"""Programs that tests start, and interrupt or fork at any moment."""

import os

__all__ = ["PEAK", "unmeasured"]

PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
"""
"""The most memory that a program has had so far, in kilobytes. `ru_maxrss` begins with that of the process that started
it, and tells nothing in a suite that has grown larger than the program."""


def unmeasured(**more: str) -> dict[str, str]:
    """Return an environment, and more, in which coverage does not measure.

    Coverage takes a lock of its own when a program enters a file for the first time. An interrupt just then leaves it
    locked, and so does a fork for the child; then the program never ends.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")} | more
