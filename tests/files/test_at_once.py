"""Cells that are read in bulk give the same result as one by one, or are not read in bulk."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox.files.dates import DateForm, date_reader, plain_dates
from databox.files.numerals import Mark, plain_numbers, strict_number

NEAR_NUMBERS = st.one_of(
    st.integers(-(10**18), 10**18).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str),
    st.text("0123456789-.,eE+ ntl[]\"'", max_size=20),
    st.sampled_from(
        ["", "-0", "-0.0", "007", "null", "true", "1,2", "[1]", "1_000", "٣", "1.", ".5", "9" * 16, "0.1" + "0" * 20]
    ),
)
DAYS = st.dates()
MOMENTS = st.datetimes().map(lambda moment: moment.replace(microsecond=0))
NEAR_DATES = st.one_of(
    DAYS.map(str),
    MOMENTS.map(str),
    MOMENTS.map(datetime.isoformat),
    st.sampled_from(
        [
            "",
            "2025-W01-1",
            "20251231",
            "2025-02-30",
            "2025-12-31T10:00+01",
            "20251231T10:00:00.1",
            "2025-12-31T10-01:00",
        ]
    ),
    st.sampled_from(["2025-12-31_10:00:00", "٢٠٢٥-12-31", "2025-12-31 24:00:00", "2025-365", "20251231 10:00:00.5"]),
    st.text("0123456789-:TWZ+ ", min_size=8, max_size=20),
)


def one_by_one(read: Any, cells: list[str]) -> list[Any] | None:
    """What the reader of single cells makes of them, or None where one does not fit."""
    try:
        return [read(cell) if cell else None for cell in cells]
    except ValueError:
        return None


@given(st.lists(NEAR_NUMBERS, min_size=1, max_size=5), st.sampled_from([".", ",", None]))
def test_numbers_at_once_are_the_numbers_one_by_one(cells: list[str], mark: Mark | None) -> None:
    at_once = plain_numbers(mark)(cells)
    assert at_once is None or repr(at_once) == repr(one_by_one(strict_number(mark), cells))


@given(st.lists(st.integers(-(10**14), 10**14).map(str) | st.just(""), min_size=1))
def test_whole_numbers_are_read_at_once(cells: list[str]) -> None:
    assert plain_numbers(None)(cells) == [int(cell) if cell else None for cell in cells]


@given(st.lists(st.floats(-1e15, 1e15).filter(lambda number: "e" not in repr(number)), min_size=1))
def test_so_are_fractions_with_all_their_digits(values: list[float]) -> None:
    assert repr(plain_numbers(".")([repr(value) for value in values])) == repr(values)


@pytest.mark.parametrize("has_time", [False, True])
@given(cells=st.lists(NEAR_DATES, min_size=1, max_size=5))
def test_dates_at_once_are_the_dates_one_by_one(cells: list[str], has_time: bool) -> None:
    form = DateForm("year first", None, needs_order=False, has_time=has_time)
    read_many = plain_dates(form)
    assert read_many
    at_once = read_many(cells)
    assert at_once is None or at_once == one_by_one(date_reader(form), cells)


@given(st.lists(MOMENTS, min_size=1))
def test_moments_are_read_at_once(moments: list[datetime]) -> None:
    read_many = plain_dates(DateForm("year first", None, needs_order=False, has_time=True))
    assert read_many
    assert read_many([str(moment) for moment in moments]) == moments


def test_moments_with_zones_that_look_like_plain_ones_are_left_to_the_other_reader() -> None:
    read_many = plain_dates(DateForm("year first", None, needs_order=False, has_time=True))
    assert read_many
    assert read_many(["2025-12-31T10:00+01", "2025-12-31T10:00:00"]) is None
    assert read_many(["2025-12-31 10:00:00", ""]) == [datetime(2025, 12, 31, 10), None]
