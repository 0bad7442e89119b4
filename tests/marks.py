"""What `make test` leaves to `make slow`."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow(values: Iterable[object]) -> list[Any]:
    """Return values of a parameter that are not worth their time at every run."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
