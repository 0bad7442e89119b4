"""Files with rows or keys are readable only by their owner, whatever the umask; existing files keep their mode."""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from databox import Databox, IngestError, RateLimit
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """The umask that a user's shell may have set."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return the modes of the files in a folder, except of those that disappear in the meantime."""
    found: dict[str, int] = {}
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[path.name] = stat.S_IMODE(path.stat().st_mode)
    return found


def lossy(driver: Driver, box: Sandbox, folder: Path, **options: Any) -> None:
    """A run that leaves all its files."""
    client = driver.client(box.api_key, box.url, **options)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["id"])
    box.inject(Fault("create_ingestion", status=400, times=1))
    rows = [{"id": number} for number in range(20)] + [{"id": None}]
    with pytest.raises(IngestError):
        client.datasets.ingest(
            dataset,
            rows,
            batch_size=5,
            concurrency=1,
            on_refusal="report",
            journal=folder / "journal",
            dead_letter=folder / "dead.jsonl",
        )


@pytest.mark.usefixtures("umask")
def test_what_a_run_leaves_behind(driver: Driver, box: Sandbox, tmp_path: Path) -> None:
    lossy(driver, box, tmp_path, rate_limit=RateLimit(1000, 10_000, store=tmp_path / "limit"))
    found = modes(tmp_path)
    assert found.keys() >= {"journal", "dead.jsonl", "dead.jsonl.reasons.jsonl", "limit"}
    assert set(found.values()) == {0o600}


@pytest.mark.usefixtures("umask")
def test_what_is_there_while_it_runs(driver: Driver, box: Sandbox, tmp_path: Path) -> None:
    """SQLite's own files next to the others, and the file in which dead letters are collected."""
    seen: dict[str, int] = {}
    client = driver.client(box.api_key, box.url, rate_limit=RateLimit(1000, 10_000, store=tmp_path / "limit"))
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["id"])

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(50):
            yield {"id": number}
            seen.update(modes(tmp_path))

    client.datasets.ingest(
        dataset, rows(), batch_size=5, journal=tmp_path / "journal", dead_letter=tmp_path / "dead.jsonl"
    )
    assert len(seen) > 2
    assert set(seen.values()) == {0o600}


@pytest.mark.usefixtures("umask")
def test_a_sandboxs_state(tmp_path: Path) -> None:
    with Sandbox(state=tmp_path / "world") as box, Databox(box.api_key, box.url) as client:
        client.data_sources.create("S")
        found = modes(tmp_path)
    assert {"world", "world-wal", "world-shm"} == found.keys()
    assert set(found.values()) == {0o600}


@pytest.mark.usefixtures("umask")
def test_sqlites_side_files_of_a_limit(tmp_path: Path) -> None:
    Databox("some-key-0123456789", rate_limit=RateLimit(store=tmp_path / "limit")).close()
    with sqlite3.connect(tmp_path / "limit") as db:
        db.execute("insert into logs values ('x', 0, 0, 0)")
        assert modes(tmp_path) == {"limit": 0o600, "limit-journal": 0o600}
    db.close()


@pytest.mark.parametrize("mode", [0o640, 0o666])
def test_a_file_that_is_there_keeps_its_mode(driver: Driver, box: Sandbox, tmp_path: Path, mode: int) -> None:
    options = {"rate_limit": RateLimit(1000, 10_000, store=tmp_path / "limit")}
    lossy(driver, box, tmp_path, **options)
    for path in tmp_path.iterdir():
        path.chmod(mode)
    (tmp_path / "journal").unlink()
    lossy(driver, box, tmp_path, **options)
    assert modes(tmp_path) == {
        "journal": 0o600,
        "limit": mode,
        "dead.jsonl": mode,
        "dead.jsonl.reasons.jsonl": mode,
    }


def test_a_link_to_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "limit").symlink_to(tmp_path / "real")
    Databox("some-key-0123456789", rate_limit=RateLimit(store=tmp_path / "limit")).close()
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o600
