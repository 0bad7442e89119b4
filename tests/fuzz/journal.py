"""Journals and dead letters that are truncated, mixed up or of other runs: the report matches what is stored."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from databox import ConfigurationError, IngestError, IngestReport, InvalidRecordError, read_records
from databox.ingest.encode import encode
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.fuzz.answers import SHORT
from tests.fuzz.spoil import KEY, Case, assert_foreseen, spoiled, tame_log
from tests.test_ingest import adds_up

FAULTS: list[dict[str, Any]] = [{"drop": "after"}, {"drop": "before"}]
FAULTS += [{"status": status} for status in (400, 401, 500, 503)]
FOREIGN = [
    b'{"id":"somebody","value":-1}\n',
    b'{"torn',
    b"\xff\0\n",
    b"\n",
    b'{"index":0,"outcome":"failed","again":true,',
]


@contextmanager
def journal() -> Iterator[Case]:
    """Ingest with a journal through faults, spoil what that left behind, and go on."""
    with (
        Sandbox(api_key=KEY) as box,
        start_blocking_portal() as portal,
        TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in SHORT.items():
            patch.setattr(name, value)

        def case(chance: Random) -> None:
            place = Path(folder, "runs")
            place.mkdir()
            driver = Driver(*chance.choice([("sync", None), ("async", portal)]))
            try:
                box.reset()
                _Runs(chance, driver, box, place).run()
            finally:
                driver.close()
                shutil.rmtree(place)

        yield case


class _Runs:
    """A few runs with one journal."""

    def __init__(self, chance: Random, driver: Driver, box: Sandbox, folder: Path) -> None:
        self._chance, self._driver, self._box, self._folder = chance, driver, box, folder
        self._journal, self._dead = folder / "journal", folder / "dead"
        self._reasons = folder / "dead.reasons.jsonl"
        self._client = driver.client(KEY, box.url)
        self._keyed = chance.random() < 0.5
        keys = ["id"] if self._keyed else None
        source = self._client.data_sources.create("S")
        self._dataset = self._client.datasets.create("D", data_source=source, primary_keys=keys)
        self._other = self._client.datasets.create("E", data_source=source, primary_keys=keys)
        count = chance.choice([1, 5, 20, 60])
        self._rows = [{"id": place % 7 if self._keyed else place, "value": place} for place in range(count)]
        self._sent = {encode(row, 0)[0] for row in self._rows}

    def run(self) -> None:
        chance = self._chance
        for _ in range(chance.choice([1, 1, 2])):
            fault = chance.choice(FAULTS)
            probability = chance.choice([0.2, 0.5, 1.0])
            self._box.inject(Fault("create_ingestion", probability=probability, after=chance.randrange(4), **fault))
            self._ingested(self._journal)
            self._box.clear_faults()
        told = self._harmed()
        asked = len(self._box.requests)
        letters, reasons = self._foreign()
        with tame_log():
            report = self._ingested(self._journal)
        if report is None:
            sent = [each for each in self._box.requests[asked:] if each.operation == "datasets.create_ingestion"]
            assert not sent, "it was refused, and yet something was sent"
        else:
            self._check(report)
        assert not letters - _lines(self._dead), "another's row is gone"
        assert not reasons - _lines(self._reasons), "another's reason is gone"
        self._check_not_doubled()
        if not told:
            assert report is not None, "nothing was wrong with the journal"
            self._check_letters(report)

    def _ingested(self, journal: Path) -> IngestReport | None:
        """Return the report, or None when the run was refused before it began."""
        chance = self._chance
        try:
            found: IngestReport = self._client.datasets.ingest(
                self._dataset,
                self._driver.source(self._rows),
                journal=journal,
                dead_letter=self._dead,
                batch_size=chance.choice([1, 3, 7, 100]),
                concurrency=chance.choice([1, 3]),
                verify=chance.choice(["counts", "counts", "status"]),
                verify_timeout=0.1,
                patience=0,
                raise_on_failure=False,
            )
        except IngestError as error:
            assert_foreseen(error)
            assert isinstance(error.__cause__, ConfigurationError)
            return error.report
        except ConfigurationError as error:
            assert_foreseen(error)
            return None
        return found

    # What happens in between

    def _harmed(self) -> bool:
        """Spoil something; return whether it is the journal, so that the run may be refused."""
        chance = self._chance
        match chance.randrange(8):
            case 0 if self._journal.exists():
                self._journal.write_bytes(spoiled(chance, self._journal.read_bytes()))
                return True
            case 1 if self._journal.exists():
                os.truncate(self._journal, chance.randrange(self._journal.stat().st_size))
                return True
            case 2 if self._journal.exists():
                self._journal.write_bytes(_mixed_up(chance, self._journal.read_bytes()))
                return True
            case 3:
                beside = self._journal.with_name(f"journal{chance.choice(['-journal', '-wal', '-shm'])}")
                beside.write_bytes(spoiled(chance, self._journal.read_bytes() if chance.random() < 0.5 else b"\0" * 99))
                return True
            case 4:
                self._client.datasets.ingest(
                    self._other, self._driver.source(self._rows), journal=self._folder / "other", verify=None
                )
                shutil.copy(self._folder / "other", self._journal)
                return True
            case 5 | 6:
                for path in (self._dead, self._reasons):
                    if chance.random() < 0.7:
                        path.write_bytes(self._letters(path.read_bytes() if path.exists() else b""))
            case _:
                for path in chance.choices([self._dead, self._reasons], k=2):
                    new = path.with_name(f".{path.name}.new")
                    new.write_bytes(self._letters(path.read_bytes() if path.exists() else b""))
        return False

    def _letters(self, good: bytes) -> bytes:
        chance, lines = self._chance, good.splitlines(keepends=True)
        match chance.randrange(5):
            case 0:
                chance.shuffle(lines)
            case 1:
                lines = [line for line in lines if chance.random() < 0.6]
            case 2:
                lines *= 2
            case 3:
                lines.insert(chance.randrange(len(lines) + 1), chance.choice(FOREIGN))
            case _:
                return spoiled(chance, good)
        return b"".join(lines)

    def _foreign(self) -> tuple[Counter[bytes], Counter[bytes]]:
        """The lines that none of our runs can have written."""
        leftovers = any(self._folder.glob(".*.new"))
        if leftovers:  # a replacement that was cut short is finished first, whatever it holds
            return Counter(), Counter()
        rows = Counter(
            {line: count for line, count in _lines(self._dead).items() if line.rstrip(b"\r") not in self._sent}
        )
        reasons = {line: count for line, count in _lines(self._reasons).items() if b'"run":"' not in line}
        return rows, Counter(reasons)

    # What must hold

    def _check(self, report: IngestReport) -> None:
        assert adds_up(report)
        assert KEY not in str(report)
        held = Counter(row["value"] for row in self._box.rows(self._dataset))
        newest: dict[int, tuple[int, bool]] = {}
        for entry in report.batches:
            for place in range(entry.first_row, entry.first_row + entry.rows):
                row = self._rows[place]
                if entry.outcome == "accepted":
                    newest[row["id"]] = max(newest.get(row["id"], (-1, False)), (place, True))
                elif entry.outcome == "ambiguous":
                    newest[row["id"]] = max(newest.get(row["id"], (-1, False)), (place, False))
                else:
                    assert self._keyed or not held[place], f"row {place} is {entry.outcome}, and stored"
        for place, is_sure in newest.values():
            assert held[place] or not is_sure, f"row {place} is accepted, and not stored"
        if report.ok:
            assert len(newest) == len({row["id"] for row in self._rows}), "it is ok, and rows are missing"

    def _check_not_doubled(self) -> None:
        held = Counter(row["value"] for row in self._box.rows(self._dataset))
        assert max(held.values(), default=0) <= 1, "a row is stored twice"
        assert not held.keys() - set(range(len(self._rows)))

    def _check_letters(self, report: IngestReport) -> None:
        """Each row that did not make it is told, and what may go again can be read, unless somebody else spoiled it."""
        reasons = self._reasons.read_bytes() if self._reasons.exists() else b""
        for entry in report.batches:
            for place in range(entry.first_row, entry.first_row + entry.rows):
                told = b'{"index":%d,' % place in reasons
                assert told or entry.outcome == "accepted", f"row {place} is {entry.outcome}, and not told"
        if self._dead.exists():
            try:
                with read_records(self._dead, format="jsonl") as records:
                    list(records)
            except InvalidRecordError as error:
                assert_foreseen(error)


def _mixed_up(chance: Random, data: bytes) -> bytes:
    """A database whose pages are in another order."""
    pages = [data[start : start + 4096] for start in range(0, len(data), 4096)]
    match chance.randrange(3):
        case 0:
            chance.shuffle(pages)
        case 1:
            pages[chance.randrange(len(pages))] = chance.choice(pages)
        case _:
            first, *others = pages
            pages = [first, *others[::-1]]
    return b"".join(pages)


def _lines(path: Path) -> Counter[bytes]:
    found = path.read_bytes() if path.exists() else b""
    return Counter(found.removesuffix(b"\n").split(b"\n") if found else ())
