"""The sandbox over HTTP against a model of it, in any order of operations."""

from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from databox.sandbox import Sandbox
from tests.sandbox.http import client
from tests.sandbox.model import Columns

scalars = st.one_of(st.integers(0, 3), st.sampled_from(["a", 1.0, 2.5, True, None, 10**25]))
cells = st.one_of(scalars, st.sampled_from([[], {"deep": 1}]))
records = st.lists(st.dictionaries(st.sampled_from(["id", "day", "v"]), cells), min_size=1, max_size=6)


class Model(RuleBasedStateMachine):
    """Sources hold datasets, datasets hold rows; counts say what became of each record."""

    sources: Bundle[int] = Bundle("sources")
    datasets: Bundle[str] = Bundle("datasets")

    box: ClassVar[Sandbox]

    def __init__(self) -> None:
        super().__init__()
        self.box.reset()
        self.http = client(self.box)
        self.keys: dict[str, list[str]] = {}
        self.rows: dict[str, dict[Any, dict[str, Any]]] = {}
        self.ingestions: dict[str, list[str]] = {}
        self.columns: dict[str, Columns] = {}
        self.within: dict[int, list[str]] = {}

    def teardown(self) -> None:
        self.http.close()

    def said(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @rule(target=sources)
    def create_source(self) -> int:
        made: int = self.said("POST", "/v1/data-sources", {"title": "S"})["id"]
        assert made not in self.within
        self.within[made] = []
        return made

    @rule(target=datasets, source=sources, keys=st.sampled_from([[], ["id"], ["id", "day"]]))
    def create_dataset(self, source: int, keys: list[str]) -> Any:
        body = {"title": "D", "dataSourceId": source, "primaryKeys": keys or None}
        if source not in self.within:
            assert self.http.post("/v1/datasets", json=body).status_code == 404
            return multiple()
        made: str = self.said("POST", "/v1/datasets", body)["id"]
        self.keys[made], self.rows[made], self.ingestions[made] = keys, {}, []
        self.columns[made] = Columns()
        self.within[source].append(made)
        return made

    @rule(dataset=datasets, batch=records)
    def ingest(self, dataset: str, batch: list[dict[str, Any]]) -> None:
        path = f"/v1/datasets/{dataset}"
        if dataset not in self.rows:
            assert self.http.post(f"{path}/data", json={"records": batch}).status_code == 404
            return
        made = self.said("POST", f"{path}/data", {"records": batch})["ingestionId"]
        self.ingestions[dataset].append(made)
        counts, refused = self.expect(dataset, batch)
        found = self.said("GET", f"{path}/ingestions/{made}")
        assert found["metrics"]["ingestionMetrics"] == counts
        assert [error["field"] for error in found.get("errors", [])] == [f"records[{place}]" for place in refused]
        assert found["metrics"]["datasetMetrics"]["totalDatasetRecordsCount"] == len(self.rows[dataset])

    def expect(self, dataset: str, batch: list[dict[str, Any]]) -> tuple[dict[str, int], list[int]]:
        rows, keys = self.rows[dataset], self.keys[dataset]
        appended = overwritten = 0
        refused = []
        for place, record in enumerate(batch):
            nested = any(isinstance(value, list | dict) for value in record.values())
            keyless = any(record.get(key) is None for key in keys)
            if nested or not record or keyless or not self.columns[dataset].take(record):
                refused.append(place)
                continue
            # True equals 1 in Python, and not in JSON.
            key = tuple((isinstance(record[key], bool), record[key]) for key in keys) or object()
            overwritten, appended = overwritten + (key in rows), appended + (key not in rows)
            rows[key] = record
        counts = {"Received": len(batch), "Appended": appended, "Overwritten": overwritten, "Rejected": len(refused)}
        return {f"{name.lower()}RecordsCount": count for name, count in counts.items()}, refused

    @rule(dataset=datasets)
    def purge(self, dataset: str) -> None:
        if dataset in self.rows:
            self.said("POST", f"/v1/datasets/{dataset}/purge")
            self.rows[dataset].clear()
            self.columns[dataset] = Columns()

    @rule(dataset=consumes(datasets))
    def delete_dataset(self, dataset: str) -> None:
        if dataset in self.rows:
            self.said("DELETE", f"/v1/datasets/{dataset}")
            self.forget(dataset)

    @rule(source=consumes(sources))
    def delete_source(self, source: int) -> None:
        self.said("DELETE", f"/v1/data-sources/{source}")
        for dataset in self.within.pop(source):
            if dataset in self.rows:
                self.forget(dataset)

    def forget(self, dataset: str) -> None:
        del self.rows[dataset], self.keys[dataset], self.ingestions[dataset]
        assert self.http.get(f"/v1/datasets/{dataset}/ingestions").status_code == 404

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        for dataset, rows in self.rows.items():
            found = self.box.rows(dataset)
            assert found == list(rows.values())
            # An int that became a float, or a bool an int, is another value in JSON.
            assert [[type(value) for value in row.values()] for row in found] == [
                [type(value) for value in row.values()] for row in rows.values()
            ]
            listed = self.said("GET", f"/v1/datasets/{dataset}/ingestions")["ingestions"]
            assert [each["ingestionId"] for each in listed] == self.ingestions[dataset]
        for source, within in self.within.items():
            datasets = self.said("GET", f"/v1/data-sources/{source}/datasets")["datasets"]
            assert [each["id"] for each in datasets] == [each for each in within if each in self.rows]


@pytest.mark.slow
def test_any_order_of_operations(box: Sandbox) -> None:
    Model.box = box
    run_state_machine_as_test(Model, settings=settings(max_examples=20, stateful_step_count=15))
