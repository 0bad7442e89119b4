"""Whatever goes wrong, in whatever order, the report, the files and the server agree, row by row.

A schedule, drawn from a seed, is a few runs over two inputs with a journal each and one file of dead letters for both:
with faults of all kinds, sources that break off, processes that are killed at any request or write, other options each
time, and a user who edits the files in between. After each run that ended, all of it is compared with what the server
knows. `make schedules SEEDS=500` tries as many with each client.
"""

import json
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest

from databox import BatchOutcome, IngestError, IngestReport, read_records
from databox.ingest.encode import encode
from tests.drive import Driver
from tests.schedules import Dataset, Event, Forks, Server, input_rows, is_valid, key_of
from tests.test_ingest import adds_up

SEEDS = int(os.environ.get("DATABOX_SEEDS", "3"))
IN_A_TEST = 4
"""Few enough that no test gets near its time-out, whatever their number."""
FAULTS = ["lost", "dropped", "500 applied", "500 not", "503 not", "429 not", "400 not", "html applied", "html not"]
DEAD_ROWS = ('{"id": "somebody", "value": -1}\n', '{"torn')


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


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are tested as decisions elsewhere; here they only cost time."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    monkeypatch.setattr("databox.ingest.settle.FIRST_POLL", 0.005)
    monkeypatch.setattr("databox.ingest.patience.FIRST_WAIT", 0.002)
    monkeypatch.setattr("databox.ingest.patience.LOOK", 0.001)


@attrs.define
class Input:
    """One of the inputs, with its dataset and journal."""

    name: str
    seed: int
    keyed: bool
    journal: Path
    rows: list[Any] = attrs.field(init=False)
    resent: bool = False
    """Whether batches were sent again without keys, so that rows may be stored twice."""
    report: IngestReport | None = None
    """The report of its last run that ended."""
    read: int = 0
    torn: bool = False
    """Whether it was killed, perhaps between its writes to the two files."""

    was_killed: bool = False

    def __attrs_post_init__(self) -> None:
        self.rows = input_rows(self.seed, self.keyed)

    def key(self, place: int) -> Any:
        """Return what identifies a valid row."""
        return key_of(self.rows[place]["id"])

    def sent(self, place: int) -> bytes:
        """Return a row's bytes."""
        return encode(self.rows[place], place)[0]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(n, min(SEEDS, n + IN_A_TEST)) for n in range(0, SEEDS, IN_A_TEST)], ids=str)
def test_report_files_and_server_fit_together(
    driver: Driver, server: Server, forks: Forks, tmp_path: Path, seeds: range
) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        Schedule(driver, server, forks, folder, seed).run()


class Schedule:
    """Some runs over two inputs."""

    def __init__(self, driver: Driver, server: Server, forks: Forks, folder: Path, seed: int) -> None:
        self.driver, self.server, self.forks, self.seed = driver, server, forks, seed
        self.chance = Random(seed)
        self.dead = folder / "dead.jsonl"
        self.reasons = folder / "dead.jsonl.reasons.jsonl"
        self.keyed = self.chance.random() < 0.6
        server.reset(Random(seed))
        self.inputs: list[Input] = []
        for name in "ab":
            server.datasets[name] = Dataset(self.keyed)
            rows = seed if name == "a" or self.chance.random() < 0.5 else seed + 1_000_000  # or the same in both
            self.inputs.append(Input(name, rows, self.keyed, folder / f"{name}.journal"))
        self.killed: set[int] = set()
        self.foreign: list[str] = []
        self.edited = False

    def run(self) -> None:
        if self.chance.random() < 0.3:
            self.dead.write_text(DEAD_ROWS[0])
            self.foreign = self.lines(self.dead)
        for step in range(self.chance.randrange(2, 6)):
            self.server.step = step
            self.server.faults = self.drawn_faults()
            self.one_run(self.chance.choice(self.inputs), dies=self.chance.random() < 0.35)
            if self.chance.random() < 0.15:
                self.edit()
        for step, given in enumerate(self.inputs, 90):
            self.server.step, self.server.faults = step, {}
            self.one_run(given, dies=False, last=True)
            self.check_end(given)

    def drawn_faults(self) -> dict[str, float]:
        faults = {name: self.chance.uniform(0, 0.35) for name in self.chance.sample(FAULTS, 3)}
        if self.chance.random() < 0.15:
            faults["404 not"] = 0.15
        return faults | {"reject": self.chance.choice([0, 0, 0.2]), "poll": self.chance.choice([0, 0.2])}

    def drawn_options(self, given: Input, last: bool) -> dict[str, Any]:
        chance = self.chance
        on_ambiguous = "auto" if last else chance.choice(["auto", "auto", "auto", "report", "resend"])
        if on_ambiguous == "resend" and not given.keyed:
            given.resent = True
        return {
            "primary_keys": ["id"] if given.keyed else None,
            "batch_size": chance.choice([1, 2, 3, 5, 20]),
            "max_batch_bytes": chance.choice([64, 100, 1_000_000, 1_000_000]),
            "concurrency": chance.choice([1, 2, 5]),
            "verify": "counts" if last else chance.choice(["counts", "counts", "status", None]),
            "verify_timeout": 5.0 if last else 0.2,
            "on_ambiguous": on_ambiguous,
            "patience": 5.0 if last else chance.choice([0, 0.02, 5.0]),
            "on_refusal": chance.choice(["isolate", "isolate", "report"]),
            "journal": str(given.journal),
            "dead_letter": str(self.dead),
        }

    def one_run(self, given: Input, *, dies: bool, last: bool = False) -> None:
        options = self.drawn_options(given, last)
        retries = self.chance.choice([0, 1, 3])
        before = self.lines_of_others(given)
        if dies:
            self.killed.add(self.server.step)
            self.killed_run(given, options, retries)
        else:
            breaks_at = None if last or self.chance.random() < 0.7 else self.chance.randrange(len(given.rows) + 1)
            self.whole_run(given, options, retries, breaks_at)
        assert self.lines_of_others(given) == before, self.seed
        if not dies:
            self.check(given)

    def killed_run(self, given: Input, options: dict[str, Any], retries: int) -> None:
        chance = self.chance
        die = None
        at_request = chance.random() < 0.6
        if not at_request:
            die = (chance.choice(["journal", "journal", "letters"]), chance.randrange(0, 12), chance.random() < 0.5)
        job = {
            "seed": given.seed,
            "keyed": given.keyed,
            "url": self.server.url,
            "dataset": given.name,
            "options": options,
            "retries": retries,
            "is_async": self.driver.is_async,
            "die": die,
        }
        process = self.forks.start(job)
        if at_request:
            number = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT])
            self.server.kill = (process, number, chance.randrange(0, 12), chance.choice(["before", "between", "after"]))
        status = self.forks.go()
        self.server.drain()
        self.server.kill = None
        os.close(process)
        assert status in (0, -9), self.seed
        given.report, given.torn, given.was_killed = None, given.torn or status == -9, True
        if not given.torn:
            self.check_files()

    def whole_run(self, given: Input, options: dict[str, Any], retries: int, breaks_at: int | None) -> None:
        client = self.driver.client(base_url=self.server.url, max_retries=retries)
        given.read = 0

        def source() -> Iterator[Any]:
            for place, row in enumerate(given.rows):
                if place == breaks_at:
                    raise ConnectionError("the source is gone")
                given.read = place + 1
                yield row
            if breaks_at is not None:
                raise ConnectionError("the source is gone")

        try:
            given.report = client.datasets.ingest(
                given.name, self.driver.source(source()), raise_on_failure=False, **options
            )
        except IngestError as error:
            assert isinstance(error.__cause__, ConnectionError), self.seed
            given.report = error.report
        given.torn = False
        client.close()

    def edit(self) -> None:
        """Edit the files between two runs, as a user may."""
        self.edited = True
        match self.chance.randrange(5):
            case 0 if self.dead.exists():
                lines = self.dead.read_bytes().splitlines(keepends=True)
                self.dead.write_bytes(b"".join(line for line in lines if self.chance.random() < 0.6))
            case 1 if self.dead.exists():
                self.dead.rename(self.dead.with_name(f"moved-{self.chance.random()}"))
            case 2 if self.reasons.exists():
                self.reasons.rename(self.reasons.with_name(f"moved-{self.chance.random()}"))
            case 3:
                with self.dead.open("a") as file:
                    file.write(self.chance.choice(DEAD_ROWS))
            case 4 if self.dead.exists():
                os.truncate(self.dead, max(0, self.dead.stat().st_size - 3))
            case _:
                pass

    # What must hold

    def check(self, given: Input) -> None:
        """Compare the report of a run that ended with the files and the server."""
        report = given.report
        assert report, self.seed
        assert adds_up(report), self.seed
        assert report.rows == given.read, self.seed
        entries: dict[int, BatchOutcome] = {}
        for entry in report.batches:
            for place in range(entry.first_row, entry.first_row + entry.rows):
                assert place not in entries, self.seed  # an entry covers only the rows it is about
                entries[place] = entry
        assert sorted(entries) == list(range(report.rows)), self.seed
        for place, entry in entries.items():
            self.check_outcome(given, place, entry)
        self.check_order(given)
        self.check_letters(given, entries)

    def check_outcome(self, given: Input, place: int, entry: BatchOutcome) -> None:
        events = [each for each in self.server.events if each.dataset == given.name and place in each.values]
        stored = self.server.datasets[given.name].rows[place]
        if not given.keyed and not given.resent:
            assert stored <= 1, (self.seed, place)
        if not is_valid(given.rows[place]):
            assert entry.outcome == "invalid", (self.seed, place)
            assert not events, (self.seed, place)
            assert f"Row {entry.first_row}" in str(entry.error), (self.seed, place)
            return
        match entry.outcome:
            case "accepted":
                event = self.event(entry)
                assert event.acknowledged, (self.seed, place)
                assert place in event.values, (self.seed, place)
            case "ambiguous":
                lost = (not each.acknowledged or each.step in self.killed for each in events)
                assert any(lost) or given.was_killed, (self.seed, place)
            case _:
                assert entry.outcome in ("failed", "unsent"), (self.seed, place)
                assert not stored, (self.seed, place)

    def check_order(self, given: Input) -> None:
        """Check that an old value never overwrites a newer one that was known to be accepted."""
        for put in self.server.datasets[given.name].puts:
            old = put.event_of_old
            known = old.acknowledged and (old.step not in self.killed or old.step == put.event.step)
            assert put.old <= put.new or not known, (self.seed, put.old, put.new)

    def check_letters(self, given: Input, entries: dict[int, BatchOutcome]) -> None:
        letters = [each for each in self.letters() if each["run"] == self.run_id(given)]
        assert [each["index"] for each in letters] == sorted({each["index"] for each in letters}), self.seed
        told = {each["index"]: each for each in letters}
        for place, entry in entries.items():
            letter = told.get(place)
            if entry.outcome == "accepted":
                self.check_accepted(given, place, entry, letter)
            else:
                assert letter, (self.seed, place)
                assert letter["outcome"] == entry.outcome, (self.seed, place)
            if letter:
                self.check_letter(given, place, letter, entries)
        mine = [each["raw"] for each in letters if each["again"] and each["index"] in entries]
        rows = self.lines(self.dead)
        assert not Counter(mine) - Counter(rows), self.seed
        self.check_files()
        if not given.keyed and not self.edited:
            accepted = {given.sent(place).decode() for place, entry in entries.items() if entry.outcome == "accepted"}
            others = {each["raw"] for each in self.letters() if each["run"] != self.run_id(given)}
            rejected = {each["raw"] for each in letters if each["outcome"] == "rejected"}
            assert not (accepted - others - rejected) & set(rows), self.seed

    def check_files(self) -> None:
        """Check that exactly the rows of which the reasons say so may be sent again, and that they can be read."""
        if self.edited or any(given.torn for given in self.inputs):
            return
        rows = self.lines(self.dead)
        assert rows == [*self.foreign, *(each["raw"] for each in self.letters() if each["again"])], self.seed
        if rows:
            with read_records(self.dead) as found:
                assert len(list(found)) == len(rows), self.seed

    def check_accepted(self, given: Input, place: int, entry: BatchOutcome, letter: dict[str, Any] | None) -> None:
        event = self.event(entry)
        assert given.report
        if letter:
            assert letter["outcome"] == "rejected", (self.seed, place)
            unclear = not event.named and len(event.rejected) < len(event.values)
            assert place in event.rejected or (unclear and event.rejected), (self.seed, place)
        elif given.report.verify == "counts" and not given.report.unverified:
            assert place not in event.rejected, (self.seed, place)

    def check_letter(self, given: Input, place: int, letter: dict[str, Any], entries: dict[int, BatchOutcome]) -> None:
        row = given.rows[place]
        if not is_valid(row):
            assert not letter["again"], (self.seed, place)
            return
        assert letter["raw"] == given.sent(place).decode(), (self.seed, place)
        newer = [
            later
            for later, entry in entries.items()
            if given.keyed
            and later > place
            and entry.outcome == "accepted"
            and key_of(given.rows[later]["id"]) == key_of(row["id"])
        ]
        surely = [later for later in newer if later not in self.event(entries[later]).rejected]
        if letter["outcome"] == "rejected" and not self.event(entries[place]).named:
            # All rows of this batch may be sent again, in order.
            surely = [later for later in surely if entries[later].ingestion_id != entries[place].ingestion_id]
        if letter["again"]:
            assert given.keyed or letter["outcome"] != "ambiguous", (self.seed, place)
            assert not surely, (self.seed, place)
        elif letter["outcome"] in ("failed", "unsent") or "Not to be sent again" in letter["reason"]:
            assert newer or self.accepted_later(given, place, len(entries)), (self.seed, place)

    def accepted_later(self, given: Input, place: int, start: int) -> bool:
        """Return whether the server accepted a row with the same key that the last run did not reach."""
        return any(
            later >= start and given.key(later) == given.key(place)
            for event in self.server.events
            if event.dataset == given.name and event.acknowledged
            for later in event.values
        )

    def check_end(self, given: Input) -> None:
        """Check that after a run without faults everything is sent, and the server stores the newest rows."""
        assert given.report
        entries = {
            place: entry
            for entry in given.report.batches
            for place in range(entry.first_row, entry.first_row + entry.rows)
        }
        assert len(entries) == len(given.rows), self.seed
        accepted = {place: self.event(entry) for place, entry in entries.items() if entry.outcome == "accepted"}
        for place, entry in entries.items():
            if not is_valid(given.rows[place]) or place in accepted:
                continue
            if given.keyed:  # it was left out, because a newer one was accepted
                key = key_of(given.rows[place]["id"])
                assert any(later > place and key_of(given.rows[later]["id"]) == key for later in accepted), (
                    self.seed,
                    place,
                )
            else:
                assert entry.outcome == "ambiguous", (self.seed, place)
        made = [place for place, event in accepted.items() if place not in event.rejected]
        dataset = self.server.datasets[given.name]
        if given.keyed:
            newest = {given.key(place): place for place in sorted(made)}
            held = {key: place for key, (place, _) in dataset.held.items()}
            lost = {
                place
                for event in self.server.events
                if event.dataset == given.name and event.applied
                if not event.acknowledged or event.step in self.killed
                for place in event.values
            }
            for key, place in newest.items():
                assert held[key] == place or (held[key] in lost and held[key] > place), (self.seed, key)
            for key, place in held.items():
                assert key in newest or place in lost, (self.seed, key)
        else:
            assert all(dataset.rows[place] for place in made), self.seed

    def event(self, entry: BatchOutcome) -> Event:
        """Return what the server knows about an accepted batch."""
        found = self.server.of_id(entry.ingestion_id or "")
        assert found, self.seed
        return found

    # The files

    def run_id(self, given: Input) -> str | None:
        """Return what distinguishes the lines of an input's runs from others."""
        if not given.journal.exists():
            return None
        with closing(sqlite3.connect(given.journal)) as db:
            found: tuple[str] | None = db.execute("select value from about where name = 'id'").fetchone()
        return found[0] if found else None

    def lines(self, path: Path) -> list[str]:
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def letters(self) -> list[dict[str, Any]]:
        """Return the reasons, and each row as it is written there."""
        found = [line for line in self.lines(self.reasons) if not self.edited or line.startswith('{"index"')]
        return [json.loads(line) | {"raw": line.partition(',"row":')[2][:-1]} for line in found]

    def lines_of_others(self, given: Input) -> list[str]:
        """Return the reasons of another run, as the next run finds them: it completes what a kill interrupted."""
        run_id = self.run_id(given)
        new_rows, new_reasons = (file.with_name(f".{file.name}.new") for file in (self.dead, self.reasons))
        reasons = new_reasons if new_reasons.exists() and not new_rows.exists() else self.reasons
        return [line for line in self.lines(reasons) if f'"run":"{run_id}"' not in line]
