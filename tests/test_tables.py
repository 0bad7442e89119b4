"""Tables of pandas, polars, PyArrow and DuckDB as they are, with the right types."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

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
    """Something that speaks the Arrow C stream and nothing else."""

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


def sent(source: Any) -> list[dict[str, Any]]:
    return [json.loads(encode(row, index)[0]) for index, row in enumerate(rows_of(source))]


@pytest.mark.parametrize("name", SOURCES)
def test_tables(name: str) -> None:
    assert sent(SOURCES[name]()) == EXPECTED


def test_duckdb() -> None:
    relation = duckdb.sql("select range as id, 1.50::decimal(9,2) as amount, date '2025-10-01' as day from range(2500)")
    found = sent(relation)
    assert len(found) == 2500
    assert found[7] == {"id": 7, "amount": 1.5, "day": "2025-10-01"}


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
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns"),
    ],
)
def test_tables_that_cannot_be_sent(source: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        rows_of(source)


def test_a_table_is_ingested(client: Any, dataset: Any, box: Sandbox) -> None:
    report = client.datasets.ingest(dataset, PANDAS)
    assert report.appended == 3
    assert box.rows(dataset) == EXPECTED
