"""Ways to read a CSV file into typed rows, each of which returns the number of rows."""

import csv
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from databox import read_records

__all__ = ["by_hand", "duckdb_rows", "ours", "pandas_rows", "written"]


def written(path: Path, rows: int) -> None:
    """Write a file of eight columns: numbers, dates, a datetime and text."""
    with path.open("w", encoding="utf-8") as file:
        file.write("id,customer,amount,day,quantity,city,price,at\n")
        file.writelines(
            f"{n},Customer {n % 977},{n / 4},2025-12-{n % 28 + 1:02d},{n % 7},Köln,{n * 1.25:.2f},"
            f"2025-12-{n % 28 + 1:02d} 10:{n % 60:02d}:{n * 7 % 60:02d}\n"
            for n in range(rows)
        )


def ours(path: Path) -> int:
    """`read_records`, which detects the columns."""
    return _counted(read_records(path))


def by_hand(path: Path) -> int:
    """`csv.DictReader`, and a conversion written out for each column."""

    def rows() -> Iterator[dict[str, Any]]:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield {
                    "id": int(row["id"]) if row["id"] else None,
                    "customer": row["customer"] or None,
                    "amount": float(row["amount"]) if row["amount"] else None,
                    "day": date.fromisoformat(row["day"]) if row["day"] else None,
                    "quantity": int(row["quantity"]) if row["quantity"] else None,
                    "city": row["city"] or None,
                    "price": float(row["price"]) if row["price"] else None,
                    "at": datetime.fromisoformat(row["at"]) if row["at"] else None,
                }

    return _counted(rows())


def pandas_rows(path: Path) -> int:
    """pandas with declared date columns, to Python rows."""
    frame = pd.read_csv(path, parse_dates=["day", "at"])
    names = list(frame.columns)
    return _counted(dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None))


def duckdb_rows(path: Path) -> int:
    """DuckDB, which detects the columns, to Python rows."""
    cursor = duckdb.connect().execute("select * from read_csv(?)", [str(path)])
    names = [entry[0] for entry in cursor.description]

    def rows() -> Iterator[dict[str, Any]]:
        while found := cursor.fetchmany(1000):
            for row in found:
                yield dict(zip(names, row, strict=True))

    return _counted(rows())


def _counted(rows: Iterator[Any]) -> int:
    return sum(1 for _ in rows)
