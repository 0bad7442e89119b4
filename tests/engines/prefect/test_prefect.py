"""The page's recipe for Prefect, run by a real Prefect against the sandbox, which fails on demand."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL

from databox import Databox, Dataset, DataSource
from databox.sandbox import Fault, Sandbox
from tests.engines.page import block
from tests.engines.prefect.conftest import HOME

ROWS = [{"order_id": n, "amount": n * 1.5} for n in range(250)]
NOW = {"Retry-After": "0"}

Recipe = Callable[..., dict[str, Any]]


@pytest.fixture
def keyed(client: Databox, source: DataSource) -> Dataset:
    return client.datasets.create("Keyed", data_source=source, primary_keys=["order_id"])


@pytest.fixture
def recipe(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Return what the page defines, with rows of the test's and without waits; `changes` are made to its text."""
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    kind: Any = Secret
    kind(value=box.api_key).save("databox-api-key", overwrite=True)
    printed = block("Prefect")

    def recipe(changes: dict[str, str] | None = None) -> dict[str, Any]:
        code = printed.replace("/var/lib/databox", str(tmp_path)).replace("[10, 60, 300]", "0")
        code = re.sub(r"\nshop\(.*\)\n", "\n", code)
        for old, new in (changes or {}).items():
            assert old in code
            code = code.replace(old, new)
        file = tmp_path / "recipe.py"
        file.write_text(code)
        names: dict[str, Any] = {"__name__": "recipe"}
        exec(compile(code, str(file), "exec"), names)
        names["orders"] = lambda: iter(ROWS)
        return names

    return recipe


KEYED = {'journal=f"': 'primary_keys=["order_id"],  # f"'}


def stored(box: Sandbox, dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(box.rows(dataset), key=lambda row: row["order_id"])


def sent(box: Sandbox) -> int:
    return sum(request.operation == "datasets.create_ingestion" for request in box.requests)


def outcome(run: Any, dataset: Dataset) -> Any:
    return run(dataset.id, return_state=True)


def test_the_page_runs_as_printed(
    recipe: Recipe, box: Sandbox, client: Databox, unkeyed: Dataset, tmp_path: Path
) -> None:
    recipe()  # for the block and the address
    code = re.sub(r'shop\(".*"\)', f'shop("{unkeyed.id}")', block("Prefect"))
    code = code.replace("/var/lib/databox", str(tmp_path))
    (tmp_path / "page.py").write_text(code)
    exec(compile(code, str(tmp_path / "page.py"), "exec"), {"__name__": "__main__"})
    assert [row["order_id"] for row in stored(box, unkeyed)] == [1001, 1002]
    assert len(list(tmp_path.glob("*.journal"))) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("create_ingestion", status=503, times=3, headers=NOW),
        Fault("create_ingestion", drop="after", times=1),
        Fault("create_ingestion", status=503, times=6, headers=NOW),
    ],
)
def test_keyed_rows_are_stored_once_whatever_happens(
    fault: Fault, recipe: Recipe, box: Sandbox, keyed: Dataset
) -> None:
    box.inject(fault)
    state = outcome(recipe(KEYED)["shop"], keyed)
    assert state.is_completed()
    assert "250 rows read, 250 accepted" in state.result()
    assert stored(box, keyed) == ROWS


def test_a_retry_goes_on_where_the_first_try_stopped(recipe: Recipe, box: Sandbox, unkeyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, times=10, headers=NOW))  # five attempts at each of two batches
    assert outcome(recipe()["shop"], unkeyed).is_completed()
    assert stored(box, unkeyed) == ROWS
    assert sent(box) == 1 + 10 + 2


def test_a_flow_run_that_is_retried_goes_on_with_its_journal(
    recipe: Recipe, box: Sandbox, unkeyed: Dataset, tmp_path: Path
) -> None:
    ingest = recipe({"retries=3": "retries=0"})["ingest"]
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, times=10, headers=NOW))

    @flow(retries=1, retry_delay_seconds=0)
    def shop(dataset_id: str) -> Any:
        return ingest(dataset_id)

    assert outcome(shop, unkeyed).is_completed()
    assert stored(box, unkeyed) == ROWS
    assert sent(box) == 1 + 10 + 2
    assert len(list(tmp_path.glob("*.journal"))) == 1


def test_rows_whose_answer_was_lost_are_not_tried_again(recipe: Recipe, box: Sandbox, unkeyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", drop="after", times=1))
    state = outcome(recipe()["shop"], unkeyed)
    assert state.is_failed()
    assert sent(box) == 3
    assert state.result(raise_on_failure=False).report.ambiguous == 100
    assert stored(box, unkeyed) == ROWS


def test_ambiguous_rows_are_sent_again_and_no_others(recipe: Recipe, box: Sandbox, unkeyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", drop="before", times=1, when={"column": "order_id", "value": 150}))
    first = recipe()["ingest"]
    then = recipe({"patience=0": 'patience=0, on_ambiguous="resend"'})["ingest"]
    tries: list[int] = []

    @flow(retries=1, retry_delay_seconds=0)  # as retrying it on Prefect's page
    def shop(dataset_id: str) -> Any:
        tries.append(len(box.rows(unkeyed)))
        return (first if len(tries) == 1 else then)(dataset_id)

    assert outcome(shop, unkeyed).is_completed()
    assert tries == [0, 150]
    assert stored(box, unkeyed) == ROWS


def test_without_keys_or_a_journal_nothing_is_doubled_when_nothing_is_retried(
    recipe: Recipe, box: Sandbox, unkeyed: Dataset
) -> None:
    box.inject(Fault("create_ingestion", times=1))
    box.inject(Fault("create_ingestion", status=503, headers=NOW))
    state = outcome(recipe({"journal=f": "dead_letter=f", "retries=3": "retries=0"})["shop"], unkeyed)
    assert state.is_failed()
    assert stored(box, unkeyed) == ROWS[:100]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_trying_again_cannot_help_fails_at_once(status: int, recipe: Recipe, box: Sandbox, keyed: Dataset) -> None:
    box.inject(Fault("create_ingestion", status=status, times=1))
    changes = {**KEYED, "patience=0": 'patience=0, on_refusal="report"'}
    names = recipe(changes)
    names["orders"] = lambda: iter(ROWS[:1])
    if status in (401, 403):
        box.inject(Fault("create_ingestion", status=status, times=1))
    assert outcome(names["shop"], keyed).is_failed()
    assert box.rows(keyed) == []


def test_a_wrong_argument_is_not_tried_again(recipe: Recipe, box: Sandbox, keyed: Dataset) -> None:
    names = recipe({"patience=0": "patience=-1"})
    asked: list[int] = []
    orders = names["orders"]

    def counted() -> Any:
        asked.append(1)
        return orders()

    names["orders"] = counted
    assert outcome(names["shop"], keyed).is_failed()
    assert asked == [1]


def test_the_key_does_not_show(
    recipe: Recipe, box: Sandbox, unkeyed: Dataset, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    echo = {"status": "error", "errors": [{"message": f"Who is {box.api_key}?"}]}
    box.inject(Fault("create_ingestion", status=400, body=echo))
    state = outcome(recipe()["shop"], unkeyed)
    assert state.is_failed()
    shown = caplog.text + str(state.message)
    assert "Who is ***" in shown
    database = Path(PREFECT_SERVER_DATABASE_CONNECTION_URL.value().partition("///")[2])
    assert database.stat().st_size > 100_000
    for folder in (HOME, database.parent, tmp_path):
        shown += "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())
    assert "shop" in shown
    assert box.api_key not in shown
