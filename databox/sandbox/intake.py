"""Processes accepted records: stores, replaces or rejects rows, and counts them."""

import json
import sqlite3
from typing import Any

from databox.sandbox import inference, rules

__all__ = ["columns_of", "size_of", "take_in"]


def take_in(db: sqlite3.Connection, dataset: sqlite3.Row, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Store records in a dataset; return the counts and errors of the ingestion."""
    dataset_id: str = dataset["id"]
    keys: list[str] = json.loads(dataset["primary_keys"])
    types = columns_of(db, dataset_id)
    known = dict(types)
    appended = overwritten = 0
    size: int = dataset["size"]
    errors: list[dict[str, Any]] = []
    for place, record in enumerate(records):
        problem = rules.problem_of(record, keys) or inference.misfit(record, types)
        if problem:
            field = f"records[{place}]"
            errors.append({"code": "schema_mismatch", "message": problem, "field": field, "type": "validation"})
            continue
        types |= dict.fromkeys(record.keys() - types.keys(), "") | inference.widened(record, types)
        text = json.dumps(record)
        size += len(text)
        key = rules.key_of(record, keys) if keys else None
        same_key = "select number, length(record) from rows where dataset_id = ? and key = ?"
        old = key and db.execute(same_key, (dataset_id, key)).fetchone()
        if old:
            db.execute("update rows set record = ? where number = ?", (text, old[0]))
            size -= old[1]
            overwritten += 1
        else:
            db.execute("insert into rows (dataset_id, key, record) values (?, ?, ?)", (dataset_id, key, text))
            appended += 1
    typed = ((dataset_id, name, type_) for name, type_ in types.items() if known.get(name) != type_)
    db.executemany("insert or replace into columns values (?, ?, ?)", typed)
    total = dataset["row_count"] + appended
    db.execute("update datasets set row_count = ?, size = ? where id = ?", (total, size, dataset_id))
    counts = {
        "receivedRecordsCount": len(records),
        "appendedRecordsCount": appended,
        "overwrittenRecordsCount": overwritten,
        "rejectedRecordsCount": len(errors),
    }
    return {"metrics": {"ingestionMetrics": counts}, **({"errors": errors} if errors else {})}


def size_of(db: sqlite3.Connection, dataset: sqlite3.Row) -> dict[str, Any]:
    """Return the current size of a dataset."""
    return {
        "columnsCount": len(columns_of(db, dataset["id"])),
        "datasetSizeMB": dataset["size"] / 1_000_000,
        "totalDatasetRecordsCount": dataset["row_count"],
    }


def columns_of(db: sqlite3.Connection, dataset_id: str) -> dict[str, str]:
    """Return the types of a dataset's columns by name; an empty type if all values are null so far."""
    found = db.execute("select name, type from columns where dataset_id = ?", (dataset_id,))
    return {row["name"]: row["type"] for row in found}
