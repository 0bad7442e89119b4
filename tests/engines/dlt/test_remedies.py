"""Each remedy that the dlt destination names is followed through the next successful run, and rows are counted."""

import json
import re
from pathlib import Path
from typing import Any

import dlt
import httpx
import pyarrow
import pytest
from dlt.common.destination.exceptions import DestinationException, DestinationTerminalException
from dlt.pipeline.exceptions import PipelineStepFailed

from databox import Databox, DataSource
from databox.integrations.dlt import databox_destination
from databox.sandbox import Fault, Sandbox
from tests.engines.dlt.load import main
from tests.engines.dlt.loads import cause, refused, sent, stored, table
from tests.engines.dlt.test_dlt import HELD, killed


def pipeline_with(**options: Any) -> dlt.Pipeline:
    return dlt.pipeline("events", destination=databox_destination(**options))


@dlt.resource(name="events", write_disposition="append")
def events(rows: int, cursor: Any = dlt.sources.incremental("id")) -> Any:  # noqa: B008 - as dlt has it
    """Rows without keys, of which dlt extracts those that it has not had."""
    yield [{"id": n, "amount": n * 1.5} for n in range(rows) if cursor.last_value is None or n > cursor.last_value]


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["id"] for row in rows)


def given_up(pipeline: dlt.Pipeline) -> list[dict[str, Any]]:
    """The rows that were given up, as the files beside the journals have them."""
    files = Path(pipeline.working_dir).rglob("databox/given_up/**/*.reasons.jsonl")
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


# Ambiguous rows


@pytest.mark.parametrize(("drop", "first"), [("after", 1000), ("before", 900)])
def test_ambiguous_rows_are_given_up_alone(
    drop: Any, first: int, box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    box.inject(Fault("create_ingestion", drop=drop, times=1))
    pipeline = pipeline_with()
    message = refused(lambda: pipeline.run(events(1000)))
    assert "Do not abort the package: 900 of its rows are stored" in message
    (option,) = re.findall(r'Run the pipeline again with give_up_rows_of="([^"]+)"', message)
    pipeline = pipeline_with(give_up_rows_of=option)
    pipeline.run(events(1000))
    assert len(sent(box)) == 10  # none again
    assert len(stored(box, client, source, "events")) == first
    lost = given_up(pipeline)
    assert len(lost) == 100
    assert {each["outcome"] for each in lost} == {"ambiguous"}
    pipeline.run(events(1200))  # the option may stay: it is about one package
    rows = ids(stored(box, client, source, "events"))
    assert len(rows) == len(set(rows)) == first + 200
    box.inject(Fault("create_ingestion", drop="after", times=1))
    refused(lambda: pipeline.run(events(1250)))


def test_ambiguous_rows_are_sent_again_on_request(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    box.inject(Fault("create_ingestion", drop="before", times=1))
    assert 'on_ambiguous="resend"' in refused(lambda: pipeline_with().run(events(1000)))
    pipeline_with(on_ambiguous="resend").run(events(1000))
    assert ids(stored(box, client, source, "events")) == list(range(1000))


# Packages that were aborted


@pytest.fixture(params=["by hand", "by dlt"])
def aborted(request: pytest.FixtureRequest, box: Sandbox, configured: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Send 1,000 rows, of which 900 are accepted and 100 may be, abort, and return the package's id."""
    box.inject(Fault("create_ingestion", drop="after", times=1))
    pipeline = pipeline_with()
    if request.param == "by dlt":
        monkeypatch.setenv("LOAD__AUTO_ABORT_ON_TERMINAL_ERROR", "true")
    message = refused(lambda: pipeline.run(events(1000)))
    if request.param == "by hand":
        pipeline.abort_packages()
    assert not pipeline.has_pending_data
    (package,) = re.findall(r'give_up_rows_of="([^"]+)"', message)
    return str(package)


def test_what_an_aborted_package_stored_is_not_sent_again_without_a_word(
    aborted: str, box: Sandbox, client: Databox, source: DataSource
) -> None:
    pipeline = pipeline_with()
    before = len(sent(box))
    for _ in range(2):
        message = refused(lambda: pipeline.run(events(1200)))
        assert "Nothing of this package was sent." in message
        assert "Table 'events': 900 rows are in dataset" in message
        assert "100 more may be" in message
        assert aborted in message
    assert len(sent(box)) == before
    pipeline.abort_packages()  # that it was refused is not forgotten
    assert "900 rows are in dataset" in refused(lambda: pipeline.run(events(1200)))


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ({"aborted_rows": "skip"}, 1300),  # the 100 that may be stored are sent again, and were
        ({"aborted_rows": "skip", "give_up_rows_of": "the package"}, 1200),
        ({"aborted_rows": "send"}, 2200),
    ],
)
def test_rows_of_an_aborted_package_are_left_out_or_sent_as_is_said(
    words: dict[str, str], rows: int, aborted: str, box: Sandbox, client: Databox, source: DataSource
) -> None:
    refused(lambda: pipeline_with().run(events(1200)))
    pipeline = pipeline_with(**{name: aborted if value == "the package" else value for name, value in words.items()})
    pipeline.run(events(1200))
    assert len(stored(box, client, source, "events")) == rows
    assert set(ids(stored(box, client, source, "events"))) == set(range(1200))
    pipeline = pipeline_with()  # it is over
    pipeline.run(events(1300))
    assert len(stored(box, client, source, "events")) == rows + 100


def test_a_table_that_is_emptied_begins_anew(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    pipeline = pipeline_with()
    pipeline.run(events(200))
    box.inject(Fault("create_ingestion", drop="after", times=1))
    refused(lambda: pipeline.run(events(1000)))
    pipeline.abort_packages()
    pipeline.run(events(1200), refresh="drop_data")
    pipeline.run(events(1300))
    assert ids(stored(box, client, source, "events")) == list(range(1300))


def test_what_is_left_out_stays_so_over_a_load_that_is_stopped(
    aborted: str, box: Sandbox, client: Databox, source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOAD__AUTO_ABORT_ON_TERMINAL_ERROR", "false")
    box.inject(Fault("create_ingestion", drop="after", times=1))
    words = {"aborted_rows": "skip", "give_up_rows_of": aborted}
    message = refused(lambda: pipeline_with(**words).run(events(1500)))
    (package,) = re.findall(r'Run the pipeline again with give_up_rows_of="([^"]+)"', message)
    pipeline_with(give_up_rows_of=package).run(events(1500))
    assert ids(stored(box, client, source, "events")) == list(range(1500))


def test_what_a_killed_and_aborted_load_may_have_stored_is_told(
    box: Sandbox, client: Databox, source: DataSource, configured: None, tmp_path: Path
) -> None:
    box.inject(HELD)
    killed(box, tmp_path, "unkeyed", lambda: len(sent(box)) >= 3).abort_packages()
    message = refused(lambda: main(str(tmp_path), "unkeyed"))
    assert "0 rows are in dataset" in message
    assert "1,000 more may be" in message


def test_rows_that_are_known_by_row_ids_of_dlt_come_with_others_after_an_abort(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    pipeline = pipeline_with(skip_dlt_columns_and_tables=False)
    box.inject(Fault("create_ingestion", status=400, when={"column": "id", "value": 7}))
    refused(lambda: pipeline.run(events(300)))
    pipeline.abort_packages()
    for word in (None, "skip"):
        pipeline = pipeline_with(skip_dlt_columns_and_tables=False, aborted_rows=word)
        message = refused(lambda: pipeline.run(events(300)))  # noqa: B023 - called at once
        assert "299 rows are in dataset" in message
        assert "with other row ids" in message
    pipeline.abort_packages()
    httpx.delete(f"{box.url}/_sandbox/faults").raise_for_status()
    pipeline.run(events(300), write_disposition="replace")
    assert ids(stored(box, client, source, "events")) == list(range(300))


def test_an_aborted_package_of_keyed_rows_is_no_matter(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    box.inject(Fault("create_ingestion", status=400, when={"column": "id", "value": 7}))
    rows = [{"id": n} for n in range(300)]
    refused(lambda: pipeline.run(table(rows)))
    pipeline.abort_packages()
    pipeline.run(table([row for row in rows if row["id"] != 7]))
    assert len(stored(box, client, source)) == 299


# Rows that are refused


def arrow(rows: list[dict[str, Any]]) -> pyarrow.Table:
    """What leaves an infinite number as it is, which dlt's own JSON makes null."""
    return pyarrow.Table.from_pylist(rows)


@pytest.mark.parametrize("status", [401, 404])
def test_rows_that_nobody_looked_at_are_not_given_up(
    status: int, box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    box.inject(Fault("create_ingestion", status=status))
    pipeline = pipeline_with()
    message = refused(lambda: pipeline.run(events(50)))
    assert "give_up_rows_of" not in message
    (package,) = pipeline.list_normalized_load_packages()
    refused(lambda: pipeline_with(give_up_rows_of=package).run())
    httpx.delete(f"{box.url}/_sandbox/faults").raise_for_status()
    pipeline_with(give_up_rows_of=package).run()
    assert ids(stored(box, client, source, "events")) == list(range(50))


def test_what_was_noted_of_a_package_must_be_there(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=1))
    pipeline = pipeline_with()
    refused(lambda: pipeline.run(events(300)))
    folder = Path(pipeline.working_dir) / "databox"
    (folder / "packages").rename(folder / "away")
    assert "what was noted of this package is gone" in refused(lambda: pipeline_with(on_ambiguous="resend").run())
    assert len(sent(box)) == 3
    (folder / "away").rename(folder / "packages")
    pipeline_with(on_ambiguous="resend").run()
    assert len(stored(box, client, source, "events")) == 400


def test_refused_rows_are_given_up_and_the_rest_is_loaded(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    box.inject(Fault("create_ingestion", status=400, when={"column": "id", "value": 7}))
    message = refused(lambda: pipeline_with().run(events(300)))
    assert "1 failed: refused" in message
    (package,) = re.findall(r'run again with give_up_rows_of="([^"]+)"', message)
    pipeline = pipeline_with(give_up_rows_of=package)
    pipeline.run(events(300))
    assert [each["row"]["id"] for each in given_up(pipeline)] == [7]
    assert ids(stored(box, client, source, "events")) == [n for n in range(300) if n != 7]
    pipeline.run(events(310))
    assert ids(stored(box, client, source, "events")) == [n for n in range(310) if n != 7]


def test_rows_that_cannot_be_encoded_are_refused_before_anything_is_sent(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    rows = [{"id": n, "ratio": float("inf") if n in (5, 6) else 0.5} for n in range(10)]
    message = refused(lambda: pipeline.run([table(name="first"), table(arrow(rows), name="second", key=None)]))
    assert "Table 'second': Row 5, column 'ratio' is infinite" in message
    assert "So it is with 1 more rows" in message
    assert sent(box) == []
    assert list(client.data_sources.list_datasets(source)) == []
    (package,) = re.findall(r'run again with give_up_rows_of="([^"]+)"', message)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESTINATION__DATABOX__GIVE_UP_ROWS_OF", package)
        pipeline.run()
    assert ids(stored(box, client, source, "second")) == [0, 1, 2, 3, 4, 7, 8, 9]
    assert len(stored(box, client, source, "first")) == 250
    assert [each["index"] for each in given_up(pipeline)] == [5, 6]


def test_a_replace_whose_rows_cannot_all_be_encoded_leaves_what_is_there(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    pipeline.run(table(arrow([{"id": n, "ratio": 0.5} for n in range(20)]), key=None, write_disposition="replace"))
    bad = [{"id": n, "ratio": float("inf") if n == 5 else 0.25} for n in range(10)]
    message = refused(lambda: pipeline.run(table(arrow(bad), key=None, write_disposition="replace")))
    assert "Row 5, column 'ratio' is infinite" in message
    assert len(stored(box, client, source)) == 20
    pipeline.abort_packages()
    good = [row for row in bad if row["id"] != 5]
    pipeline.run(table(arrow(good), key=None, write_disposition="replace"))
    assert stored(box, client, source) == good


# Configuration


@pytest.mark.parametrize("option", ["on_ambiguous", "aborted_rows"])
def test_a_word_that_there_is_not_is_refused_before_anything_is_sent(
    option: str, box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    message = refused(lambda: pipeline_with(**{option: "perhaps"}).run(events(10)))
    assert f"destination.databox.{option} must be" in message
    assert sent(box) == []
    pipeline_with().run(events(10))
    assert len(stored(box, client, source, "events")) == 10


def test_an_outage_at_the_start_of_a_load_passes(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    box.inject(Fault("list_datasets", status=503, times=5, headers={"Retry-After": "0"}))
    with pytest.raises(PipelineStepFailed) as failure:
        pipeline_with().run(events(10))
    with pytest.raises(AssertionError):
        cause(failure, DestinationTerminalException)
    assert "status 503" in cause(failure, DestinationException)
    pipeline_with().run(events(10))
    assert len(stored(box, client, source, "events")) == 10
