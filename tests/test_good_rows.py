"""Good rows get through, whatever the service does for a while, and whichever rows it refuses.

A schedule, drawn from a seed: the service is away a few times, in several ways, and some rows are refused by
themselves; processes are killed in between and go on with a journal. In the end every good row is stored, every bad one
failed by name, and with keys nothing is ambiguous. `DATABOX_SEEDS=300` tries as many schedules with each client.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from databox import BatchOutcome, IngestReport
from tests.drive import Driver
from tests.schedules import Dataset, Forks, Server, input_rows, is_valid, key_of
from tests.test_any_schedule import short_waits  # noqa: F401 - for all tests
from tests.test_ingest import adds_up
from tests.test_ingest_files import reasons

SEEDS = int(os.environ.get("DATABOX_SEEDS", "4"))
IN_A_TEST = 4
SURE = ["503 not", "429 not"]
OPEN = ["500 not", "500 applied", "lost", "dropped"]


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """Processes to kill."""
    with Forks() as forks:
        yield forks


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server that knows what it did."""
    with Server() as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(n, min(SEEDS, n + IN_A_TEST)) for n in range(0, SEEDS, IN_A_TEST)], ids=str)
def test_good_rows_are_stored_and_bad_ones_named(
    driver: Driver, server: Server, forks: Forks, tmp_path: Path, seeds: range
) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        Schedule(driver, server, forks, folder, seed).run()


class Schedule:
    """Run over one input until a run has ended."""

    def __init__(self, driver: Driver, server: Server, forks: Forks, folder: Path, seed: int) -> None:
        self.driver, self.server, self.forks, self.folder, self.seed = driver, server, forks, folder, seed
        chance = self.chance = Random(seed)
        self.keyed = chance.random() < 0.5
        self.rows = input_rows(seed, self.keyed)
        server.reset(Random(seed))
        server.datasets["d"] = Dataset(self.keyed)
        valid = [place for place, row in enumerate(self.rows) if is_valid(row)]
        server.bad = frozenset(chance.sample(valid, min(len(valid), chance.choice([0, 1, 2, 5]))))
        kinds, start = [*SURE, *(OPEN if self.keyed else [])], chance.randrange(-12, 5)
        for _ in range(chance.randrange(4)):
            start += chance.randrange(12, 25)  # when it is back, every batch that waited has its turn
            length = chance.randrange(1, 14)
            server.away.append((start, length, chance.choice(kinds)))
            start += length
        server.faults = {"poll": chance.choice([0, 0.2])}
        self.options = {
            "primary_keys": ["id"] if self.keyed else None,
            "concurrency": chance.choice([1, 2, 4]),
            "verify": chance.choice(["counts", None]),
            "journal": str(folder / "journal") if chance.random() < 0.6 else None,
            "dead_letter": str(folder / "dead.jsonl"),
        }
        self.killed = False

    def run(self) -> None:
        if self.options["journal"]:
            for step in range(self.chance.randrange(4)):
                self.server.step = step
                self.killed_run()
        self.server.step = 90
        client = self.driver.client(base_url=self.server.url, max_retries=self.chance.choice([0, 1, 3]))
        report = client.datasets.ingest(
            "d", self.driver.source(iter(self.rows)), raise_on_failure=False, **self.drawn()
        )
        client.close()
        self.check(report)

    def drawn(self) -> dict[str, Any]:
        """Return the options of one run."""
        return self.options | {"batch_size": self.chance.choice([1, 3, 8, 20, 100])}

    def killed_run(self) -> None:
        chance = self.chance
        die = None
        if chance.random() < 0.5:
            die = ("journal", chance.randrange(0, 25), chance.random() < 0.5)
        job = {
            "seed": self.seed,
            "keyed": self.keyed,
            "url": self.server.url,
            "dataset": "d",
            "options": self.drawn(),
            "retries": chance.choice([0, 1, 3]),
            "is_async": self.driver.is_async,
            "die": die,
        }
        process = self.forks.start(job)
        if die is None:
            number = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT])
            self.server.kill = (process, number, chance.randrange(0, 25), chance.choice(["before", "between", "after"]))
        status = self.forks.go()
        self.server.drain()
        self.server.kill = None
        os.close(process)
        assert status in (0, -9), self.seed
        self.killed = True

    def check(self, report: IngestReport) -> None:
        assert adds_up(report), self.seed
        assert (report.rows, report.complete) == (len(self.rows), True), (self.seed, str(report))
        entries = [entry for entry in report.batches for _ in range(entry.rows)]
        places = [place for entry in report.batches for place in range(entry.first_row, entry.first_row + entry.rows)]
        assert places == list(range(len(self.rows))), self.seed
        for place, entry in enumerate(entries):
            self.check_row(place, entry)
        if self.keyed:
            newest = {key_of(self.rows[place]["id"]): place for place in places if self.is_good(place)}
            held = {key: place for key, (place, _) in self.server.datasets["d"].held.items()}
            assert held == newest, self.seed
        letters = {letter["index"] for letter in reasons(self.folder / "dead.jsonl")} if not report.ok else set()
        assert letters == {place for place, entry in enumerate(entries) if entry.outcome != "accepted"}, self.seed

    def is_good(self, place: int) -> bool:
        return is_valid(self.rows[place]) and place not in self.server.bad

    def check_row(self, place: int, entry: BatchOutcome) -> None:
        stored, where = self.server.datasets["d"].rows[place], (self.seed, place, entry)
        if not is_valid(self.rows[place]):
            assert entry.outcome == "invalid", where
        elif place in self.server.bad:
            assert not stored, where
            assert entry.outcome == "failed" or self.may_be_ambiguous(entry), where
            if entry.outcome == "failed":
                assert entry.rows == 1 or self.killed, where
                assert "This is bad." in str(entry.error), where
        else:
            assert stored == 1 or (stored and self.keyed) or self.may_be_ambiguous(entry), where
            assert entry.outcome == "accepted" or self.may_be_ambiguous(entry), where

    def may_be_ambiguous(self, entry: BatchOutcome) -> bool:
        """Without keys, it is unknown what a killed run's last batches did."""
        return entry.outcome == "ambiguous" and not self.keyed and self.killed
