"""Where files cannot be written: the message says why, what it advises helps, and nothing is sent before."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from databox import ConfigurationError, Databox, Dataset, RateLimit
from databox.sandbox import Sandbox
from tests.drive import Driver

Use = Callable[[Path], Any]
KINDS = ["journal", "dead_letter", "store"]


@pytest.fixture
def client(driver: Driver, box: Sandbox) -> Any:
    return driver.client(box.api_key, box.url, rate_limit=None)


@pytest.fixture
def dataset(client: Any) -> Any:
    return client.datasets.create("D", data_source=client.data_sources.create("S"))


@pytest.fixture(params=KINDS)
def use(request: pytest.FixtureRequest, client: Any, dataset: Dataset) -> Use:
    """Send with one of the files at a path."""

    def sent(path: Path) -> Any:
        if request.param == "store":
            return client.with_options(rate_limit=RateLimit(store=path)).datasets.ingest(dataset, [{"id": 1}])
        return client.datasets.ingest(dataset, [{"id": 1}], **{request.param: path})

    return sent


def test_a_folder_that_does_not_exist(use: Use, box: Sandbox, dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    with pytest.raises(ConfigurationError, match=r"there is no folder .*none\. Make it first\.") as caught:
        use(folder / "file")
    assert "disk space" not in str(caught.value)
    assert box.rows(dataset) == []
    folder.mkdir()
    assert use(folder / "file").ok


def test_a_folder_in_place_of_a_file(use: Use, box: Sandbox, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is a folder\. Name a file in it\.") as caught:
        use(tmp_path)
    assert "emove" not in str(caught.value)
    assert box.rows(dataset) == []
    assert use(tmp_path / "file").ok


def test_a_home_directory_that_nobody_expanded(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box: Sandbox, dataset: Dataset
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = Path("~/file")
    with pytest.raises(ConfigurationError, match=r'"~" is not expanded: pass path\.expanduser\(\)\.'):
        use(path)
    assert box.rows(dataset) == []
    assert use(path.expanduser()).ok


def test_a_store_that_is_a_file_of_yours(client: Any, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine\n" * 100)
    with pytest.raises(ConfigurationError, match=r"left unchanged\. Name one that does not exist yet") as caught:
        client.with_options(rate_limit=RateLimit(store=notes)).accounts.list()
    assert "emove" not in str(caught.value)
    assert notes.read_text() == "mine\n" * 100


@pytest.mark.parametrize("table", ["logs (line text)", "orders (id integer)"])
def test_a_store_that_is_a_database_of_yours(client: Any, box: Sandbox, tmp_path: Path, table: str) -> None:
    store = tmp_path / "yours.sqlite"
    with closing(sqlite3.connect(store)) as db:
        db.execute(f"create table {table}")
    held, before = store.read_bytes(), len(box.requests)
    with pytest.raises(ConfigurationError, match=r"left unchanged\. Name one that does not exist yet") as caught:
        client.with_options(rate_limit=RateLimit(store=store)).accounts.list()
    assert "emove" not in str(caught.value)
    assert store.read_bytes() == held
    assert len(box.requests) == before
    client.with_options(rate_limit=RateLimit(store=tmp_path / "another")).accounts.list()


def test_a_store_that_is_a_journal(client: Any, box: Sandbox, dataset: Dataset, tmp_path: Path) -> None:
    """Its tables among those of the journal would be taken for damage, and then nobody knew what was sent."""
    rows, journal = [{"id": 1}, {"id": 2}], tmp_path / "journal"
    client.datasets.ingest(dataset, rows, journal=journal)
    with pytest.raises(ConfigurationError, match="left unchanged"):
        client.with_options(rate_limit=RateLimit(store=journal))
    assert client.datasets.ingest(dataset, rows, journal=journal).appended == 2


def test_a_store_that_another_process_keeps_locked(
    client: Any, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databox.limit.file._PATIENCE", 0.5)
    limited = client.with_options(rate_limit=RateLimit(store=tmp_path / "store"))
    limited.accounts.list()
    before = len(box.requests)
    with closing(sqlite3.connect(tmp_path / "store")) as db:
        db.execute("begin exclusive")
        with pytest.raises(ConfigurationError, match=r"kept it locked for 0\.5 seconds.*try again when") as caught:
            limited.accounts.list()
        assert "emove" not in str(caught.value), "a journal may be what is locked"
        assert len(box.requests) == before
    limited.accounts.list()


def test_a_store_that_is_the_journal_of_a_run_under_way(
    client: Any, box: Sandbox, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left alone even where it cannot be looked into."""
    monkeypatch.setattr("databox.limit.file._PATIENCE", 0.5)
    journal = tmp_path / "journal"

    def rows() -> Iterator[dict[str, int]]:
        for number in range(300):
            if number == 250:
                with (
                    Databox(box.api_key, box.url, rate_limit=RateLimit(store=journal)) as limited,
                    pytest.raises(ConfigurationError, match="kept it locked"),
                ):
                    limited.accounts.list()
            yield {"id": number}

    assert client.datasets.ingest(dataset, rows(), journal=journal).appended == 300
    assert client.datasets.ingest(dataset, [{"id": n} for n in range(300)], journal=journal).appended == 300
