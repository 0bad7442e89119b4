"""Programs that tests start, and interrupt at any moment."""

import os

__all__ = ["unmeasured"]


def unmeasured(**more: str) -> dict[str, str]:
    """Return an environment, and more, in which coverage does not measure.

    Coverage takes a lock of its own when a program enters a file for the first time. An interrupt just then leaves it
    locked, and the program never ends.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")} | more
