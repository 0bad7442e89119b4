"""How users test their own programs: against the sandbox, with injected faults.

pip install "databox-sdk[sandbox]" pytest
pytest examples/own_suite

The fixture `databox_sandbox` comes with the package. `Databox()` without arguments connects to it during the test.
"""

import json
from pathlib import Path

import pytest
import shop

from databox import AuthenticationError, Databox
from databox.sandbox import Fault, Sandbox

ORDERS = [{"order": number, "amount": number * 1.5} for number in range(1, 151)]


@pytest.fixture
def left_over(tmp_path: Path) -> Path:
    return tmp_path / "left-over.jsonl"


@pytest.fixture
def dataset(databox_sandbox: Sandbox) -> str:
    with Databox() as client:
        source = client.data_sources.create("Shop")
        return client.datasets.create("Orders", data_source=source, primary_keys=shop.KEYS).id


def test_orders_arrive(databox_sandbox: Sandbox, dataset: str, left_over: Path) -> None:
    assert shop.send(dataset, ORDERS, left_over) == "All 150 orders arrived."
    assert databox_sandbox.rows(dataset) == ORDERS
    assert not left_over.exists()


def test_sending_twice_stores_once(databox_sandbox: Sandbox, dataset: str, left_over: Path) -> None:
    shop.send(dataset, ORDERS, left_over)
    shop.send(dataset, ORDERS, left_over)
    assert databox_sandbox.rows(dataset) == ORDERS


def test_an_answer_that_was_lost_doubles_nothing(databox_sandbox: Sandbox, dataset: str, left_over: Path) -> None:
    databox_sandbox.inject(Fault("create_ingestion", drop="after", times=1))
    assert shop.send(dataset, ORDERS, left_over) == "All 150 orders arrived."
    assert databox_sandbox.rows(dataset) == ORDERS


def test_a_service_that_is_away_for_a_while_is_waited_for(
    databox_sandbox: Sandbox, dataset: str, left_over: Path
) -> None:
    databox_sandbox.inject(Fault("create_ingestion", status=503, headers={"retry-after": "0"}, times=2))
    assert shop.send(dataset, ORDERS, left_over) == "All 150 orders arrived."


def test_what_is_refused_is_left_over_and_can_be_sent_later(
    databox_sandbox: Sandbox, dataset: str, left_over: Path
) -> None:
    databox_sandbox.inject(Fault("create_ingestion", when=lambda order: order == ORDERS[42], times=8))
    assert shop.send(dataset, ORDERS, left_over) == "149 of 150 orders arrived. See left-over.jsonl."
    rest = [json.loads(line) for line in left_over.read_text().splitlines()]
    assert len(rest) == 1
    left_over.unlink()
    assert shop.send(dataset, rest, left_over) == "All 1 orders arrived."
    assert sorted(databox_sandbox.rows(dataset), key=str) == sorted(ORDERS, key=str)


def test_a_wrong_key_costs_one_request(
    databox_sandbox: Sandbox, dataset: str, left_over: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABOX_API_KEY", "a-key-that-is-wrong")
    before = len(databox_sandbox.requests)
    with pytest.raises(AuthenticationError):
        shop.send(dataset, ORDERS, left_over)
    assert len(databox_sandbox.requests) == before + 1
