"""What a package as a whole is refused for, before the first row is sent; and that the mended one loads, once."""

from typing import Any

import dlt
import pytest

from databox import Databox, DataSource
from databox.integrations.dlt import databox_destination
from databox.sandbox import Sandbox
from tests.engines.dlt.loads import ROWS, refused, sent, stored, table

ADVICE = "give the package up with pipeline.abort_packages(), which repeats nothing"


@dlt.resource(name="events", write_disposition="append")
def events(cursor: Any = dlt.sources.incremental("id")) -> Any:  # noqa: B008 - as dlt has it
    """Rows without keys, which would be doubled if they came twice."""
    yield [row for row in ROWS if cursor.last_value is None or row["id"] > cursor.last_value]


def mended(box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline) -> None:
    """Follow the advice, and count."""
    assert sent(box) == []
    pipeline.abort_packages()
    pipeline.run(events())
    pipeline.run(events())
    assert stored(box, client, source, "events") == ROWS


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (table([{"id": 1, "odd": {"a": 1}}]), "Table 'orders': column 'odd' is nested"),
        (table([{"id": 1, "odd": [1, 2]}]), "give it a table of its own with max_table_nesting=1"),
        (table([{"id": 1, "odd": b"\x00"}]), "Table 'orders': column 'odd' is binary"),
        (table(key=None, write_disposition="merge"), "it is to be merged, and has no primary_key"),
        (table(write_disposition={"disposition": "merge", "strategy": "scd2"}), "the merge strategy 'scd2'"),
        (table(write_disposition={"disposition": "merge", "strategy": "insert-only"}), "'insert-only'"),
        (
            table(write_disposition={"disposition": "merge", "strategy": "upsert", "source_filter": "id > 3"}),
            "the hint x-merge-source-filter='id > 3'",
        ),
        (table(columns={"gone": {"hard_delete": True, "data_type": "bool"}}), "column 'gone' marks rows to delete"),
        (table(columns={"amount": {"x-some-new-hint": "on"}}), "column 'amount' has the hint x-some-new-hint='on'"),
        (table(table_format="delta"), "the hint table_format='delta'"),
        (table(key=None, columns={"amount": {"dedup_sort": "desc"}}), "there is no primary_key"),
        (
            table([{"id": n, "day": "2026-01-31"} for n in range(3)], key=None, merge_key="day"),
            "several rows have the same merge_key (day)",
        ),
    ],
)
def test_a_table_that_cannot_be_loaded_keeps_the_others_from_being_sent(
    bad: Any, words: str, box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    message = refused(lambda: pipeline.run([events(), bad]))
    assert words in message
    assert ADVICE in message
    assert "'events'" not in message
    mended(box, client, source, pipeline)


def test_all_tables_are_told_at_once(box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline) -> None:
    bad = [
        table([{"id": 1, "odd": {"a": 1}, "raw": b"\x00"}], name="first"),
        table(name="second", key=None, write_disposition="merge"),
        table(name="third", columns={"gone": {"hard_delete": True, "data_type": "bool"}}),
    ]
    told = refused(lambda: pipeline.run([events(), *bad])).splitlines()
    assert told[0] == "Nothing of this package was sent."
    assert [line.partition(" is ")[0].partition(" marks")[0] for line in sorted(told[1:-1])] == [
        "Table 'first': column 'odd'",
        "Table 'first': column 'raw'",
        "Table 'second': it",
        "Table 'third': column 'gone'",
    ]
    mended(box, client, source, pipeline)


@pytest.mark.parametrize(("key", "remedy"), [(None, "skip_dlt_columns_and_tables=False"), ("id", "append or replace")])
def test_nested_tables_are_named_as_people_know_them(
    key: str | None, remedy: str, box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    pipeline = dlt.pipeline("nested", destination=databox_destination(max_table_nesting=1))
    message = refused(lambda: pipeline.run([events(), table([{"id": 1, "items": [{"sku": "a"}]}], key=key)]))
    assert "Table 'items' in 'orders': it is nested" in message
    assert remedy in message
    assert "▶" not in message
    mended(box, client, source, pipeline)


def test_hints_of_storage_change_no_row(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    hints = {"partition": True, "cluster": True, "sort": True, "unique": True, "description": "what it cost"}
    pipeline.run(
        table(columns={"amount": {"data_type": "double", "nullable": True, "x-annotation-pii": True, **hints}})
    )
    assert stored(box, client, source) == ROWS


# Several rows of one key

VERSIONS = [{"id": n % 50, "version": (n * 7) % 150, "text": str(n)} for n in range(150)]


def newest(rows: list[dict[str, Any]], *, largest: bool) -> list[dict[str, Any]]:
    ranked = sorted(rows, key=lambda row: row["version"], reverse=not largest)
    return sorted({row["id"]: row for row in ranked}.values(), key=lambda row: row["id"])


@pytest.mark.parametrize("items", [None, "20"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_dedup_sort_says_which_row_of_a_key_is_stored(
    order: str,
    items: str | None,
    box: Sandbox,
    client: Databox,
    source: DataSource,
    pipeline: dlt.Pipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if items:
        monkeypatch.setenv("DATA_WRITER__FILE_MAX_ITEMS", items)
        monkeypatch.setenv("DATA_WRITER__BUFFER_MAX_ITEMS", items)
    pipeline.run(table(VERSIONS, columns={"version": {"dedup_sort": order}}))
    assert stored(box, client, source) == newest(VERSIONS, largest=order == "desc")
    assert sum(body.count(b'"id":') for body in sent(box)) == 50


def test_a_key_in_several_files_is_refused_where_nothing_says_which_is_the_newest(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("DATA_WRITER__FILE_MAX_ITEMS", "20")
        patch.setenv("DATA_WRITER__BUFFER_MAX_ITEMS", "20")
        message = refused(lambda: pipeline.run([events(), table(VERSIONS)]))
        assert "several files of the package have rows of one key (id)" in message
        assert sent(box) == []
        pipeline.abort_packages()
        pipeline.run([events(), table(VERSIONS, columns={"version": {"dedup_sort": "desc"}})])
    assert stored(box, client, source) == newest(VERSIONS, largest=True)
    assert stored(box, client, source, "events") == ROWS


# Refresh


def test_refreshed_data_replaces_what_was_there(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    pipeline.run([events(), table(name="kept")])
    pipeline.run(events(), refresh="drop_data")
    assert stored(box, client, source, "events") == ROWS
    assert stored(box, client, source, "kept") == ROWS
    assert sum(request.path.endswith("/purge") for request in box.requests) == 1


@pytest.mark.parametrize("mode", ["drop_sources", "drop_resources"])
def test_dropping_datasets_is_refused(
    mode: Any, box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    pipeline.run(events())
    before = len(sent(box))
    message = refused(lambda: pipeline.run(events(), refresh=mode))
    assert "would delete datasets" in message
    assert len(sent(box)) == before
    pipeline.abort_packages()
    pipeline.run(events(), refresh="drop_data")
    pipeline.run(events())
    assert stored(box, client, source, "events") == ROWS
