"""Rows to JSON: what is sent for each kind of value, and what is refused."""

import dataclasses
import json
import math
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox import InvalidRecordError
from databox.ingest.encode import encode, plain
from databox.ingest.rows import rows_of


class Colour(Enum):
    RED = "red"
    SINCE = date(2020, 1, 2)


class Level(IntEnum):
    HIGH = 3


class Moment(datetime):
    """A subclass, such as pandas' Timestamp."""


class Name(str):
    """A subclass, such as NumPy's str_."""


class Ratio(float):
    """A subclass, such as NumPy's float64."""


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("ü", '"ü"'),
        ("", '""'),
        (True, "true"),
        (None, "null"),
        (-5, "-5"),
        (2**64 - 1, "18446744073709551615"),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        (1.5, "1.5"),
        (float("nan"), "null"),
        (Decimal("12.30"), "12.30"),
        (Decimal("0.1000000000000000000000001"), "0.1000000000000000000000001"),
        (Decimal("1E+30"), "1E+30"),
        (Decimal("NaN"), "null"),
        (date(2025, 10, 1), '"2025-10-01"'),
        (datetime(2025, 10, 1, 12), '"2025-10-01T12:00:00Z"'),
        (datetime(2025, 10, 1, 12, 0, 0, 5, tzinfo=UTC), '"2025-10-01T12:00:00.000005Z"'),
        (datetime(2025, 10, 1, 12, tzinfo=timezone(timedelta(hours=2))), '"2025-10-01T12:00:00+02:00"'),
        (Moment(2025, 10, 1, 12), '"2025-10-01T12:00:00Z"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Colour.RED, '"red"'),
        (Colour.SINCE, '"2020-01-02"'),
        (Level.HIGH, "3"),
        (Name("n"), '"n"'),
        (Ratio(0.5), "0.5"),
        (Ratio("nan"), "null"),
    ],
)
def test_values(value: Any, sent: str) -> None:
    assert encode({"column": value}, 0)[0].decode() == f'{{"column":{sent}}}'


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (math.inf, "finite"),
        (-math.inf, "finite"),
        (Decimal("Infinity"), "finite"),
        ([1], "flat"),
        ({"a": 1}, "flat"),
        ((1, 2), "flat"),
        ({1}, "flat"),
        (b"x", "Decode"),
        (bytearray(b"x"), "Decode"),
        (time(12), "seconds"),
        (timedelta(1), "seconds"),
        (object(), "Convert"),
        (1j, "Convert"),
        ("\ud800", "Unicode"),
    ],
)
def test_what_cannot_be_sent_names_row_column_and_remedy(value: Any, remedy: str) -> None:
    with pytest.raises(InvalidRecordError, match=remedy) as caught:
        encode({"fine": 1, "amount": value}, 7)
    assert "Row 7" in str(caught.value)
    assert "'amount'" in str(caught.value)
    assert (caught.value.index, caught.value.column) == (7, "amount")


def test_a_value_is_not_shown() -> None:
    with pytest.raises(InvalidRecordError) as caught:
        encode({"salary": ["private"]}, 0)
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("record", [None, 5, "text", [("a", 1)], [1], {1: 2}, {None: 1}, {}])
def test_what_is_no_row(record: Any) -> None:
    with pytest.raises(InvalidRecordError, match="Row 3"):
        encode(record, 3)


@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
def test_any_mapping_is_a_row(kind: Any) -> None:
    assert encode(kind({"b": 1, "a": 2}), 0)[0] == b'{"b":1,"a":2}'


def test_the_row_is_left_as_it_was() -> None:
    row = {"a": Decimal(1)}
    encode(row, 0)
    assert row == {"a": Decimal(1)}


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


@given(st.dictionaries(st.text(), scalars, min_size=1))
def test_plain_rows_come_back_as_they_were(row: dict[str, Any]) -> None:
    try:
        sent = encode(row, 0)[0]
    except InvalidRecordError:
        assert any("\ud800" <= c <= "\udfff" for text in [*row, *row.values()] for c in str(text))
    else:
        assert json.loads(sent) == row


# Keys


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"id": 1}, {"id": 1.0}, True),
        ({"id": 1}, {"id": "1"}, False),
        ({"id": 1}, {"id": True}, False),
        ({"id": None}, {}, True),
        ({"id": date(2025, 1, 1)}, {"id": "2025-01-01"}, True),
        ({"id": 1, "v": 1}, {"id": 1, "v": 2}, True),
    ],
)
def test_keys_are_compared_as_the_server_sees_them(first: Any, second: Any, same: bool) -> None:
    one, two = (encode({"x": 0} | row, 0, ["id"])[1] for row in (first, second))
    assert one is not None
    assert (one == two) is same


def test_without_primary_keys_there_is_none() -> None:
    assert encode({"id": 1}, 0)[1] is None


# Rows that are objects


@dataclasses.dataclass
class Plain:
    id: int
    name: str | None = None


@attrs.frozen
class Frozen:
    id: int
    name: str | None = None


class Tuple(NamedTuple):
    id: int
    name: str | None = None


class Model(pydantic.BaseModel):
    id: int
    name: str | None = None


@pytest.mark.parametrize("kind", [Plain, Frozen, Tuple, Model])
def test_objects_with_fields_are_rows(kind: Any) -> None:
    assert encode(kind(id=1, name="n"), 0)[0] == b'{"id":1,"name":"n"}'
    with pytest.raises(TypeError, match="Put a single row in a list"):
        rows_of(kind(id=1))


def test_other_sources_are_left_alone() -> None:
    source = [{"id": 1}]
    assert rows_of(source) is source


def test_what_cannot_be_sent_can_still_be_told() -> None:
    assert plain({"a": [1, {2: 3}], "b": b"x"}) == b'{"a": [1, {"2": 3}], "b": "b\'x\'"}'
    assert plain("text") is None
