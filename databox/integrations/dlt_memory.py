"""What the destination of a dlt pipeline knows: which dataset has which keys, and what of which package was stored.

It lies in the pipeline's working directory and not in the package, as a package goes when it is aborted, and what it
stored stays. Nor is it in the pipeline's state, which dlt sets back then.
"""

import json
import shutil
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from databox import IngestReport

__all__ = ["DIGEST", "Aborted", "Known", "Memory", "Package"]

DIGEST = 16
"""Bytes by which a row is known again."""


@attrs.frozen
class Known:
    """A dataset that the pipeline loads into."""

    id: str
    primary_keys: tuple[str, ...]
    assumed: bool
    """Whether that these are its keys is the user's word."""


@attrs.frozen
class Aborted:
    """A file of a package that was aborted after it had been sent, at least in part; its rows have no lasting keys."""

    load_id: str
    dataset_id: str
    stored: int
    """Rows that were accepted."""
    possible: int
    """Rows that may have been: their answer was lost, or the process killed."""


class Package:
    """A load package: a folder for the journals of its files, and for what became of them.

    Args:
        folder: made when it is first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def load_id(self) -> str:
        """The id that dlt gave it."""
        return self._folder.name

    def journal(self, job_id: str) -> Path:
        """Return where the journal of a file is; it is there as soon as the file is being sent."""
        return self._folder / f"{job_id}.journal"

    def given_up(self, job_id: str) -> Path:
        """Return where the rows of a file go that are given up."""
        folder = self._folder.parents[1] / "given_up" / self.load_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{job_id}.jsonl"

    def plan(self, job_id: str, left_out: "array[int]", digests: bytes | bytearray | None) -> None:
        """Note which rows of a file are left out, and what the others are known again by, without lasting keys."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{job_id}.left_out").write_bytes(left_out.tobytes())
        if digests is not None:
            (self._folder / f"{job_id}.digests").write_bytes(digests)

    def left_out(self, job_id: str) -> "array[int]":
        """Return the places of the rows of a file that are left out.

        Raises:
            ValueError: what was noted of the package is gone.
        """
        try:
            return array("Q", (self._folder / f"{job_id}.left_out").read_bytes())
        except FileNotFoundError:
            raise ValueError(
                f"what was noted of this package is gone from {str(self._folder)!r}, and without it rows that are "
                "stored would be stored twice. Put it back, and run the pipeline again."
            ) from None

    def ended(self, job_id: str, dataset_id: str, report: IngestReport) -> None:
        """Note what became of the rows of a file."""
        spans = {
            outcome: [(batch.first_row, batch.rows) for batch in report.batches if batch.outcome == outcome]
            for outcome in ("accepted", "ambiguous")
        }
        (self._folder / f"{job_id}.ended").write_text(json.dumps({"dataset": dataset_id, **spans}), "utf-8")

    @property
    def accepted(self) -> int:
        """How many rows of all its files were accepted, as far as is known."""
        ends = [json.loads(path.read_text("utf-8")) for path in self._folder.glob("*.ended")]
        return sum(rows for end in ends for _, rows in end["accepted"])

    # Once it was aborted

    def aborted(self, table: str, dataset_id: str) -> Iterator[Aborted]:
        """Walk the files of a table without lasting keys that went to a dataset, or may have."""
        for job_id in self._sent(table):
            end = self._end_of(job_id)
            if end["dataset"] in (dataset_id, None):
                counts = (sum(rows for _, rows in end[outcome]) for outcome in ("accepted", "ambiguous"))
                yield Aborted(self.load_id, dataset_id, *counts)

    def stored(self, table: str, *, possible: bool) -> Counter[bytes]:
        """Return how many rows of a digest were accepted, or may have been as well."""
        found: Counter[bytes] = Counter()
        for job_id in self._sent(table):
            digests, end = (self._folder / f"{job_id}.digests").read_bytes(), self._end_of(job_id)
            for first, rows in [*end["accepted"], *(end["ambiguous"] if possible else ())]:
                found.update(digests[n * DIGEST : (n + 1) * DIGEST] for n in range(first, first + rows))
        return found

    def forget(self, tables: Iterable[str]) -> None:
        """Forget the files of some tables, and all of it when no other was sent."""
        for table in tables:
            for job_id in self._sent(table):
                self.journal(job_id).unlink()
        if not any(self._folder.glob("*.journal")):
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def tables(self) -> set[str]:
        """The tables that it has files of."""
        return {path.name.partition(".")[0] for path in self._folder.glob("*.left_out")}

    def _sent(self, table: str) -> list[str]:
        files = sorted(path.name.removesuffix(".digests") for path in self._folder.glob("*.digests"))
        return [job_id for job_id in files if job_id.partition(".")[0] == table and self.journal(job_id).exists()]

    def _end_of(self, job_id: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self._folder / f"{job_id}.ended").read_text("utf-8")))
        except FileNotFoundError:  # the process was killed
            rows = (self._folder / f"{job_id}.digests").stat().st_size // DIGEST
            return {"dataset": None, "accepted": [], "ambiguous": [(0, rows)]}


class Memory:
    """What is known of a pipeline's datasets and packages.

    Args:
        working_dir: the pipeline's.
    """

    def __init__(self, working_dir: Path) -> None:
        self._folder = working_dir / "databox"
        self._file = self._folder / "datasets.json"

    def known(self, dataset_id: str) -> Known | None:
        """Return what is known of a dataset."""
        found = self._read()["datasets"].get(dataset_id)
        return Known(dataset_id, tuple(found["primary_keys"]), found["assumed"]) if found else None

    def remember(self, dataset: Known, place: str | None) -> None:
        """Remember a dataset, and that it is the one of a place: that of a table without one named for it."""
        content = self._read()
        content["datasets"][dataset.id] = {"primary_keys": dataset.primary_keys, "assumed": dataset.assumed}
        if place:
            content["places"][place] = dataset.id
            content["intended"].pop(place, None)
        self._write(content)

    def dataset_at(self, place: str) -> str | None:
        """Return the id of the dataset that a table of the package goes to."""
        found: str | None = self._read()["places"].get(place)
        return found

    def intend(self, place: str, primary_keys: tuple[str, ...]) -> None:
        """Remember that a dataset is about to be made, as the answer to that may be lost, or this process killed."""
        content = self._read()
        content["intended"][place] = primary_keys
        self._write(content)

    def intended(self, place: str) -> tuple[str, ...] | None:
        """Return the keys with which a dataset was about to be made."""
        found = self._read()["intended"].get(place)
        return None if found is None else tuple(found)

    def package(self, load_id: str) -> Package:
        """Return what is known of a package."""
        return Package(self._folder / "packages" / load_id)

    def aborted(self, load_id: str) -> list[Package]:
        """Return the packages that went away before a package came, without having been loaded."""
        packages = self._folder / "packages"
        names = sorted(path.name for path in packages.iterdir()) if packages.exists() else []
        return [Package(packages / name) for name in names if name != load_id]

    def completed(self, load_id: str) -> None:
        """A package was loaded; what aborted ones had stored of its tables comes no more."""
        own = self.package(load_id)
        for package in self.aborted(load_id):
            package.forget(own.tables)
        shutil.rmtree(self._folder / "packages" / load_id, ignore_errors=True)

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError:
            return {"datasets": {}, "places": {}, "intended": {}}

    def _write(self, content: dict[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(content, indent=1), "utf-8")
        new.replace(self._file)
