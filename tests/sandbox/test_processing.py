"""When an accepted ingestion takes effect: immediately, later, when polled, on demand; and the clock."""

import json
import math
import time
from typing import Any

import pytest

from databox import Databox
from databox.sandbox import Sandbox
from tests.sandbox.http import ask, dataset_in, get


def ingest(box: Sandbox, dataset: str, *records: dict[str, Any]) -> str:
    made: str = ask(box, "POST", f"/v1/datasets/{dataset}/data", json={"records": list(records)}).json()["ingestionId"]
    return made


def status(box: Sandbox, dataset: str, ingestion: str) -> str:
    found: str = get(box, f"/v1/datasets/{dataset}/ingestions/{ingestion}").json()["status"]
    return found


def test_by_being_asked_about() -> None:
    with Sandbox(processing_polls=2) as box:
        dataset = dataset_in(box, "id")
        first, second = ingest(box, dataset, {"id": 1, "v": 1}), ingest(box, dataset, {"id": 1, "v": 2})
        assert box.rows(dataset) == []
        assert [status(box, dataset, second) for _ in range(3)] == ["processing", "processing", "success"]
        assert status(box, dataset, first) == "success"  # rows of a key keep their order
        assert box.rows(dataset) == [{"id": 1, "v": 2}]
        third = ingest(box, dataset, {"id": 1, "v": 3})
        for _ in range(2):
            get(box, f"/v1/datasets/{dataset}/ingestions")
        assert status(box, dataset, third) == "success"


def test_an_ingest_waits_for_it() -> None:
    with Sandbox(processing_polls=1) as box, Databox(box.api_key, box.url) as client:
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
        assert client.datasets.ingest(dataset, [{"id": n} for n in range(3)], batch_size=1).appended == 3


def test_by_hand() -> None:
    with Sandbox(processing_delay=math.inf) as box:
        dataset = dataset_in(box)
        made = [ingest(box, dataset, {"id": number}) for number in range(2)]
        assert [status(box, dataset, each) for each in made] == ["processing"] * 2
        assert box.process() == 2
        assert [status(box, dataset, each) for each in made] == ["success"] * 2
        assert box.process() == 0
        assert box.rows(dataset) == [{"id": 0}, {"id": 1}]


def test_the_clock_goes_forward() -> None:
    with Sandbox(processing_delay=3600) as box:
        dataset = dataset_in(box)
        made = ingest(box, dataset, {"id": 1})
        before = box.advance(3599)
        assert status(box, dataset, made) == "processing"
        assert (box.advance(2) - before).total_seconds() == pytest.approx(2, abs=1)
        assert status(box, dataset, made) == "success"
        for wrong in (-1, math.nan, math.inf):
            with pytest.raises(ValueError, match="clock can be advanced"):
                box.advance(wrong)


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("retry_after", [True, False])
def test_the_documented_limits(retry_after: bool) -> None:
    with Sandbox(rate_limit=(5, 8), retry_after=retry_after) as box:
        statuses = [get(box).status_code for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        box.advance(1)
        assert [get(box).status_code for _ in range(4)] == [200] * 3 + [429]
        box.advance(1)
        answer = get(box)  # the hour is used up
        assert answer.status_code == 429
        assert ("retry-after" in answer.headers) == retry_after
        assert not retry_after or int(answer.headers["retry-after"]) > 3000
        box.advance(3600)
        assert get(box).status_code == 200
        [get(box) for _ in range(5)]
        box.reset()
        assert get(box).status_code == 200


# State


def filled(box: Sandbox) -> tuple[str, str]:
    """Fill a sandbox with some of everything; return a dataset and an ingestion that waits."""
    plain, keyed = dataset_in(box), dataset_in(box, "id", "day")
    for number in range(3):
        ingest(box, plain, {"n": number, "text": "ü \u2028", "none": None})
        ingest(box, keyed, {"id": 1, "day": "2025-10-01", "v": number}, {"id": 2})
    box.process()
    return keyed, ingest(box, keyed, {"id": 3, "day": "2025-10-02", "v": 1e300})


def test_what_is_exported_can_be_imported() -> None:
    with Sandbox(processing_delay=math.inf) as one, Sandbox(processing_delay=math.inf, api_key=one.api_key) as other:
        dataset, waiting = filled(one)
        dataset_in(other)
        document = json.loads(json.dumps(one.export_state()))
        other.import_state(document)
        assert other.export_state() == document
        for box in (one, other):
            assert status(box, dataset, waiting) == "processing"
            assert box.process() == 1
            ingest(box, dataset, {"id": 1, "day": "2025-10-01", "v": 9})
            box.process()
        assert other.rows(dataset) == one.rows(dataset)
        assert one.rows(dataset)[0]["v"] == 9  # replaced, by its key


def test_little_is_enough_to_import() -> None:
    with Sandbox() as box, Databox(box.api_key, box.url) as client:
        box.import_state({"dataSources": [{"title": "S", "datasets": [{"title": "D", "rows": [{"a": 1}]}]}]})
        (source,) = client.accounts.list_data_sources(client.accounts.list().items[0].id)
        (dataset,) = client.data_sources.list_datasets(source)
        assert box.rows(dataset) == [{"a": 1}]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"format": "other"}, "imports documents in the format"),
        ({"dataSources": 5}, "dataSources must be of type list"),
        ({"dataSources": [5]}, r"dataSources\[0\] of the document must be an object"),
        ({"dataSources": [{}]}, "title is missing"),
        ({"dataSources": [{"title": "S", "accountId": 5}]}, "there is no account 5"),
        ({"dataSources": [{"title": "S", "timezone": "Mars"}]}, "is not a time zone"),
        ({"dataSources": [{"title": "S", "id": 1}, {"title": "T", "id": 1}]}, "have the same id"),
        ({"dataSources": [{"title": "S", "datasets": [{"title": "D", "rows": [{"a": [1]}]}]}]}, "nested value"),
        ({"dataSources": [{"title": "S", "datasets": [{"title": "D", "primaryKeys": [1]}]}]}, "must be column names"),
    ],
)
def test_what_cannot_be_imported_changes_nothing(box: Sandbox, document: dict[str, Any], says: str) -> None:
    dataset_in(box)
    before = box.export_state()
    with pytest.raises(ValueError, match=says):
        box.import_state(document)
    assert box.export_state() == before


# Where it listens


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", ""])
def test_only_this_machine_reaches_it(host: str) -> None:
    with pytest.raises(ValueError, match="listens on loopback addresses"):
        Sandbox(host=host)


def test_unless_it_is_told_otherwise() -> None:
    with Sandbox(host="0.0.0.0", allow_remote=True) as box:
        time.sleep(0)
        assert box.url.startswith("http://0.0.0.0:")
