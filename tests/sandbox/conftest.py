"""What tests of the sandbox have in common."""

import pytest

from databox.sandbox.throttle import Limit


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of rate limits, which then only `advance` moves: on a busy machine requests take their time."""
    take = Limit.take
    monkeypatch.setattr(Limit, "take", lambda limit, now: take(limit, 0.0))
