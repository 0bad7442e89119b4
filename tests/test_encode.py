"""From rows to JSON: what is sent for each kind of value, and what is refused."""

import dataclasses
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox import InvalidRecordError
from databox.ingest.batch import Batcher
from databox.ingest.encode import encode as encode_alone
from databox.ingest.encode import shown
from databox.ingest.rows import rows_of

EVERY_CASE = True


def encode(record: object, index: int, primary_keys: Sequence[str] = ()) -> tuple[bytes, bytes | None]:
    """Encode a row alone, and as one of a batch, which takes a shorter way for most rows; both must say the same."""
    alone: object
    try:
        alone = encode_alone(record, index, primary_keys)
    except InvalidRecordError as error:
        alone = (str(error), error.index, error.column)
    batcher = Batcher(100, 10**9, primary_keys=primary_keys)
    try:
        assert batcher.add(index, record) is None
    except InvalidRecordError as error:
        assert alone == (str(error), error.index, error.column)
        raise
    batch = batcher.flush()
    assert batch
    assert batch.indexes == (index,)
    assert alone == (batch.rows[0], batch.row_keys[0])
    return batch.rows[0], batch.row_keys[0]


class Colour(Enum):
    RED = "red"
    SINCE = date(2020, 1, 2)


class Level(IntEnum):
    HIGH = 3


class Moment(datetime):
    """A subclass, such as pandas' Timestamp."""


class Name(str):
    """A subclass, such as NumPy's str_."""


class Id(UUID):
    """A subclass, such as asyncpg's."""


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
        (Id(int=1), '"00000000-0000-0000-0000-000000000001"'),
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


def key_of(value: Any) -> bytes | None:
    return encode({"x": 0, "id": value}, 0, ["id"])[1]


BERLIN = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (1, 1.0, True),
        (1, Decimal("1.00"), True),
        (1.5, Decimal("1.50"), True),
        (100, Decimal("1E2"), True),
        (0, -0.0, True),
        (0, Decimal("-0.00"), True),
        (0.1, Decimal("0.1"), True),
        (0.1, Decimal("0.1000000000000000000000001"), False),
        (1, "1", False),
        (1, True, False),
        (0, False, False),
        (1.0, True, False),
        (2**64, 2.0**64, True),
        (2**64, Decimal(2**64), True),
        (2**64, 2**64 + 1, False),
        (2**53, 2**53 + 1, False),
        (2**53, 2.0**53, True),
        (10**23, 1e23, True),
        (Decimal("1E+23"), 1e23, True),
        (1e300, Decimal("1E+300"), True),
        (10**40, Decimal("1E+40"), True),
        (Decimal("1E+308"), Decimal("10E+307"), True),
        (Decimal("1E-100000000"), 0, False),
        (date(2025, 1, 1), "2025-01-01", True),
        (datetime(2025, 1, 1, 12), datetime(2025, 1, 1, 12, tzinfo=UTC), True),
        (datetime(2025, 1, 1, 12), "2025-01-01T12:00:00Z", True),
        (datetime(2025, 1, 1, 12, tzinfo=BERLIN), datetime(2025, 1, 1, 10, tzinfo=UTC), False),
        (UUID(int=1), str(UUID(int=1)), True),
        (Colour.RED, "red", True),
        (Level.HIGH, 3, True),
        (Name("n"), "n", True),
        ("ü", "u\u0308", False),
    ],
)
def test_keys_are_equal_when_their_json_values_are(first: Any, second: Any, same: bool) -> None:
    assert key_of(first) is not None
    assert (key_of(first) == key_of(second)) is same


numbers = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
)


@given(numbers, numbers)
def test_numbers_are_one_key_when_they_are_equal(first: Any, second: Any) -> None:
    for left, right in ((first, second), (first, Decimal(first)), (first, type(first)(first))):
        if left == right:  # Python compares exactly
            assert key_of(left) == key_of(right)
        elif not isinstance(left, float) and not isinstance(right, float):
            assert key_of(left) != key_of(right)


@given(numbers, st.integers(0, 5))
def test_a_number_is_one_key_however_it_is_written(number: Any, zeros: int) -> None:
    sent = encode({"id": number}, 0)[0].decode().removeprefix('{"id":').removesuffix("}")
    as_it_was_sent = Decimal(sent)
    digits = as_it_was_sent.as_tuple()
    assert isinstance(digits.exponent, int)
    longer = Decimal((digits.sign, (*digits.digits, *([0] * zeros)), digits.exponent - zeros))
    assert key_of(as_it_was_sent) == key_of(longer)
    if abs(number) < 2**53 or not isinstance(number, float):
        assert key_of(as_it_was_sent) == key_of(number)


def test_other_columns_do_not_count() -> None:
    assert encode({"id": 1, "v": 1}, 0, ["id"])[1] == encode({"v": 2, "id": 1.0}, 5, ["id"])[1]
    two = ["id", "day"]
    assert encode({"id": 1, "day": "x"}, 0, two)[1] != encode({"id": "x", "day": 1}, 0, two)[1]


@pytest.mark.parametrize(
    ("row", "lack"),
    [
        ({"x": 0, "id": None}, "null"),
        ({"x": 0, "id": float("nan")}, "null"),
        ({"x": 0, "id": Decimal("NaN")}, "null"),
        ({"x": 0}, "missing"),
        ({"Id": 1}, "missing"),
    ],
)
def test_a_row_without_its_key_is_invalid(row: Any, lack: str) -> None:
    with pytest.raises(InvalidRecordError, match=rf"^Row 4, column 'id' is {lack}.*primary key") as caught:
        encode(row, 4, ["id"])
    assert (caught.value.index, caught.value.column) == (4, "id")


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


# Rows of anyone's making


class Price(Decimal):
    """A subclass with its own representation."""

    def __str__(self) -> str:
        return '1,"price":2'

    def is_nan(self) -> bool:
        raise RuntimeError


class Count(int):
    """Another one."""

    def __index__(self) -> int:
        return 99

    __int__ = __index__
    __str__ = __repr__ = lambda self: "a count"


class Gone(Mapping[str, Any]):
    """A row whose values are fetched on access."""

    def __iter__(self) -> Iterator[str]:
        return iter(["id", "name"])

    def __len__(self) -> int:
        return 2

    def __getitem__(self, name: str) -> Any:
        raise ConnectionError("the cursor is closed")


class Nowhere(tzinfo):
    """A zone that does not know its offset."""

    def utcoffset(self, moment: datetime | None, /) -> timedelta:
        raise LookupError("no such zone")

    dst = utcoffset

    def tzname(self, moment: datetime | None, /) -> str:
        return "nowhere"


class Unhelpful(Exception):
    """An error that cannot be shown either."""

    def __str__(self) -> str:
        raise RuntimeError


class Thing:
    """A value that fails on every access."""

    def __getattribute__(self, name: str) -> Any:
        raise Unhelpful

    def __repr__(self) -> str:
        raise Unhelpful


AMSTERDAM = timezone(timedelta(minutes=19, seconds=32))


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Price("1.10"), "1.10"),
        (Count(5), "5"),
        (Count(2**70), str(2**70)),
        (datetime(1930, 1, 1, tzinfo=AMSTERDAM), '"1929-12-31T23:40:28Z"'),
        (datetime(2025, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), '"2025-01-01T00:00:00+01:00"'),
        (datetime(1800, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), '"1799-12-31T23:06:32Z"'),
        (Moment(2025, 1, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30))), '"2025-01-01T00:00:00-03:30"'),
        (np.datetime64("9999-12-31T23:59:59.999999"), '"9999-12-31T23:59:59.999999Z"'),
    ],
)
def test_values_are_taken_for_what_they_hold(value: Any, sent: str) -> None:
    assert encode({"v": value}, 0)[0].decode() == f'{{"v":{sent}}}'


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda: datetime(2025, 1, 1, tzinfo=Nowhere()), "cannot be read: LookupError: no such zone"),
        (lambda: Moment(2025, 1, 1, tzinfo=Nowhere()), "cannot be read: LookupError: no such zone"),
        (lambda: datetime(1, 1, 1, tzinfo=AMSTERDAM), "outside the years 1 to 9999"),
        (lambda: np.datetime64("10000-01-01"), "outside the years 1 to 9999"),
        (lambda: pd.Timestamp(np.datetime64("10000-01-01", "s")), "outside the years 1 to 9999"),
        (lambda: np.longdouble("0.1"), "longdouble"),
        (lambda: np.datetime64("-0044-03-15"), "outside the years 1 to 9999"),
        (lambda: np.timedelta64(5, "ns"), "seconds"),
        (lambda: np.timedelta64(5, "Y"), "seconds"),
        (lambda: 10**5000, "Send it as text"),
        (lambda: Thing(), "cannot be read: Unhelpful"),
    ],
)
def test_values_at_the_edges_are_invalid_by_name(value: Callable[[], Any], words: str) -> None:
    for keys in ((), ("v",)):
        with pytest.raises(InvalidRecordError, match=words) as caught:
            encode({"id": 1.5, "v": value()}, 3, keys)
        assert (caught.value.index, caught.value.column) == (3, "v")


def test_a_row_that_cannot_be_read_is_invalid() -> None:
    with pytest.raises(
        InvalidRecordError, match=r"^Row 3 cannot be read: ConnectionError: the cursor is closed\.$"
    ) as caught:
        encode(Gone(), 3)
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert caught.value.index == 3


def test_a_value_of_a_plain_type_that_cannot_be_read_is_invalid() -> None:
    with pytest.raises(InvalidRecordError, match=r"^Row 3 cannot be read: AttributeError: .*'int'\.$") as caught:
        encode({"id": UUID.__new__(UUID)}, 3)  # as left behind by whatever failed to restore it
    assert caught.value.index == 3


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (
            lambda: {"a": [1, {2: 3}], "b": b"x", "c": Decimal("1.10")},
            "{'a': [1, {2: 3}], 'b': b'x', 'c': Decimal('1.10')}",
        ),
        (lambda: Plain(1, "n"), "{'id': 1, 'name': 'n'}"),
        (lambda: "text", "'text'"),
        (lambda: None, "None"),
        (lambda: Gone(), "of type Gone, which cannot be shown: ConnectionError: the cursor is closed"),
        (lambda: {"v": Thing()}, "of type dict, which cannot be shown: Unhelpful"),
    ],
)
def test_what_cannot_be_sent_can_still_be_told(record: Callable[[], Any], text: str) -> None:
    assert shown(record()) == text
