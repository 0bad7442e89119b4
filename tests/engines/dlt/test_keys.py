"""The primary keys of a dataset are compared with those that it was made with, or taken on somebody's word."""

from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from databox import Databox, DataSource
from databox.integrations.dlt import databox_destination
from databox.sandbox import Fault, Sandbox
from tests.engines.dlt.loads import ROWS, refused, sent, stored, table


def pipeline_with(name: str = "test", **options: Any) -> dlt.Pipeline:
    return dlt.pipeline(name, destination=databox_destination(**options))


def test_a_dataset_that_was_made_without_keys_does_not_get_rows_with_keys(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    pipeline.run(table(key=None))
    before = len(sent(box))
    message = refused(lambda: pipeline.run([table(), table(name="other", key=None)]))
    assert "was made without primary keys, and the table comes with the primary keys id" in message
    assert "destination.databox.datasets.orders" in message
    assert "assume_keys" not in message
    assert len(sent(box)) == before
    assert "was made without" in refused(
        lambda: pipeline_with(assume_keys=True).run()
    )  # no word helps against what is known
    # What the message names: another dataset. The package waited for it.
    keyed = client.datasets.create("Keyed orders", data_source=source, primary_keys=["id"])
    pipeline_with(datasets={"orders": keyed.id}, assume_keys=True).run()
    assert stored(box, client, source) == ROWS
    assert stored(box, client, source, "Keyed orders") == ROWS
    assert stored(box, client, source, "other") == ROWS


@pytest.mark.parametrize("key", [["id", "day"], "day"])
def test_other_keys_than_before_are_refused(
    key: Any, box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    rows = [{**row, "day": "2026-01-31"} for row in ROWS]
    pipeline.run(table(rows))
    before = len(sent(box))
    pipeline.run(table(rows[:3]))
    message = refused(lambda: pipeline.run(table(rows, name="orders", key=key)))
    assert "was made with the primary keys id" in message
    assert len(sent(box)) == before + 1
    pipeline.abort_packages()
    pipeline.run(table(rows, name="orders_by_day", key=key))  # the other thing that the message names
    assert stored(box, client, source) == rows
    expected = 1 if key == "day" else 250
    assert len(stored(box, client, source, "orders_by_day")) == expected


def test_a_dataset_that_was_found_needs_a_word_once(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    client.datasets.create("orders", data_source=source, primary_keys=["id"])
    message = refused(lambda: pipeline_with().run(table()))
    assert "this pipeline did not make dataset" in message
    assert "If it was made with id, say so: assume_keys=True" in message
    assert sent(box) == []
    pipeline_with(assume_keys=True).run(table())
    pipeline_with().run(table())
    assert stored(box, client, source) == ROWS
    assert "this pipeline did not make" in refused(lambda: pipeline_with("another").run(table()))


def test_a_resend_that_rests_on_a_word_says_so(
    box: Sandbox, client: Databox, source: DataSource, configured: None, said: list[str]
) -> None:
    client.datasets.create("orders", data_source=source)  # so the word is wrong
    box.inject(Fault("create_ingestion", drop="after", times=1))
    pipeline_with(assume_keys=True).run(table())
    assert len(stored(box, client, source)) == 350
    words = "100 were sent again after a lost answer; they are stored once if the dataset's primary keys are"
    assert words in "".join(said)


def test_a_dataset_without_keys_that_was_found_needs_no_word(
    box: Sandbox, client: Databox, source: DataSource, configured: None, said: list[str]
) -> None:
    client.datasets.create("orders", data_source=source)
    pipeline_with().run(table(key=None))
    assert stored(box, client, source) == ROWS
    words = "without keys all rows are added to those that it has"
    assert words in "".join(said)
    said.clear()
    pipeline_with().run(table([{"id": 250, "amount": 1.0}], key=None))
    assert words not in "".join(said)


def test_rows_without_keys_that_replace_others_are_told(
    box: Sandbox, client: Databox, source: DataSource, configured: None, said: list[str]
) -> None:
    client.datasets.create("orders", data_source=source, primary_keys=["id"])
    for _ in range(2):
        pipeline_with().run(table(key=None))
    assert "250 rows replaced others" in "".join(said)


@pytest.mark.parametrize(("drop", "made"), [("before", 0), ("after", 1)])
def test_a_dataset_whose_making_was_not_answered_is_known(
    drop: Any, made: int, box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    box.inject(Fault("datasets.create", drop=drop, times=1))
    box.inject(Fault("list_datasets", status=400, times=1, after=2))  # as it is looked whether it was made after all
    with pytest.raises(PipelineStepFailed):
        pipeline_with().run(table())
    assert len(list(client.data_sources.list_datasets(source))) == made
    pipeline_with().run(table())
    assert stored(box, client, source) == ROWS


def test_several_datasets_of_one_title_are_told_apart_by_id(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    first, second = (client.datasets.create("orders", data_source=source) for _ in range(2))
    message = refused(lambda: pipeline_with().run(table(key=None)))
    assert f"there are 2 datasets of this title: {first.id}, {second.id}" in message
    pipeline_with(datasets={"orders": second.id}).run()
    assert (len(list(box.rows(first))), len(list(box.rows(second)))) == (0, 250)


def test_a_word_about_a_dataset_may_be_mended(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    client.datasets.create("orders", data_source=source, primary_keys=["id"])
    pipeline_with().run(table(key=None))
    message = refused(lambda: pipeline_with().run(table()))
    assert "was loaded as if it had been made without primary keys" in message
    assert "If it was made with the primary keys id, say so: assume_keys=True." in message
    pipeline_with(assume_keys=True).run()
    pipeline_with().run(table())
    assert stored(box, client, source) == ROWS
