"""What is passed to `ingest` by mistake: it is refused before anything is sent, and what the message advises works."""

import csv
import io
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from databox import Dataset, IngestReport, read_records
from databox.sandbox import Sandbox
from tests.drive import Driver

ROWS = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}]
FRAME = pd.DataFrame(ROWS)


@pytest.fixture
def client(driver: Driver, box: Sandbox) -> Any:
    return driver.client(box.api_key, box.url, rate_limit=None)


@pytest.fixture
def dataset(client: Any) -> Any:
    source = client.data_sources.create("S")
    return client.datasets.create("D", data_source=source, primary_keys=["id"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "rows.csv"
    FRAME.to_csv(made, index=False)
    return made


def generate() -> Iterator[dict[str, Any]]:
    yield from ROWS


async def generate_later() -> AsyncIterator[dict[str, Any]]:
    for row in ROWS:
        yield row


def columns() -> dict[str, list[Any]]:
    return {name: [row[name] for row in ROWS] for name in ROWS[0]}


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "the text of a path": (str, "databox.read_records"),
    "a path": (lambda path: path, "databox.read_records"),
    "a file in memory": (lambda path: io.BytesIO(path.read_bytes()), "read_records"),
    "text in memory": (lambda path: io.StringIO(path.read_text()), "read_records"),
    "columns": (lambda _: columns(), "pandas.DataFrame"),
    "a frame's columns": (lambda _: FRAME.to_dict(), "pandas.DataFrame"),
    "one row": (lambda _: ROWS[0], "in a list"),
    "one object": (lambda _: SimpleNamespace(id=1), "in a list"),
    "bytes": (lambda _: b"id\n1\n", "not bytes"),
    "a function": (lambda _: generate, "Call it"),
    "an asynchronous function": (lambda _: generate_later, "Call it"),
    "None": (lambda _: None, "not None"),
    "a number": (lambda _: 5, "not int"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_not_rows_is_refused_before_anything_is_sent_or_recorded(
    client: Any, box: Sandbox, dataset: Dataset, path: Path, tmp_path: Path, kind: str
) -> None:
    make, remedy = WRONG[kind]
    before = len(box.requests)
    with pytest.raises(TypeError, match="records must be rows") as caught:
        client.datasets.ingest(dataset, make(path), journal=tmp_path / "j", dead_letter=tmp_path / "dead")
    assert remedy in str(caught.value)
    assert len(box.requests) == before
    assert not (tmp_path / "j").exists()


def test_a_coroutine_that_nobody_awaited(client: Any, dataset: Dataset) -> None:
    async def fetched() -> list[dict[str, Any]]:
        return ROWS

    pending = fetched()
    with pytest.raises(TypeError, match=r"not a coroutine\. Await it"):
        client.datasets.ingest(dataset, pending)
    pending.close()


def test_an_asynchronous_source_is_for_the_asynchronous_client(client: Any, driver: Driver, dataset: Dataset) -> None:
    if driver.is_async:
        assert client.datasets.ingest(dataset, generate_later()).appended == 3
    else:
        with pytest.raises(TypeError, match="Use AsyncDatabox"):
            client.datasets.ingest(dataset, generate_later())


ADVISED: dict[str, Callable[[Path], Any]] = {
    "read_records(path)": read_records,
    "read_records(file)": lambda path: read_records(io.BytesIO(path.read_bytes())),
    "pandas.DataFrame(columns)": lambda _: pd.DataFrame(columns()),
    "pandas.DataFrame(frame.to_dict())": lambda _: pd.DataFrame(FRAME.to_dict()),
    "what the function returns": lambda _: generate(),
    "the rows of chunks": lambda path: (
        row for frame in pd.read_csv(path, chunksize=2) for row in frame.to_dict("records")
    ),
    "the rows of slices": lambda _: (row for frame in pl.DataFrame(ROWS).iter_slices(2) for row in frame.to_dicts()),
    "the rows of batches": lambda _: (
        row for frame in pa.Table.from_pylist(ROWS).to_batches(2) for row in frame.to_pylist()
    ),
    "row.to_dict()": lambda _: (row.to_dict() for _, row in FRAME.iterrows()),
    "names for an array": lambda _: (
        dict(zip(("id", "name"), row, strict=True)) for row in np.array([[1, "a"], [2, "b"], [3, "c"]], dtype=object)
    ),
}


@pytest.mark.parametrize("advice", ADVISED)
def test_the_advice_works(client: Any, box: Sandbox, dataset: Dataset, path: Path, advice: str) -> None:
    report: IngestReport = client.datasets.ingest(dataset, ADVISED[advice](path))
    assert (report.ok, report.appended) == (True, 3)
    assert box.rows(dataset) == ROWS


@pytest.mark.parametrize(
    ("records", "remedy"),
    [
        (lambda path: pd.read_csv(path, chunksize=2), 'frame.to_dict("records")'),
        (lambda _: pl.DataFrame(ROWS).iter_slices(2), "frame.to_dicts()"),
        (lambda _: pa.Table.from_pylist(ROWS).to_batches(2), "frame.to_pylist()"),
        (lambda _: (row for _, row in FRAME.iterrows()), "row.to_dict()"),
        (lambda _: np.array([[1, 2]]), "dict(zip(names, row))"),
        (lambda path: csv.reader(path.read_text().splitlines()), "dict(zip(names, row))"),
    ],
)
def test_items_that_are_not_rows_are_invalid_and_the_reason_says_what_to_pass(
    client: Any, box: Sandbox, dataset: Dataset, path: Path, records: Callable[[Path], Any], remedy: str
) -> None:
    report = client.datasets.ingest(dataset, records(path), raise_on_failure=False)
    assert (report.ok, report.invalid) == (False, report.rows)
    assert remedy in str(report)
    assert box.rows(dataset) == []


class Derived(pd.DataFrame):  # type: ignore[misc]
    """Like geopandas.GeoDataFrame."""


def test_a_class_that_derives_from_a_frame_is_a_frame(client: Any, box: Sandbox, dataset: Dataset) -> None:
    assert client.datasets.ingest(dataset, Derived(ROWS)).rows == 3
    assert box.rows(dataset) == ROWS


def test_any_iterable_of_rows_is_fine(client: Any, dataset: Dataset) -> None:
    assert client.datasets.ingest(dataset, itertools.chain(ROWS)).ok
    assert client.datasets.ingest(dataset, pd.Series(ROWS)).ok


@pytest.mark.parametrize(
    "number",
    [10**400, -(10**400), 10**5000, Decimal("1E+400"), Decimal("-1E+999999")],
    ids=["large", "negative", "not even text", "decimal", "negative decimal"],
)
def test_a_number_that_no_parser_reads_does_not_take_its_batch_with_it(
    client: Any, box: Sandbox, dataset: Dataset, number: Any
) -> None:
    """The service would refuse the whole body as invalid JSON, so the row is found before."""
    rows = [{"id": n, "amount": number if n == 5 else n} for n in range(100)]
    report = client.datasets.ingest(dataset, rows, raise_on_failure=False)
    assert (report.appended, report.invalid) == (99, 1)
    assert "'amount' is larger than 1.8e308" in str(report)
    assert client.datasets.ingest(dataset, [{"id": 5, "amount": 10**300}]).ok


@pytest.mark.parametrize("kind", WRONG)
def test_one_request_takes_what_a_run_takes(client: Any, box: Sandbox, dataset: Dataset, path: Path, kind: str) -> None:
    make, remedy = WRONG[kind]
    with pytest.raises(TypeError, match="records must be rows") as caught:
        client.datasets.create_ingestion(dataset, make(path))
    assert remedy in str(caught.value)
    client.datasets.create_ingestion(dataset, FRAME)
    assert box.rows(dataset) == ROWS
