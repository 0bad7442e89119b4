"""Primary keys that the caller names are checked against what is known; the report says if they cannot be checked."""

from typing import Any

import pytest

from databox.sandbox import Fault, Sandbox
from tests.drive import Driver

ROWS = [{"id": n, "amount": n / 8} for n in range(150)]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    monkeypatch.setattr("databox.ingest.settle.FIRST_POLL", 0.01)


@pytest.fixture
def client(driver: Driver, box: Sandbox) -> Any:
    return driver.client(box.api_key, box.url, rate_limit=None)


def test_keys_of_a_dataset_that_was_made_are_known(client: Any, box: Sandbox) -> None:
    source = client.data_sources.create("Keys")
    dataset = client.datasets.ensure("Orders", data_source=source, primary_keys=["id"])
    assert not dataset.primary_keys_assumed
    box.inject(Fault("create_ingestion", drop="after", times=1))
    report = client.datasets.ingest(dataset, ROWS)
    assert (report.resent, report.primary_keys, report.primary_keys_assumed) == (100, ("id",), False)
    assert "again" not in str(report)  # which does not matter here
    assert len(box.rows(dataset)) == 150


@pytest.mark.parametrize("how", ["found", "by id"])
def test_keys_on_the_callers_word_are_told_where_a_resend_rests_on_them(how: str, client: Any, box: Sandbox) -> None:
    """Here the caller is wrong: rows are stored twice, and the report says what it relies on."""
    source = client.data_sources.create("Keys")
    plain = client.datasets.create("Orders", data_source=source)
    found = client.datasets.ensure("Orders", data_source=source, primary_keys=["id"])
    assert found.primary_keys_assumed
    assert found == client.datasets.ensure("Orders", data_source=source, primary_keys=["id"])
    box.inject(Fault("create_ingestion", drop="after", times=1))
    dataset = found if how == "found" else plain.id
    report = client.datasets.ingest(dataset, ROWS, primary_keys=["id"])
    assert report.primary_keys_assumed
    assert (
        "100 were sent again after a lost answer; they are stored once if the dataset's primary keys are those you "
        "named (id)."
    ) in str(report)
    assert len(box.rows(plain)) == 250


def test_a_resend_without_keys_is_told(client: Any, box: Sandbox) -> None:
    plain = client.datasets.create("Orders", data_source=client.data_sources.create("Keys"))
    box.inject(Fault("create_ingestion", drop="after", times=1))
    report = client.datasets.ingest(plain, ROWS, on_ambiguous="resend")
    assert "100 were sent again after a lost answer, without primary keys: they may be stored twice." in str(report)


def test_nothing_is_said_where_nothing_went_again(client: Any, box: Sandbox) -> None:
    plain = client.datasets.create("Orders", data_source=client.data_sources.create("Keys"))
    box.inject(Fault("create_ingestion", status=503, headers={"Retry-After": "0"}, times=1))
    report = client.datasets.ingest(plain.id, ROWS, primary_keys=["id"])
    assert report.primary_keys_assumed
    assert report.resent == 0
    assert "again" not in str(report)


@pytest.mark.parametrize("made_with", [None, ["id", "day"], ["ID"]])
def test_keys_that_the_dataset_was_not_made_with_are_refused(made_with: Any, client: Any, box: Sandbox) -> None:
    source = client.data_sources.create("Keys")
    dataset = client.datasets.create("Orders", data_source=source, primary_keys=made_with)
    with pytest.raises(ValueError, match="primary_keys names 'id', but the dataset was created with"):
        client.datasets.ingest(dataset, ROWS, primary_keys=["id"])
    assert box.rows(dataset) == []


def test_the_order_of_keys_does_not_matter(client: Any, box: Sandbox) -> None:
    source = client.data_sources.create("Keys")
    dataset = client.datasets.create("Orders", data_source=source, primary_keys=["id", "amount"])
    assert client.datasets.ingest(dataset, ROWS, primary_keys=["amount", "id"]).ok
