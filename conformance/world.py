"""A dataset, as far as cases need it: rows are stored immediately, and each ingestion counts its own rows."""

import json
import threading
from typing import Any

__all__ = ["World"]

Json = dict[str, Any]


class World:
    """A dataset that accepts ingestions and reports their outcomes.

    Args:
        primary_keys: the columns that identify a row; a later row with the same values replaces it.
        stored: the rows that already exist.
    """

    def __init__(self, primary_keys: list[str], stored: list[Json] | None = None) -> None:
        self._lock = threading.Lock()
        self._keys = primary_keys
        self.stored: list[Json] = list(stored or [])
        """The stored rows, in the order of their first arrival."""
        self._ingestions: dict[str, tuple[int, int]] = {}

    def answer(self, method: str, target: str, body: bytes) -> Json:
        """Let a request take effect, and return its answer."""
        path = target.partition("?")[0]
        with self._lock:
            if method == "POST" and path.endswith("/data"):
                return self._ingested(json.loads(body)["records"])
            if path.endswith("/ingestions"):
                return self._said(ingestions=[{"ingestionId": each, "status": "success"} for each in self._ingestions])
            number = path.rpartition("/")[2]
            if number in self._ingestions:
                return self._counted(number)
        return {"status": 404, "body": {"status": "error", "errors": [{"code": "not_found", "message": "Unknown."}]}}

    def _ingested(self, records: list[Json]) -> Json:
        appended = 0
        for row in records:
            place = next(
                (n for n, old in enumerate(self.stored) if self._keys and self._key(old) == self._key(row)), None
            )
            if place is None:
                self.stored.append(row)
                appended += 1
            else:
                self.stored[place] = row
        number = f"w-{len(self._ingestions) + 1}"
        self._ingestions[number] = (appended, len(records) - appended)
        return self._said(ingestionId=number, message="Data ingestion request accepted")

    def _counted(self, number: str) -> Json:
        appended, overwritten = self._ingestions[number]
        counts = {
            "receivedRecordsCount": appended + overwritten,
            "appendedRecordsCount": appended,
            "overwrittenRecordsCount": overwritten,
            "rejectedRecordsCount": 0,
        }
        total = {"totalDatasetRecordsCount": len(self.stored)}
        return self._said(ingestionId=number, metrics={"ingestionMetrics": counts, "datasetMetrics": total})

    def _key(self, row: Json) -> list[Any]:
        return [row.get(name) for name in self._keys]

    @staticmethod
    def _said(**fields: Any) -> Json:
        return {"status": 200, "body": {"requestId": "r", "status": "success", **fields}}
