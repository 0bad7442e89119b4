"""Which tests `make test` leaves to `make slow`."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

_FEW = 4


def slow(values: Iterable[object]) -> list[Any]:
    """Return values of a parameter that are not worth their time in every run."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def first(values: Iterable[object]) -> list[Any]:
    """Return values of a parameter, of which the first shows in every run whether it works at all."""
    one, *others = values
    return [one, *slow(others)]


def leave_few(cases: Sequence[pytest.Item]) -> None:
    """Leave four of the cases of one test to `make test`, spread evenly from the first to the last."""
    quick = [case for case in cases if not case.get_closest_marker("slow")]
    kept = {round(n * (len(quick) - 1) / (_FEW - 1)) for n in range(_FEW)}
    for place, case in enumerate(quick):
        if place not in kept:
            case.add_marker(pytest.mark.slow)


def shared_out(items: Sequence[pytest.Item], share: str) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the slow tests of one share and those of the others; `2/4` is the second of four.

    Of each test every share has a case; together they have all. What is not slow is in all.
    """
    number, shares = map(int, share.split("/"))
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("slow"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    others: set[pytest.Item] = set()
    for of_one_test in cases.values():
        step = min(shares, len(of_one_test))
        others.update(case for place, case in enumerate(of_one_test) if place % step != number % step)
    return [item for item in items if item not in others], [item for item in items if item in others]
