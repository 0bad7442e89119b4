"""The same API in forms that nobody has listed: small changes of form, alone and thrown together."""

from collections.abc import Set
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pipeline.conftest import REAL
from tests.pipeline.test_diff import PUBLISHED, RELIED, TITLES
from tests.pipeline.twists import TWISTS, WRITINGS, twisted
from tools.spec.diff import changes
from tools.spec.document import parse
from tools.spec.generate import patched
from tools.spec.validity import fault
from tools.spec.wire import wire_of

pytestmark = pytest.mark.slow
BEFORE = wire_of(PUBLISHED)


def read_by_the_generator(description: Path) -> dict[str, Any]:
    """What the generator is to read, but for prose that appears nowhere in the code."""
    document = patched(REAL, description, lambda line: None)[0]
    return document | {"info": {name: document["info"][name] for name in ("title", "version")}}


OURS = read_by_the_generator(REAL.description)


def assert_the_same(names: Set[str], writing: str, folder: Path) -> None:
    other = folder / "other.yaml"
    other.write_bytes(WRITINGS[writing](twisted(names, PUBLISHED)))
    document = parse(other.read_bytes(), "other.yaml")
    assert fault(document) is None
    after = wire_of(document)
    for old, new in ((BEFORE, after), (after, BEFORE)):
        assert [str(change) for change in changes(old, new, RELIED, TITLES) if change.weight == "breaks"] == []
    assert read_by_the_generator(other) == OURS


@pytest.mark.parametrize("name", TWISTS)
def test_a_twist_changes_nothing_that_the_client_relies_on(name: str, tmp_path: Path) -> None:
    assert twisted({name}, PUBLISHED) != PUBLISHED
    assert_the_same({name}, "yaml", tmp_path)


@pytest.mark.parametrize("writing", WRITINGS)
def test_all_twists_that_go_together(writing: str, tmp_path: Path) -> None:
    assert_the_same(TWISTS.keys() - {"everything_inline", "openapi_3_0"}, writing, tmp_path)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(sorted(TWISTS)), min_size=2, max_size=6), st.sampled_from(sorted(WRITINGS)))
def test_any_few_twists(tmp_path: Path, names: set[str], writing: str) -> None:
    assert_the_same(names, writing, tmp_path)
