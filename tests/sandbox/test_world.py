"""Counts are correct: the sandbox against a model of it."""

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from databox.sandbox.world import World
from tests.sandbox.model import Columns

values = st.one_of(st.integers(0, 4), st.sampled_from(["a", "b", None, 1.0, 2.5, True]))
records = st.lists(st.fixed_dictionaries({"id": values, "v": values}), min_size=1, max_size=6)


@settings(max_examples=60)
@given(st.lists(st.one_of(records, st.none()), max_size=8), st.sampled_from([[], ["id"], ["id", "v"]]))
def test_rows_and_counts_are_those_of_the_model(steps: list[Any], keys: list[str]) -> None:
    """None purges, a list is ingested."""
    world = World(None, 0.0)
    source = world.create_data_source("S", 123456, "UTC")["id"]
    dataset = world.create_dataset("D", source, keys)["id"]
    expected: dict[Any, dict[str, Any]] = {}
    columns = Columns()
    for number, step in enumerate(steps):
        if step is None:
            world.purge_dataset(dataset)
            expected.clear()
            columns = Columns()
            continue
        counts = {"appended": 0, "overwritten": 0, "rejected": 0}
        for place, record in enumerate(step):
            if any(record[key] is None for key in keys) or not columns.take(record):
                counts["rejected"] += 1
                continue
            # True equals 1 in Python, and not in JSON.
            key = tuple((type(record[k]) is bool, record[k]) for k in keys) if keys else (number, place)
            counts["overwritten" if key in expected else "appended"] += 1
            expected[key] = record
        answer = world.ingestion(dataset, world.create_ingestion(dataset, step))["metrics"]
        found = {name: answer["ingestionMetrics"][f"{name}RecordsCount"] for name in counts}
        assert found == counts
        assert answer["ingestionMetrics"]["receivedRecordsCount"] == len(step) == sum(counts.values())
        assert answer["datasetMetrics"]["totalDatasetRecordsCount"] == len(expected)
    assert world.rows(dataset) == list(expected.values())
    world.close()


def test_a_file_keeps_the_world(tmp_path: Path) -> None:
    state = tmp_path / "world.sqlite"
    world = World(state, 60.0)
    source = world.create_data_source("S", 123456, "UTC")
    dataset = world.create_dataset("D", source["id"], ["id"])["id"]
    ingestion = world.create_ingestion(dataset, [{"id": 1}])
    world.close()
    again = World(state, 0.0)
    assert again.data_sources(123456) == [source]
    assert again.ingestion(dataset, ingestion)["status"] == "processing"  # its time has not come
    again.create_ingestion(dataset, [{"id": 2}])
    assert again.rows(dataset) == [{"id": 2}]
    again.close()
