"""The same API in forms that nobody has listed: small changes of form, alone and combined."""

from collections.abc import Set
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipeline.test_diff import PUBLISHED, RELIED, TITLES
from tests.pipeline.test_generate import OURS, OVERLAY, bones
from tests.pipeline.twists import SAYING_MORE, TWISTS, WRITINGS, twisted
from tools.spec.diff import changes
from tools.spec.facade import unmet
from tools.spec.normalise import corrected, for_the_generator
from tools.spec.validity import published
from tools.spec.wire import facts_of, wire_of

pytestmark = pytest.mark.slow
BEFORE = wire_of(PUBLISHED)


def read_by_the_generator(names: Set[str], writing: str) -> dict[str, Any]:
    """What the generator is to read of the API with some twists, once it is known to be the same API."""
    found = published(WRITINGS[writing](twisted(names, PUBLISHED)), "other.yaml")
    assert found.warnings == ()
    after = wire_of(found.document)
    for old, new in ((BEFORE, after), (after, BEFORE)):
        assert [str(change) for change in changes(old, new, RELIED, TITLES) if change.weight == "breaks"] == []
    document = corrected(found.document, OVERLAY)
    assert list(unmet(RELIED, facts_of(document))) == []
    return for_the_generator(document) | {"info": None}


@pytest.mark.parametrize("name", TWISTS)
def test_a_twist_changes_nothing_that_the_client_relies_on(name: str) -> None:
    assert twisted({name}, PUBLISHED) != PUBLISHED
    found = read_by_the_generator({name}, "yaml")
    # What only says the same in another way gives the same code, to the last byte.
    assert (found == OURS | {"info": None}) is (name not in SAYING_MORE)


def same_requests(found: dict[str, Any]) -> None:
    """The operations have our names, and each takes what it took, with further things at most."""
    for path, item in OURS["paths"].items():
        for method, ours in item.items():
            theirs = found["paths"][path][method]
            assert (theirs["operationId"], theirs["tags"]) == (ours["operationId"], ours["tags"])
            names = {each["name"]: (each["required"], bones(each["schema"])) for each in ours["parameters"]}
            assert (
                names.items()
                <= {each["name"]: (each["required"], bones(each["schema"])) for each in theirs["parameters"]}.items()
            )
            body = ours.get("requestBody", {}).get("content")
            assert theirs.get("requestBody", {}).get("content") == body


@pytest.mark.parametrize("writing", WRITINGS)
def test_all_twists_that_go_together(writing: str) -> None:
    same_requests(read_by_the_generator(TWISTS.keys() - {"everything_inline", "openapi_3_0"}, writing))


@settings(max_examples=25)
@given(st.sets(st.sampled_from(sorted(TWISTS)), min_size=2, max_size=6), st.sampled_from(sorted(WRITINGS)))
def test_any_few_twists(names: set[str], writing: str) -> None:
    same_requests(read_by_the_generator(names, writing))
