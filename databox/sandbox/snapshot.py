"""Exports all data as a JSON document, and imports it."""

import json
import sqlite3
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from types import UnionType
from typing import Any, cast

from databox.display import visible
from databox.sandbox import inference, rules, strict
from databox.sandbox.catalogue import ACCOUNTS, OWN_ACCOUNT, is_time_zone
from databox.sandbox.database import emptied

__all__ = ["FORMAT", "exported", "imported"]

FORMAT = "databox-sandbox/1"
_COUNTS = tuple(f"{kind}RecordsCount" for kind in ("received", "appended", "overwritten", "rejected"))
_LARGEST_ID = 2**53


def exported(db: sqlite3.Connection) -> dict[str, Any]:
    """Return everything in a database except its numbering."""
    sources = [
        {
            "id": source["id"],
            "accountId": source["account_id"],
            "title": source["title"],
            "created": source["created"],
            "timezone": source["timezone"],
            "datasets": [_dataset(db, row) for row in _of(db, "datasets", "data_source_id", source["id"], "rowid")],
        }
        for source in db.execute("select * from data_sources order by id").fetchall()
    ]
    return {"format": FORMAT, "dataSources": sources}


def imported(db: sqlite3.Connection, document: Mapping[str, Any]) -> None:
    """Replace the contents of a database with those of a document. Generated values may be omitted.

    Raises:
        ValueError: the document cannot be imported; the caller rolls back the changes.
    """
    try:
        strict.check(document if isinstance(document, dict) else dict(document))
    except ValueError as error:
        raise ValueError(f"The document cannot be imported: {visible(str(error))}.") from None
    reader = _Reader(document, "the document")
    if reader.get("format", str, FORMAT) != FORMAT:
        raise ValueError(f"This sandbox imports documents in the format {FORMAT!r}, not {document['format']!r}.")
    emptied(db)
    try:
        for source in reader.each("dataSources"):
            _put_source(db, source)
    except sqlite3.IntegrityError as error:
        raise ValueError(f"Two things in the document have the same id: {error}.") from None


def _of(db: sqlite3.Connection, table: str, column: str, value: object, order: str) -> list[sqlite3.Row]:
    return db.execute(f"select * from {table} where {column} = ? order by {order}", (value,)).fetchall()


def _dataset(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    found = _of(db, "rows", "dataset_id", row["id"], "number")
    return {
        "id": row["id"],
        "title": row["title"],
        "created": row["created"],
        "primaryKeys": json.loads(row["primary_keys"]),
        "rows": [json.loads(each["record"]) for each in found],
        "ingestions": [_ingestion(each) for each in _of(db, "ingestions", "dataset_id", row["id"], "number")],
    }


def _ingestion(row: sqlite3.Row) -> dict[str, Any]:
    waiting = None if row["records"] is None else json.loads(row["records"])
    return {
        "ingestionId": row["id"],
        "timestamp": row["timestamp"],
        "readyAt": row["ready_at"] if waiting is not None and row["ready_at"] < 1e300 else None,
        "records": waiting,
        "outcome": json.loads(row["answer"]) if row["answer"] else None,
    }


def _kind(kind: type | UnionType) -> str:
    return str(kind) if isinstance(kind, UnionType) else kind.__name__


class _Reader:
    """A JSON object of the document, and its position."""

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, Mapping):
            raise ValueError(f"{place} must be an object.")
        self._value = cast("Mapping[str, Any]", value)
        self.place = place

    def get(self, name: str, kind: type | UnionType, default: Any) -> Any:
        """Return a member of a type, or the default if it is missing."""
        value = self._value.get(name)
        if value is None:
            return default
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{self.place}: {name} must be of type {_kind(kind)}, not {type(value).__name__}.")
        return value

    def need(self, name: str, kind: type) -> Any:
        """Return a required member."""
        value = self.get(name, kind, None)
        if value is None:
            raise ValueError(f"{self.place}: {name} is missing.")
        return value

    def part(self, name: str) -> "_Reader | None":
        """Return the object that a member is."""
        value = self.get(name, dict, None)
        return None if value is None else _Reader(value, f"{name} of {self.place}")

    def each(self, name: str) -> "list[_Reader]":
        """Return the objects in a list."""
        items: list[Any] = self.get(name, list, [])
        return [_Reader(item, f"{name}[{place}] of {self.place}") for place, item in enumerate(items)]

    def records(self, name: str) -> list[dict[str, Any]]:
        """Return rows."""
        return [dict(item._value) for item in self.each(name)]


def _put_source(db: sqlite3.Connection, source: _Reader) -> None:
    account = source.get("accountId", int, OWN_ACCOUNT)
    if account not in {known["id"] for known in ACCOUNTS}:
        raise ValueError(f"{source.place}: there is no account {account}.")
    zone = source.get("timezone", str, "UTC")
    if not is_time_zone(zone):
        raise ValueError(f"{source.place}: {zone!r} is not a time zone.")
    number = source.get("id", int, None)
    if number is not None and not 1 <= number <= _LARGEST_ID:
        raise ValueError(f"{source.place}: id must be from 1 to {_LARGEST_ID}.")
    new = (number, account, source.need("title", str), source.get("created", str, _now()), zone)
    made = db.execute("insert into data_sources values (?, ?, ?, ?, ?)", new).lastrowid
    for dataset in source.each("datasets"):
        _put_dataset(db, made or 0, dataset)


def _put_dataset(db: sqlite3.Connection, source_id: int, dataset: _Reader) -> None:
    keys: list[str] = dataset.get("primaryKeys", list, [])
    if not all(isinstance(name, str) and name for name in keys):
        raise ValueError(f"{dataset.place}: primaryKeys must be column names.")
    dataset_id = dataset.get("id", str, str(uuid.uuid4()))
    types: dict[str, str] = {}
    rows: list[tuple[str, str | None, str]] = []
    for place, record in enumerate(dataset.records("rows")):
        problem = rules.problem_of(record, keys) or inference.misfit(record, types)
        if problem:
            raise ValueError(f"rows[{place}] of {dataset.place}: {visible(problem)}")
        types |= dict.fromkeys(record.keys() - types.keys(), "") | inference.widened(record, types)
        rows.append((dataset_id, rules.key_of(record, keys) if keys else None, json.dumps(record)))
    size = sum(len(text) for _, _, text in rows)
    created = dataset.get("created", str, _now())
    new = (dataset_id, source_id, dataset.need("title", str), created, json.dumps(keys), len(rows), size)
    db.execute("insert into datasets values (?, ?, ?, ?, ?, ?, ?)", new)
    db.executemany("insert into rows (dataset_id, key, record) values (?, ?, ?)", rows)
    db.executemany("insert into columns values (?, ?, ?)", [(dataset_id, *item) for item in types.items()])
    for ingestion in dataset.each("ingestions"):
        _put_ingestion(db, dataset_id, ingestion)


def _put_ingestion(db: sqlite3.Connection, dataset_id: str, ingestion: _Reader) -> None:
    outcome = ingestion.part("outcome")
    waiting = None if outcome else json.dumps(ingestion.records("records"))
    new = (
        ingestion.get("ingestionId", str, str(uuid.uuid4())),
        dataset_id,
        ingestion.get("timestamp", str, _now()),
        float(ingestion.get("readyAt", int | float, 1e308 if waiting else 0.0)),
        waiting,
        json.dumps(_outcome(outcome)) if outcome else None,
    )
    query = "insert into ingestions (id, dataset_id, timestamp, ready_at, records, answer) values (?, ?, ?, ?, ?, ?)"
    db.execute(query, new)


def _outcome(outcome: _Reader) -> dict[str, Any]:
    metrics = outcome.part("metrics")
    counts = metrics and metrics.part("ingestionMetrics")
    found = {name: counts.get(name, int, 0) if counts else 0 for name in _COUNTS}
    errors = outcome.records("errors")
    return {"metrics": {"ingestionMetrics": found}, **({"errors": errors} if errors else {})}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
