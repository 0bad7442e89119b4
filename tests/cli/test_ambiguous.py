"""A batch whose answer is lost, in a dataset without primary keys: reported, until a person decides."""

from pathlib import Path

import pytest

from databox import Databox
from databox.sandbox import Fault, Sandbox
from tests.cli.conftest import Command


@pytest.fixture
def unkeyed(box: Sandbox) -> str:
    with Databox(box.api_key, box.url) as client:
        return client.datasets.create("D", data_source=client.data_sources.create("S")).id


@pytest.fixture(autouse=True)
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Path("a.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(300)))


def test_lost_answers_are_reported_each_night_until_a_person_decides(
    databox: Command, box: Sandbox, unkeyed: str
) -> None:
    arguments = ("dataset", "ingest", unkeyed, "a.csv", "--journal", "j", "--dead-letter", "dead")
    box.inject(Fault("create_ingestion", drop="before", after=1, times=1))
    for _ in range(2):
        done = databox(*arguments)
        assert done.code == 1
        assert "Without primary keys" in done.out
        assert len(box.rows(unkeyed)) == 200
    decided = databox(*arguments, "--on-ambiguous", "resend")
    assert decided.code == 0
    assert sorted(row["id"] for row in box.rows(unkeyed)) == list(range(300))
    assert not Path("dead.reasons.jsonl").exists()


def test_resending_from_the_start(databox: Command, box: Sandbox, unkeyed: str) -> None:
    box.inject(Fault("create_ingestion", drop="before", times=2))
    done = databox("dataset", "ingest", unkeyed, "a.csv", "--on-ambiguous", "resend")
    assert done.code == 0
    assert len(box.rows(unkeyed)) == 300


@pytest.mark.slow
def test_rows_that_are_resent_may_be_resumed(databox: Command, box: Sandbox, unkeyed: str) -> None:
    box.inject(Fault("create_ingestion", drop="before", after=1))
    done = databox("dataset", "ingest", unkeyed, "a.csv", "--on-ambiguous", "resend", "--patience", "0", "--json")
    assert done.code == 1
    assert "--on-ambiguous resend" in done.json["resume"]
    assert "are not sent again" not in done.err


def test_reporting_in_spite_of_keys(databox: Command, box: Sandbox, dataset_id: str) -> None:
    box.inject(Fault("create_ingestion", drop="before", times=1))
    options = ("--primary-keys", "id", "--on-ambiguous", "report", "--json")
    done = databox("dataset", "ingest", dataset_id, "a.csv", *options)
    assert (done.code, done.json["ambiguous"], done.json["primaryKeys"]) == (1, 100, ["id"])


def test_the_names_in_the_document_are_of_one_kind(databox: Command, unkeyed: str) -> None:
    done = databox("dataset", "ingest", unkeyed, "a.csv", "--json")
    assert [name for name in done.json if "_" in name] == []
