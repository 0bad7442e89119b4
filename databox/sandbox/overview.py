"""The parts of the world that the page and the administration show."""

import json
import sqlite3
from typing import Any

from databox.sandbox.intake import columns_of

__all__ = ["ingestions_of", "overview", "rows_of"]

INGESTIONS = 50
_ROWS = "select record from rows where dataset_id = :id order by number limit :n offset :at"
_SAMPLE = """
    select record from rows join (
        select number as sampled, row_number() over (order by number) - 1 as place from rows where dataset_id = :id)
    on number = sampled where place >= :at and (place - :at) % :every = 0 order by number limit :n"""


def overview(db: sqlite3.Connection) -> dict[str, Any]:
    """Return all data sources with their datasets, the newest dataset that has rows, and the latest ingestions."""
    sources = [
        {"id": source["id"], "title": source["title"], "datasets": _datasets(db, source["id"])}
        for source in db.execute("select * from data_sources order by id").fetchall()
    ]
    query = "select * from ingestions order by number desc limit ?"
    latest = [_ingestion(row) for row in db.execute(query, (INGESTIONS,))]
    newest = db.execute("select id from datasets order by row_count > 0 desc, rowid desc limit 1").fetchone()
    return {"dataSources": sources, "newest": newest["id"] if newest else None, "ingestions": latest}


def rows_of(db: sqlite3.Connection, dataset_id: str, offset: int, limit: int, every: int = 1) -> dict[str, Any] | None:
    """Return some of a dataset's rows, every `every`-th of them, or None if there is no such dataset."""
    dataset = db.execute("select * from datasets where id = ?", (dataset_id,)).fetchone()
    if dataset is None:
        return None
    found = db.execute(_ROWS if every == 1 else _SAMPLE, {"id": dataset_id, "at": offset, "n": limit, "every": every})
    return {
        "dataset": _dataset(db, dataset),
        "offset": offset,
        "rows": [json.loads(row["record"]) for row in found],
    }


def ingestions_of(db: sqlite3.Connection, dataset_id: str) -> dict[str, Any] | None:
    """Return a dataset's latest ingestions, or None if there is no such dataset."""
    if db.execute("select 1 from datasets where id = ?", (dataset_id,)).fetchone() is None:
        return None
    query = "select * from ingestions where dataset_id = ? order by number desc limit ?"
    return {"ingestions": [_ingestion(row) for row in db.execute(query, (dataset_id, INGESTIONS))]}


def _datasets(db: sqlite3.Connection, source_id: int) -> list[dict[str, Any]]:
    found = db.execute("select * from datasets where data_source_id = ? order by rowid", (source_id,)).fetchall()
    return [_dataset(db, row) for row in found]


def _dataset(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "title": row["title"],
        "primaryKeys": json.loads(row["primary_keys"]),
        "rowCount": row["row_count"],
        "columns": columns_of(db, row["id"]),
    }


def _ingestion(row: sqlite3.Row) -> dict[str, Any]:
    outcome: dict[str, Any] = json.loads(row["answer"]) if row["answer"] else {}
    counts: dict[str, Any] = outcome.get("metrics", {}).get("ingestionMetrics") or {}
    return {
        "ingestionId": row["id"],
        "datasetId": row["dataset_id"],
        "timestamp": row["timestamp"],
        "status": "processing" if row["answer"] is None else "success",
        "received": counts.get("receivedRecordsCount") if row["answer"] else len(json.loads(row["records"])),
        "appended": counts.get("appendedRecordsCount"),
        "overwritten": counts.get("overwrittenRecordsCount"),
        "rejected": counts.get("rejectedRecordsCount"),
        "errors": outcome.get("errors", [])[:5],
    }
