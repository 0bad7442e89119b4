"""Tables of pandas, polars, PyArrow and DuckDB, passed directly, with the right types."""

import json
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from databox import InvalidRecordError
from databox.ingest.encode import encode
from databox.ingest.rows import rows_of
from databox.sandbox import Sandbox

COLUMNS: dict[str, list[Any]] = {
    "id": [1, 2, 3],
    "name": ["a", None, "ü"],
    "amount": [1.5, float("nan"), -2.0],
    "day": [date(2025, 10, 1), None, date(2025, 10, 3)],
    "at": [datetime(2025, 10, 1, 12, 30, tzinfo=UTC)] * 3,
    "paid": [True, False, None],
}
EXPECTED = [
    {"id": 1, "name": "a", "amount": 1.5, "day": "2025-10-01", "at": "2025-10-01T12:30:00Z", "paid": True},
    {"id": 2, "name": None, "amount": None, "day": None, "at": "2025-10-01T12:30:00Z", "paid": False},
    {"id": 3, "name": "ü", "amount": -2.0, "day": "2025-10-03", "at": "2025-10-01T12:30:00Z", "paid": None},
]

PANDAS = pd.DataFrame(COLUMNS)
ARROW = pa.table(COLUMNS)
POLARS = pl.DataFrame(COLUMNS, strict=False)


class Stream:
    """An object that supports the Arrow C stream and nothing else."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return ARROW.__arrow_c_stream__(requested_schema)


SOURCES = {
    "pandas": lambda: PANDAS,
    "pandas, Arrow types": lambda: PANDAS.convert_dtypes(dtype_backend="pyarrow"),
    "pandas, nullable types": lambda: PANDAS.convert_dtypes(),
    "polars": lambda: POLARS,
    "Arrow table": lambda: ARROW,
    "Arrow batch": lambda: ARROW.to_batches()[0],
    "Arrow reader": lambda: ARROW.to_reader(),
    "Arrow C stream": Stream,
}


TWICE = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
"""A row as a mapping would lose one of the two."""


def sent(source: Any) -> list[dict[str, Any]]:
    """Return the rows of a table as they are sent; of a query, in DuckDB."""
    with duckdb.connect() as db:  # its own, because a result that is not read to its end blocks one
        table = db.sql(source) if isinstance(source, str) else source
        return [json.loads(encode(row, index)[0]) for index, row in enumerate(rows_of(table))]


@pytest.mark.parametrize("name", SOURCES)
def test_tables(name: str) -> None:
    assert sent(SOURCES[name]()) == EXPECTED


def test_duckdb() -> None:
    relation = duckdb.sql("select range as id, 1.50::decimal(9,2) as amount, date '2025-10-01' as day from range(2500)")
    found = sent(relation)
    assert len(found) == 2500
    assert found[7] == {"id": 7, "amount": 1.5, "day": "2025-10-01"}


def test_a_duckdb_relation_is_ingested(client: Any, dataset: Any, box: Sandbox) -> None:
    """Its length would need another query, which must not run while this one's result is open."""
    told: list[Any] = []
    with duckdb.connect() as db:
        relation = db.sql("select range as id, 1.50::decimal(9,2) as amount from range(2500)")
        report = client.datasets.ingest(dataset, relation, verify=None, progress=told.append)
        assert (report.rows, report.accepted) == (2500, 2500)
        assert {each.total_rows for each in told} == {None}
        assert client.datasets.ingest(dataset, relation.limit(3)).overwritten == 3
    assert len(box.rows(dataset)) == 2500


def test_a_stream_of_arrow_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TypeError, match=r"^records is a DuckDBPyRelation, an Arrow stream: install pyarrow, or pass"):
        rows_of(duckdb.sql("select 1 as id"))


@pytest.mark.parametrize("name", SOURCES)
def test_tables_are_ingested(client: Any, dataset: Any, box: Sandbox, name: str) -> None:
    assert client.datasets.ingest(dataset, SOURCES[name]()).ok
    assert len(box.rows(dataset)) == len(EXPECTED)


def test_pandas_kinds_of_columns() -> None:
    frame = pd.DataFrame(
        {
            "category": pd.Categorical(["x", "y"]),
            "naive": pd.to_datetime(["2025-10-01 12:00", None]),
            "zoned": pd.to_datetime(["2025-10-01 12:00", "2025-10-01 00:00"]).tz_localize("Europe/Berlin"),
            "nullable": pd.array([1, None], dtype="Int64"),
            "object": [Decimal("1.10"), pd.NA],
        }
    )
    assert sent(frame) == [
        {
            "category": "x",
            "naive": "2025-10-01T12:00:00Z",
            "zoned": "2025-10-01T12:00:00+02:00",
            "nullable": 1,
            "object": 1.1,
        },
        {"category": "y", "naive": None, "zoned": "2025-10-01T00:00:00+02:00", "nullable": None, "object": None},
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), None),
        (np.bool_(True), True),
        (np.str_("s"), "s"),
        (np.datetime64("2025-10-01T12:00:00.123456789"), "2025-10-01T12:00:00.123456Z"),
        (np.datetime64("2025-10-01"), "2025-10-01T00:00:00Z"),
        (np.datetime64("NaT"), None),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timestamp("2025-10-01 12:00"), "2025-10-01T12:00:00Z"),
        (pd.Timestamp("2025-10-01 12:00:00.123456789", tz="UTC"), "2025-10-01T12:00:00.123456Z"),
    ],
)
def test_scalars_of_numpy_and_pandas(value: Any, expected: Any) -> None:
    assert sent([{"v": value}]) == [{"v": expected}]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (POLARS.lazy(), "collect"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns named 'a'"),
        (pd.DataFrame([[1, 2]]), r"named 0, not text.*map\(str\)"),
        (pd.DataFrame([[1]], columns=[pd.Timestamp("2025-10-01")]), r"not text.*map\(str\)"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])), "several levels"),
        (TWICE, "two columns named 'a'"),
        (TWICE.to_batches()[0], "two columns named 'a'"),
        (TWICE.to_reader(), "two columns named 'a'"),
        ("select 1 as a, 2 as a", "two columns named 'a'"),
    ],
)
def test_tables_that_cannot_be_sent(source: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        sent(source)


BERLIN = datetime(2025, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (pd.DataFrame({"v": pd.Categorical(["x", None])}), ["x", None]),
        (pd.DataFrame({"v": pd.Categorical([1, 2])}), [1, 2]),
        (pl.DataFrame({"v": pl.Series(["x", None], dtype=pl.Categorical)}), ["x", None]),
        (pl.DataFrame({"v": pl.Series(["x", "y"], dtype=pl.Enum(["x", "y"]))}), ["x", "y"]),
        (pa.table({"v": pa.array(["x", None]).dictionary_encode()}), ["x", None]),
        ("select 'x'::enum('x', 'y') as v", ["x"]),
        (pd.DataFrame({"v": pd.array([2**60, None], dtype="Int64")}), [2**60, None]),
        (pd.DataFrame({"v": pd.array([True, None], dtype="boolean")}), [True, None]),
        (pd.DataFrame({"v": pd.array([1.5, None], dtype="Float64")}), [1.5, None]),
        (pd.DataFrame({"v": pd.array(["a", None], dtype="string")}), ["a", None]),
        (pd.DataFrame({"v": np.array([2**64 - 1], dtype="uint64")}), [2**64 - 1]),
        (pl.DataFrame({"v": pl.Series([2**100], dtype=pl.Int128)}), [2**100]),
        ("select 170141183460469231731687303715884105727::hugeint as v", [2**127 - 1]),
        (pl.DataFrame({"v": [float("nan"), None, 1.0]}), [None, None, 1]),
        (pa.table({"v": pa.array([float("nan"), None])}), [None, None]),
        ("select 'nan'::double as v", [None]),
        (pd.DataFrame({"v": [Decimal("1.10"), Decimal("NaN"), None]}), [1.1, None, None]),
        (pl.DataFrame({"v": [Decimal("1.10")]}), [1.1]),
        (pa.table({"v": pa.array([Decimal("1.10")], pa.decimal256(50, 2))}), [1.1]),
        (pd.DataFrame({"v": [pd.Timestamp(BERLIN), pd.NaT]}), ["2025-07-01T12:00:00+02:00", None]),
        (pl.DataFrame({"v": [BERLIN]}), ["2025-07-01T12:00:00+02:00"]),
        (pa.table({"v": pa.array([BERLIN], pa.timestamp("ns", "Europe/Berlin"))}), ["2025-07-01T12:00:00+02:00"]),
        (pd.DataFrame({"v": pd.to_timedelta([None, None])}), [None, None]),
        (pd.DataFrame({"v": []}), []),
        (pd.DataFrame(), []),
        (pl.DataFrame(schema={"v": pl.Int64}), []),
        (pa.table({"v": pa.array([], pa.int64())}), []),
        ("select 1 as v where false", []),
    ],
)
def test_types_of_columns(source: Any, expected: list[Any]) -> None:
    assert [row["v"] for row in sent(source)] == expected


FLAT = r"must be flat. Send its parts as columns, or the value as text \(json.dumps\)"
NO_TYPE = "has no type. Send seconds, or text"


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (pd.DataFrame({"v": [[1], [2]]}), FLAT),
        (pd.DataFrame({"v": [np.array([1]), np.array([1, 2])]}), FLAT),
        (pd.DataFrame({"v": pd.array([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int64())))}), FLAT),
        (pl.DataFrame({"v": [{"a": 1}]}), FLAT),
        (pl.DataFrame({"v": [[1, 2]]}), FLAT),
        (pa.table({"v": [{"a": 1}]}), FLAT),
        (pa.table({"v": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))}), FLAT),
        ("select {'a': 1} as v", FLAT),
        ("select [1, 2] as v", FLAT),
        (pd.DataFrame({"v": pd.to_timedelta(["1h"])}), NO_TYPE),
        (pl.DataFrame({"v": [timedelta(hours=1)]}), NO_TYPE),
        (pa.table({"v": pa.array([1], pa.duration("ns"))}), NO_TYPE),
        ("select interval 1 day as v", NO_TYPE),
        (pl.DataFrame({"v": [time(1)]}), NO_TYPE),
        (pd.DataFrame({"v": [b"x"]}), "Decode it to text"),
        (pl.DataFrame({"v": [b"x"]}), "Decode it to text"),
        ("select 'x'::blob as v", "Decode it to text"),
        (pd.DataFrame({"v": pd.period_range("2025-01", periods=1, freq="M")}), "Convert it to a number, text or date"),
        ("select 'inf'::double as v", "Send None or a finite number"),
    ],
)
def test_columns_that_cannot_be_sent_name_the_remedy(source: Any, remedy: str) -> None:
    with pytest.raises(InvalidRecordError, match=rf"^Row 0, column 'v' .*{remedy}") as caught:
        sent(source)
    assert (caught.value.index, caught.value.column) == (0, "v")


def test_an_index_is_not_sent_and_one_with_a_name_is_told(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"v": [1]}, index=pd.MultiIndex.from_tuples([("a", 1)], names=["k", "n"]))
    assert sent(frame) == [{"v": 1}]
    words = "The frame's index ('k', 'n') is not sent. To send it as columns, pass frame.reset_index()."
    assert caplog.messages == [words]
    assert sent(frame.reset_index()) == [{"k": "a", "n": 1, "v": 1}]
    assert sent(pd.DataFrame({"v": [1]})) == [{"v": 1}]
    assert caplog.messages == [words]


def test_names_of_numpy_and_of_enumerations_are_text() -> None:
    class Name(StrEnum):
        A = "a"

    assert sent([{np.str_("n"): 1, Name.A: 2}]) == [{"n": 1, "a": 2}]
    assert sent(pd.DataFrame([[1]], columns=np.array(["n"]))) == [{"n": 1}]


def test_a_table_is_ingested(client: Any, dataset: Any, box: Sandbox) -> None:
    report = client.datasets.ingest(dataset, PANDAS)
    assert report.appended == 3
    assert box.rows(dataset) == EXPECTED
