"""Fixtures for tests of files."""

import csv
from collections.abc import Iterator

import pytest

from tests.cli.conftest import command

__all__ = ["command"]


@pytest.fixture(autouse=True)
def _limit_of_fields() -> Iterator[None]:
    """Restore the csv module's limit, which `max_field` raises."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)
