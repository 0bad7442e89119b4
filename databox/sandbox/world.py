"""The sandbox's data sources, datasets, rows and ingestions, in SQLite."""

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from databox.sandbox.catalogue import ACCOUNTS
from databox.sandbox.database import emptied, opened
from databox.sandbox.intake import size_of, take_in
from databox.sandbox.refusal import Refusal

__all__ = ["World"]

T = TypeVar("T")

_LAST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


class World:
    """All data of a sandbox. Safe to use from any thread; each method is one transaction.

    Args:
        state: a file that stores it; in memory if omitted.
        processing_delay: seconds until an accepted ingestion takes effect.
        processing_polls: how often it must be requested first.

    Raises:
        ValueError: the file cannot be used, or is something else.
    """

    def __init__(self, state: str | Path | None, processing_delay: float, processing_polls: int = 0) -> None:
        self._lock = threading.Lock()
        self._delay = processing_delay
        self._polls = processing_polls
        self._ahead = 0.0
        self._db = opened(state)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def reset(self) -> None:
        """Delete everything except the accounts."""
        with self._lock, self._db:
            emptied(self._db)

    # Data sources

    def data_sources(self, account_id: int) -> list[dict[str, Any]]:
        """Return an account's data sources, oldest first."""
        _known_account(account_id)
        with self._lock:
            found = self._db.execute("select * from data_sources where account_id = ? order by id", (account_id,))
            return [_data_source(row) for row in found]

    def create_data_source(self, title: str, account_id: int, timezone: str) -> dict[str, Any]:
        """Create a data source."""
        _known_account(account_id)
        with self._lock, self._db:
            new = (account_id, title, self._stamp(), timezone)
            made = self._db.execute("insert into data_sources values (null, ?, ?, ?, ?)", new).lastrowid or 0
            return _data_source(self._data_source(made))

    def delete_data_source(self, data_source_id: int) -> None:
        """Delete a data source with everything in it."""
        with self._lock, self._db:
            self._data_source(data_source_id)
            self._db.execute("delete from data_sources where id = ?", (data_source_id,))

    def datasets(self, data_source_id: int) -> list[dict[str, Any]]:
        """Return a data source's datasets, oldest first."""
        with self._lock:
            self._data_source(data_source_id)
            query = "select * from datasets where data_source_id = ? order by rowid"
            return [_dataset(row) for row in self._db.execute(query, (data_source_id,))]

    # Datasets

    def create_dataset(self, title: str, data_source_id: int, primary_keys: list[str]) -> dict[str, Any]:
        """Create a dataset."""
        with self._lock, self._db:
            self._data_source(data_source_id, field="dataSourceId")
            new = (str(uuid.uuid4()), data_source_id, title, self._stamp(), json.dumps(primary_keys))
            self._db.execute(
                "insert into datasets (id, data_source_id, title, created, primary_keys) values (?, ?, ?, ?, ?)",
                new,
            )
            return _dataset(self._dataset(new[0]))

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset with its rows and ingestions."""
        with self._lock, self._db:
            self._dataset(dataset_id)
            self._db.execute("delete from datasets where id = ?", (dataset_id,))

    def purge_dataset(self, dataset_id: str) -> None:
        """Remove a dataset's rows."""
        with self._lock, self._db:
            self._dataset(dataset_id)
            self._process()
            self._db.execute("delete from rows where dataset_id = ?", (dataset_id,))
            self._db.execute("delete from columns where dataset_id = ?", (dataset_id,))
            self._db.execute("update datasets set row_count = 0, size = 0 where id = ?", (dataset_id,))

    def rows(self, dataset_id: str) -> list[dict[str, Any]]:
        """Return a dataset's rows in the order in which they were stored."""
        with self._lock, self._db:
            self._dataset(dataset_id)
            self._process()
            found = self._db.execute("select record from rows where dataset_id = ? order by number", (dataset_id,))
            return [json.loads(row["record"]) for row in found]

    # Ingestions

    def create_ingestion(self, dataset_id: str, records: list[dict[str, Any]]) -> str:
        """Accept records; return the ingestion's id."""
        with self._lock, self._db:
            self._dataset(dataset_id)
            ingestion_id = str(uuid.uuid4())
            self._db.execute(
                "insert into ingestions (id, dataset_id, timestamp, ready_at, records) values (?, ?, ?, ?, ?)",
                (ingestion_id, dataset_id, self._stamp(), time.time() + self._ahead + self._delay, json.dumps(records)),
            )
            self._process()
            return ingestion_id

    def ingestions(self, dataset_id: str, page: int, page_size: int) -> tuple[int, list[dict[str, Any]]]:
        """Return how many ingestions a dataset has, and those of one page, oldest first."""
        with self._lock, self._db:
            self._dataset(dataset_id)
            self._process()
            where = "from ingestions where dataset_id = ?"
            total = self._db.execute(f"select count(*) {where}", (dataset_id,)).fetchone()[0]
            window = (dataset_id, page_size, min((page - 1) * page_size, 2**62))
            found = self._db.execute(f"select * {where} order by number limit ? offset ?", window).fetchall()
            self._asked_about(found)
            return total, [_ingestion_summary(row) for row in found]

    def ingestion(self, dataset_id: str, ingestion_id: str) -> dict[str, Any]:
        """Return the state of an ingestion."""
        with self._lock, self._db:
            self._dataset(dataset_id)
            self._process()
            query = "select * from ingestions where dataset_id = ? and id = ?"
            row = self._db.execute(query, (dataset_id, ingestion_id)).fetchone()
            if row is None:
                raise Refusal(404, "The ingestion does not exist.", field="ingestionId")
            self._asked_about([row])
            if not row["answer"]:
                return _ingestion_summary(row) | {"metrics": None}
            done: dict[str, Any] = json.loads(row["answer"])
            done["metrics"]["datasetMetrics"] = size_of(self._db, self._dataset(dataset_id))
            return _ingestion_summary(row) | done

    def process(self) -> int:
        """Process all pending ingestions; return how many there were."""
        with self._lock, self._db:
            return self._take_in("true", ())

    def with_database(self, use: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of a function of the database, in one transaction."""
        with self._lock, self._db:
            self._process()
            return use(self._db)

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        with self._lock:
            if time.time() + self._ahead + seconds > _LAST:
                raise ValueError("The clock does not go beyond the year 9999. Start a new sandbox.")
            self._ahead += seconds

    @property
    def now(self) -> datetime:
        """The time of the clock."""
        return datetime.fromtimestamp(time.time() + self._ahead, UTC)

    def _process(self) -> None:
        """Process the ingestions that are due and have been requested often enough.

        A request also counts for earlier ingestions of the dataset: rows with the same key must keep their order.
        """
        due = """
            ready_at <= ? and number <= (select max(number) from ingestions as due
            where due.dataset_id = ingestions.dataset_id and due.records is not null
            and due.ready_at <= ? and due.polls >= ?)"""
        now = time.time() + self._ahead
        self._take_in(due, (now, now, self._polls))

    def _take_in(self, which: str, values: tuple[object, ...]) -> int:
        query = f"select * from ingestions where records is not null and ({which}) order by number"
        found = self._db.execute(query, values).fetchall()
        for row in found:
            answer = take_in(self._db, self._dataset(row["dataset_id"]), json.loads(row["records"]))
            self._db.execute(
                "update ingestions set records = null, answer = ? where number = ?",
                (json.dumps(answer), row["number"]),
            )
        return len(found)

    def _stamp(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _asked_about(self, rows: Iterable[sqlite3.Row]) -> None:
        if self._polls:
            waiting = [(row["number"],) for row in rows if row["records"] is not None]
            self._db.executemany("update ingestions set polls = polls + 1 where number = ?", waiting)

    def _data_source(self, data_source_id: int, *, field: str | None = None) -> sqlite3.Row:
        row = self._db.execute("select * from data_sources where id = ?", (data_source_id,)).fetchone()
        if row is None:
            raise Refusal(404, "The data source does not exist.", field=field)
        return row  # type: ignore[no-any-return]

    def _dataset(self, dataset_id: str) -> sqlite3.Row:
        row = self._db.execute("select * from datasets where id = ?", (dataset_id,)).fetchone()
        if row is None:
            raise Refusal(404, "The dataset does not exist.", field="datasetId")
        return row  # type: ignore[no-any-return]


def _known_account(account_id: int) -> None:
    if account_id not in {account["id"] for account in ACCOUNTS}:
        raise Refusal(404, "The account does not exist.", field="accountId")


def _data_source(row: sqlite3.Row) -> dict[str, Any]:
    plain = {name: row[name] for name in ("id", "title", "created", "timezone")}
    return plain | {"key": "ingestion", "ingestionSupported": True}


def _dataset(row: sqlite3.Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "title", "created")}


def _ingestion_summary(row: sqlite3.Row) -> dict[str, Any]:
    status = "success" if row["records"] is None else "processing"
    return {"ingestionId": row["id"], "timestamp": row["timestamp"], "status": status}
