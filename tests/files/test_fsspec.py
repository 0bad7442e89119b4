"""Files in object stores, opened with fsspec: here in its local and its memory file systems."""

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from databox import IngestError, InvalidRecordError, read_records
from databox.sandbox import Fault, Sandbox

ROWS: list[dict[str, Any]] = [{"order": n, "amount": n * 1.5} for n in range(1, 451)]
CSV = "order,amount\n" + "".join(f"{row['order']},{row['amount']}\n" for row in ROWS)


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), buffer)
    return buffer.getvalue()


def excel() -> bytes:
    workbook, buffer = Workbook(), io.BytesIO()
    sheet = workbook.active
    assert sheet is not None
    for row in (["order", "amount"], *([row["order"], row["amount"]] for row in ROWS)):
        sheet.append(row)
    workbook.save(buffer)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[], bytes]] = {
    "orders.csv": CSV.encode,
    "orders.tsv": lambda: CSV.replace(",", "\t").encode(),
    "orders.csv.gz": lambda: gzip.compress(CSV.encode()),
    "orders.jsonl": lambda: "".join(f'{{"order":{r["order"]},"amount":{r["amount"]}}}\n' for r in ROWS).encode(),
    "orders.parquet": parquet,
    "orders.xlsx": excel,
}


@pytest.fixture(params=["file", "memory"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where files may be put."""
    if request.param == "file":
        yield f"file://{tmp_path}"
        return
    yield "memory://bucket"
    fsspec.filesystem("memory").store.clear()


def put(bucket: str, name: str, content: bytes) -> str:
    url = f"{bucket}/{name}"
    with fsspec.open(url, "wb") as file:
        file.write(content)
    return url


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_from_a_bucket(name: str, bucket: str) -> None:
    url = put(bucket, name, FORMATS[name]())
    with fsspec.open(url, "rb") as file, read_records(file) as records:
        assert list(records) == ROWS


@pytest.mark.parametrize("options", [{"mode": "rt"}, {"mode": "rb", "compression": "gzip"}], ids=["text", "unpacked"])
def test_a_file_may_be_decoded_or_unpacked_by_fsspec(options: dict[str, Any], bucket: str) -> None:
    packed = "compression" in options
    url = put(bucket, "orders.csv", gzip.compress(CSV.encode()) if packed else CSV.encode())
    with fsspec.open(url, **options) as file:
        assert list(read_records(file)) == ROWS


def test_an_error_names_the_file_in_the_bucket(bucket: str) -> None:
    url = put(bucket, "orders.csv", (CSV + "x,1\n").encode())
    with fsspec.open(url, "rb") as file, pytest.raises(InvalidRecordError, match=r"/orders\.csv"):
        list(read_records(file, columns={"order": "number"}))


def test_what_was_not_opened_is_refused(bucket: str) -> None:
    url = put(bucket, "orders.csv", CSV.encode())
    with pytest.raises(TypeError, match="a file open for reading, not OpenFile"):
        read_records(fsspec.open(url, "rb"))


def test_a_run_from_a_bucket_goes_on_where_it_stopped(client: Any, box: Sandbox, bucket: str, tmp_path: Path) -> None:
    source = client.data_sources.create("Shop")
    dataset = client.datasets.create("Orders", data_source=source, primary_keys=["order"])
    url = put(bucket, "orders.csv", CSV.encode())
    box.inject(Fault("create_ingestion", status=404, after=2))

    def ingest() -> Any:
        with fsspec.open(url, "rb") as file:
            return client.datasets.ingest(dataset, read_records(file), journal=tmp_path / "journal", concurrency=1)

    with pytest.raises(IngestError):
        ingest()
    assert len(box.rows(dataset)) == 200
    box.clear_faults()
    report = ingest()
    assert report.rows == report.accepted == report.appended == 450
    assert sorted(box.rows(dataset), key=lambda row: row["order"]) == ROWS
