"""How several pulls share the slow tests: each pull is followed by every test, all of them together by every case."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.marks import shared_out


@attrs.frozen
class Case:
    """As much of a collected test as decides about its share."""

    nodeid: str
    is_slow: bool

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return getattr(pytest.mark, name).mark if self.is_slow and name == "slow" else None


@given(
    slow=st.dictionaries(st.text("abc", min_size=1), st.integers(1, 12)),
    quick=st.sets(st.text("xyz", min_size=1)),
    shares=st.integers(1, 6),
)
def test_every_share_has_every_test_and_all_together_every_case(
    slow: dict[str, int], quick: set[str], shares: int
) -> None:
    cases: list[Any] = [Case(name, is_slow=False) for name in quick]
    cases += [Case(f"{name}[{n}]", is_slow=True) for name, many in slow.items() for n in range(many)]
    kept = [shared_out(cases, f"{number}/{shares}") for number in range(1, shares + 1)]
    for ours, others in kept:
        assert set(ours) | set(others) == set(cases)
        assert len(ours) + len(others) == len(cases)
        assert {case.nodeid.partition("[")[0] for case in ours} == {*slow, *quick}
    assert {case for ours, _ in kept for case in ours} == set(cases)
    sizes = [len(ours) for ours, _ in kept]
    assert max(sizes) - min(sizes) <= len(slow), "one size, but for a case of each test"
