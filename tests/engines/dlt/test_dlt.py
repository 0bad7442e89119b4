"""Real dlt pipelines load into the sandbox, which fails on demand."""

import re
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt
import pyarrow
import pytest
from dlt.common.destination.exceptions import DestinationTerminalException, DestinationTransientException
from dlt.common.wei import Wei
from dlt.pipeline.exceptions import PipelineStepFailed

from databox import Databox, DataSource
from databox.integrations.dlt import databox_destination
from databox.sandbox import Fault, Sandbox
from tests.engines.dlt.loads import NOW, ROWS, cause, sent, stored, table
from tests.engines.page import ROOT, block

# Rows


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [Fault("create_ingestion", status=503, times=3, headers=NOW)],
        [Fault("create_ingestion", status=429, times=3, headers=NOW)],
        [Fault("create_ingestion", drop="before", times=1), Fault("create_ingestion", drop="after", times=2)],
        [Fault("datasets.create", drop="after", times=1), Fault("get_ingestion", status=502, times=2)],
    ],
    ids=["fine", "503", "429", "lost", "elsewhere"],
)
def test_keyed_rows_are_stored_once_whatever_happens(
    faults: list[Fault], box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    for fault in faults:
        box.inject(fault)
    pipeline.run(table())
    pipeline.run(table([{"id": 3, "amount": 0.0}, {"id": 250, "amount": 9.0}]))
    expected = [row for row in ROWS if row["id"] != 3] + [{"id": 3, "amount": 0.0}, {"id": 250, "amount": 9.0}]
    assert stored(box, client, source) == sorted(expected, key=lambda row: row["id"])
    agents = {
        request.headers["user-agent"] for request in box.requests if request.operation == "datasets.create_ingestion"
    }
    assert {agent.split()[-1] for agent in agents} == {f"dlt/{dlt.__version__}"}


@pytest.mark.parametrize("status", [429, 503])
def test_rows_without_keys_are_stored_once_when_a_request_was_surely_refused(
    status: int, box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    box.inject(Fault("create_ingestion", status=status, times=3, headers=NOW))
    pipeline.run(table(key=None))
    assert stored(box, client, source) == ROWS
    assert max(map(len, sent(box))) < 5000  # 100 rows


def test_rows_without_keys_whose_answer_was_lost_fail_until_somebody_decides(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=1))
    for _ in range(2):
        with pytest.raises(PipelineStepFailed) as failure:
            pipeline.run(table(key=None)) if not pipeline.has_pending_data else pipeline.load()
        message = cause(failure, DestinationTerminalException)
        assert "100 ambiguous" in message
        assert 'on_ambiguous="resend"' in message
        (dataset,) = client.data_sources.list_datasets(source)
        assert f"may be stored in dataset {dataset.id}" in message
        known = message.partition("that are known: ")[2].partition(";")[0].split(", ")
        ingestions = {ingestion.id for ingestion in client.datasets.list_ingestions(dataset)}
        assert len(known) == 2
        assert len(ingestions - set(known)) == 1  # the one whose answer was lost
    assert len(sent(box)) == 3
    assert stored(box, client, source) == ROWS
    again = dlt.pipeline("test", destination=databox_destination(on_ambiguous="resend"))
    again.load()
    assert len(sent(box)) == 4
    assert len(stored(box, client, source)) == 350  # as asked for


def test_a_load_goes_on_where_it_failed(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, times=10, headers=NOW))  # five attempts at each of two batches
    with pytest.raises(PipelineStepFailed) as failure:
        pipeline.run(table(key=None))
    assert "failed with status 503" in cause(failure, DestinationTransientException)
    assert stored(box, client, source) == ROWS[:100]
    before = len(sent(box))
    pipeline.load()
    assert stored(box, client, source) == ROWS
    assert len(sent(box)) - before == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_trying_again_cannot_help_is_terminal(status: int, box: Sandbox, pipeline: dlt.Pipeline) -> None:
    box.inject(Fault("create_ingestion", status=status))
    with pytest.raises(PipelineStepFailed) as failure:
        pipeline.run(table())
    message = cause(failure, DestinationTerminalException)
    assert f"status {status}" in message
    assert "Table 'orders'" in message


def test_values_arrive_as_json_has_them(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    row = {
        "id": 1,
        "price": Decimal("19.90"),
        "wei": Wei.from_int256(10**20, decimals=18),
        "moment": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "day": date(2026, 1, 2),
        "clock": time_of_day(12, 30),
        "text": "ü",
        "yes": True,
        "ratio": 0.25,
        "large": 2**60,
    }
    pipeline.run(table([row]))
    (sent_row,) = sent(box)
    assert b'"price":19.90' in sent_row
    assert b'"wei":100' in sent_row
    expected = {
        **row,
        "price": 19.9,
        "wei": 100,
        "moment": "2026-01-02T03:04:05Z",
        "day": "2026-01-02",
        "clock": "12:30:00",
    }
    assert stored(box, client, source) == [expected]


def test_arrow_tables_load_from_parquet(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    pipeline.run(table(pyarrow.Table.from_pylist(ROWS)))
    assert stored(box, client, source) == ROWS


def test_what_the_api_has_no_type_for_is_refused_with_a_remedy(box: Sandbox, pipeline: dlt.Pipeline) -> None:
    for value, remedy in (({"a": 1}, "json.dumps"), ([1, 2], "max_table_nesting"), (b"\x00", "make it text")):
        with pytest.raises(PipelineStepFailed) as failure:
            pipeline.run(table([{"id": 1, "odd": value}]))
        message = cause(failure, DestinationTerminalException)
        assert "column 'odd'" in message
        assert remedy in message
        pipeline.abort_packages()
    assert sent(box) == []


# Tables


def test_replace_purges_once_and_before_the_first_row(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_WRITER__FILE_MAX_ITEMS", "50")  # so that several files are loaded beside one another
    pipeline.run(table(key=None, write_disposition="replace"))
    box.inject(Fault("create_ingestion", status=503, times=6, headers=NOW))
    pipeline.run(table(ROWS[:120], key=None, write_disposition="replace"))
    assert stored(box, client, source) == ROWS[:120]
    pipeline.run(table([], key=None, write_disposition="replace"))
    assert stored(box, client, source) == []
    assert sum(request.path.endswith("/purge") for request in box.requests) == 3


def test_nested_tables_keep_their_link(box: Sandbox, client: Databox, source: DataSource, configured: None) -> None:
    destination = databox_destination(max_table_nesting=1, skip_dlt_columns_and_tables=False)
    pipeline = dlt.pipeline("nested", destination=destination)
    box.inject(Fault("create_ingestion", drop="after", times=2))
    pipeline.run(table([{"id": 1, "items": [{"sku": "a"}, {"sku": "b"}]}], key=None))
    (order,) = stored(box, client, source)
    items = stored(box, client, source, "orders▶items")
    assert [(item["sku"], item["_dlt_parent_id"]) for item in items] == [
        ("a", order["_dlt_id"]),
        ("b", order["_dlt_id"]),
    ]
    assert {dataset.title for dataset in client.data_sources.list_datasets(source)} == {"orders", "orders▶items"}


def test_nested_tables_whose_link_would_be_lost_are_refused(box: Sandbox, configured: None) -> None:
    for key, remedy in ((None, "skip_dlt_columns_and_tables=False"), ("id", "append or replace")):
        pipeline = dlt.pipeline(f"nested_{key}", destination=databox_destination(max_table_nesting=1))
        with pytest.raises(PipelineStepFailed) as failure:
            pipeline.run(table([{"id": 1, "items": [{"sku": "a"}]}], key=key))
        assert remedy in cause(failure, DestinationTerminalException)


@pytest.mark.parametrize(
    ("hints", "reason"),
    [
        ({"write_disposition": {"disposition": "merge", "strategy": "scd2"}}, "'scd2'"),
        ({"columns": {"gone": {"hard_delete": True, "data_type": "bool"}}}, "'gone' marks rows to delete"),
    ],
)
def test_merges_that_the_api_cannot_do_are_refused(
    hints: dict[str, Any], reason: str, box: Sandbox, pipeline: dlt.Pipeline
) -> None:
    with pytest.raises(PipelineStepFailed) as failure:
        pipeline.run(table([{"id": 1, "gone": False}], **hints))
    assert reason in cause(failure, DestinationTerminalException)
    assert sent(box) == []


def test_a_merge_key_is_the_key_where_there_is_no_primary_key(
    box: Sandbox, client: Databox, source: DataSource, pipeline: dlt.Pipeline
) -> None:
    for _ in range(2):
        pipeline.run(table(key=None, merge_key="id", write_disposition="merge"))
    assert stored(box, client, source) == ROWS


def test_a_merge_key_that_does_not_tell_rows_apart_is_refused(box: Sandbox, pipeline: dlt.Pipeline) -> None:
    rows = [{"id": n, "day": "2026-01-31"} for n in range(3)]
    with pytest.raises(PipelineStepFailed) as failure:
        pipeline.run(table(rows, key=None, merge_key="day", write_disposition="merge"))
    assert "Name a primary_key" in cause(failure, DestinationTerminalException)
    assert sent(box) == []


def test_a_table_goes_to_the_dataset_that_is_named_for_it(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    dataset = client.datasets.create("Elsewhere", data_source=source, primary_keys=["id"])
    pipeline = dlt.pipeline(
        "mapped", destination=databox_destination(datasets={"orders": dataset.id}, assume_keys=True)
    )
    pipeline.run(table())
    assert stored(box, client, source, "Elsewhere") == ROWS


# Configuration, limits


def test_the_destination_is_found_by_its_name(
    box: Sandbox, client: Databox, source: DataSource, configured: None
) -> None:
    dlt.pipeline("named", destination="databox.integrations.dlt.databox").run(table())
    assert stored(box, client, source) == ROWS


def test_the_configuration_says_what_is_missing(
    box: Sandbox, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DESTINATION__DATABOX__DATA_SOURCE_ID")
    with pytest.raises(PipelineStepFailed) as failure:
        pipeline.run(table())
    assert "destination.databox.data_source_id" in cause(failure, DestinationTerminalException)
    monkeypatch.delenv("DESTINATION__DATABOX__API_KEY")
    with pytest.raises(Exception, match="DESTINATION__DATABOX__API_KEY"):
        dlt.pipeline("keyless", destination=databox_destination()).run(table())


def test_the_key_does_not_show(
    box: Sandbox, source: DataSource, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "DEBUG")
    destination = databox_destination(api_key=box.api_key, base_url=box.url, data_source_id=source.id)
    pipeline = dlt.pipeline("secret", destination=destination)
    info = pipeline.run(table())
    box.inject(Fault("create_ingestion", status=400, body={"status": "error", "errors": [{"message": box.api_key}]}))
    with pytest.raises(PipelineStepFailed) as failure:
        pipeline.run(table())
    trace = pipeline.last_trace
    assert trace is not None
    shown = [repr(destination), str(failure.value), cause(failure, DestinationTerminalException), info.asstr(2)]
    shown += [str(trace), repr(trace), str(trace.asdict()), *capfd.readouterr()]
    shown += [path.read_bytes().decode("latin-1") for path in (tmp_path / "dlt").rglob("*") if path.is_file()]
    assert [text for text in shown if box.api_key in text] == []


def test_eight_tables_at_once_keep_the_limit(
    box: Sandbox, client: Databox, source: DataSource, departures: list[float]
) -> None:
    destination = databox_destination(api_key=box.api_key, base_url=box.url, data_source_id=source.id)
    departures.clear()  # that of the data source
    dlt.pipeline("parallel", destination=destination).run([table(ROWS[:200], name=f"orders_{n}") for n in range(8)])
    times = sorted(departures)
    assert all(later - earlier > 1.0 for earlier, later in zip(times, times[10:], strict=False))
    # A list; for each table a list, a dataset, two batches and the outcomes of both.
    assert len(times) == 1 + 8 * 6
    datasets = client.data_sources.list_datasets(source).items
    assert sorted(dataset.title or "" for dataset in datasets) == [f"orders_{n}" for n in range(8)]


# Crashes


HELD = Fault("create_ingestion", delay=600, drop="before", after=2)
"""With it a load comes as far as two batches, and no further before it is killed."""


def killed(box: Sandbox, directory: Path, kind: str, reached: Callable[[], bool]) -> dlt.Pipeline:
    """Start a load in a process, kill it when it has come that far, and return the pipeline as it was left."""
    command = [sys.executable, str(Path(__file__).with_name("load.py")), str(directory), kind]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 240
        while not reached():
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    box.clear_faults()
    return dlt.pipeline("killed", destination=databox_destination(), pipelines_dir=str(directory))


MANY = [{"id": n, "amount": n * 1.5} for n in range(1000)]


def test_a_killed_load_of_keyed_rows_goes_on(
    box: Sandbox, client: Databox, source: DataSource, configured: None, tmp_path: Path
) -> None:
    box.inject(HELD)
    killed(box, tmp_path, "keyed", lambda: len(sent(box)) >= 3).load()
    assert stored(box, client, source) == MANY
    assert len(set(sent(box))) == 10


def test_a_load_without_keys_that_is_killed_while_it_sends_says_so(
    box: Sandbox, client: Databox, source: DataSource, configured: None, tmp_path: Path
) -> None:
    box.inject(HELD)
    left = killed(box, tmp_path, "unkeyed", lambda: len(sent(box)) >= 3)
    with pytest.raises(PipelineStepFailed) as failure:
        left.load()
    assert "ambiguous: sent, but the answer was lost" in cause(failure, DestinationTerminalException)
    assert len(sent(box)) == len(set(sent(box)))


def test_a_load_without_keys_that_is_killed_later_goes_on(
    box: Sandbox, client: Databox, source: DataSource, configured: None, tmp_path: Path
) -> None:
    box.inject(Fault("get_ingestion", delay=600, drop="before"))
    killed(box, tmp_path, "unkeyed", lambda: any("/ingestions/" in request.path for request in box.requests)).load()
    assert stored(box, client, source) == MANY
    assert len(sent(box)) == 10


# What is shown


def test_the_page_runs_as_printed(
    box: Sandbox, client: Databox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    monkeypatch.setenv("DESTINATION__DATABOX__API_KEY", "")  # the page sets it; this puts it back
    (tmp_path / "page.py").write_text(block("dlt"))
    printed = runpy.run_path("page.py", run_name="__main__")
    assert [row["order_id"] for row in stored(box, client, printed["source"])] == [1001, 1002]


def test_the_configuration_works_as_printed(box: Sandbox, client: Databox, source: DataSource, tmp_path: Path) -> None:
    dataset = client.datasets.create("Elsewhere", data_source=source, primary_keys=["id"])
    printed = block("dlt", "toml").replace("…", box.api_key).replace("4754489", str(source.id))
    printed = re.sub(r"(?<=orders = ).*(?= })", f'"{dataset.id}"', printed)
    printed = printed.replace("/var/lib/databox", str(tmp_path))
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text(f'{printed}base_url = "{box.url}"\n')
    command = [sys.executable, str(Path(__file__).with_name("load.py")), str(tmp_path), "keyed"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert stored(box, client, source, "Elsewhere") == MANY
    assert (tmp_path / "limit").exists()


def test_the_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__DATABOX__REQUESTS_PER_SECOND", "1000")
    example = ROOT / "examples" / "dlt_pipeline.py"
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Loaded twice, stored once: the dataset holds 1,461 rows." in done.stdout


# Without dlt


def test_without_dlt_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['dlt'] = None; import databox, databox.integrations; import databox.integrations.dlt"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'ImportError: databox.integrations.dlt needs dlt: pip install "databox-sdk[dlt]".' in done.stderr


def test_databox_does_not_import_dlt() -> None:
    code = "import sys, databox, databox.integrations; print('dlt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
