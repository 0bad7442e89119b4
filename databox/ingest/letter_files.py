"""The two files of dead letters, which several runs may share: each adds its own lines and leaves those of others.

A line of the reasons says which run it belongs to. A row has no room for that, because it is written as it was sent;
so a journal keeps the digests of its rows, and if another run wrote the same bytes, the order of the reasons
shows which rows are whose.
"""

import errno
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import IO

import attrs
import orjson

from databox.databases import is_database, part_of
from databox.display import visible

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where two runs that share a file must not end at the same moment
    fcntl = None  # type: ignore[assignment]

__all__ = ["Letter", "LetterFiles", "Own", "digest_of", "ours"]

_ROW = b',"row":'
_LINE = re.compile(
    rb'\{"index":(\d{1,18}),"outcome":"[a-z]+","again":(true|false),"run":"([0-9a-f]+)",.*?' + _ROW + rb"(.*)\}\s*",
    re.DOTALL,
)
"""A whole line of the reasons; one that was torn, or edited, is nobody's and stays."""
_SCHEMA = """
create table own (digest blob, row integer primary key);
create index own_by_digest on own (digest);
create table found (digest blob, line integer, primary key (digest, line)) without rowid;
create table owners (digest blob, number integer, ours integer, primary key (digest, number)) without rowid;
create table ours (line integer primary key, row integer);
create table kept (row integer, line blob);
"""


@attrs.frozen
class Letter:
    """A row that was not stored."""

    index: int
    outcome: str
    reason: str
    row: bytes | str
    """The encoded row; or text, if it could not be encoded."""
    again: bool
    """Whether it may be sent again unchanged."""

    def line(self, run_id: str) -> bytes:
        """Return the line of the reasons file."""
        # Before the row there is no text from outside, so that the row can be found again byte for byte.
        about = {
            "index": self.index,
            "outcome": self.outcome,
            "again": self.again,
            "run": run_id,
            "reason": self.reason,
        }
        row = self.row if isinstance(self.row, bytes) else orjson.dumps(self.row)
        return orjson.dumps(about)[:-1] + _ROW + row + b"}\n"


@attrs.frozen
class Own:
    """What a journal knows of the rows that its runs wrote: position and digest."""

    rows: Iterable[tuple[int, bytes]]
    before: int
    """Those from this position on were not read by this run, and stay."""


class LetterFiles:
    """The files of one path.

    Args:
        path: the file of rows that may be sent again; `<path>.reasons.jsonl` next to it lists all rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.reasons = self.path.with_name(self.path.name + ".reasons.jsonl")
        self._new_rows, self._new_reasons = (file.with_name(f".{file.name}.new") for file in (self.path, self.reasons))

    def check(self) -> None:
        """Raise an OSError if the files cannot be written; leave nothing behind, and devices and pipes alone."""
        for file in (self.path, self.reasons):
            if file.exists() and not file.is_file() and not file.is_dir():
                raise OSError(errno.EINVAL, "it is not a regular file")
            if is_database(file):
                raise OSError(errno.EINVAL, "it is a database")
        if base := part_of(self.path):
            words = f"it is named like a part of the database {visible(str(base))}, and would be deleted with it"
            raise OSError(errno.EINVAL, words)
        with self._alone():
            _open(self.path, "ab").close()
            _remove_if_empty(self.path)

    def add(self, letters: Iterable[Letter], run_id: str) -> None:
        """Append all letters, or raise an OSError and append none."""
        letters = iter(letters)
        first = next(letters, None)
        if first is None:
            return  # and nothing is touched
        letters = chain([first], letters)
        with self._alone(), _appended(self.reasons) as reasons, _appended(self.path) as rows:
            _write(letters, run_id, rows, reasons)

    def replace(self, letters: Iterable[Letter], run_id: str, own: Own) -> list[tuple[int, bytes]]:
        """Replace the letters that earlier runs of the same journal wrote.

        Returns:
            The rows of this journal that stay in the file although this run did not read them: position and digest.
        """
        with self._alone(), closing(sqlite3.connect("")) as db:  # a temporary file
            db.executescript(_SCHEMA)
            db.executemany("insert or ignore into own (row, digest) values (?, ?)", own.rows)
            self._find(db, run_id)
            with self._replaced() as (rows, reasons):
                self._copy_others(db, run_id, own.before, rows, reasons)
                _write(letters, run_id, rows, reasons)
                kept = self._copy_kept(db, rows, reasons)
        return kept

    def _find(self, db: sqlite3.Connection, run_id: str) -> None:
        """Determine which lines are ours."""
        own = "insert or ignore into own (row, digest) values (?, ?)"
        for index, digest, mine in _offered(self.reasons, run_id):
            if mine:  # a copy of the journal may not know it
                db.execute(own, (index, digest))
        known = "where exists (select 1 from own where digest = ?1)"
        for number, (_, digest, mine) in enumerate(_offered(self.reasons, run_id)):
            db.execute(f"insert into owners select ?1, ?2, ?3 {known}", (digest, number, mine))
        for number, line in enumerate(_lines(self.path)):
            db.execute(f"insert into found select ?1, ?2 {known}", (digest_of(line.rstrip(b"\r\n")), number))
        for (digest,) in db.execute("select distinct digest from found").fetchall():
            lines, owners, rows = (
                [value for (value,) in db.execute(query, (digest,))]
                for query in (
                    "select line from found where digest = ? order by line",
                    "select ours from owners where digest = ? order by number",
                    "select row from own where digest = ? order by row",
                )
            )
            taken = ours(lines, owners, len(rows))
            db.executemany("insert into ours values (?, ?)", zip(taken, rows[len(rows) - len(taken) :], strict=True))

    def _copy_others(
        self, db: sqlite3.Connection, run_id: str, before: int, rows: IO[bytes], reasons: IO[bytes]
    ) -> None:
        """Copy the lines of other runs, and set aside those of ours that stay."""
        for line in _lines(self.reasons):
            whole = _LINE.fullmatch(line)
            if whole is None or whole[3].decode() != run_id:
                reasons.write(line)
            elif int(whole[1]) >= before:
                db.execute("insert into kept values (?, ?)", (int(whole[1]), b"r" + line))
        for number, line in enumerate(_lines(self.path)):
            found = db.execute("select row from ours where line = ?", (number,)).fetchone()
            if found is None:
                rows.write(line)
            elif found[0] >= before:
                db.execute("insert into kept values (?, ?)", (found[0], b"l" + line))

    def _copy_kept(self, db: sqlite3.Connection, rows: IO[bytes], reasons: IO[bytes]) -> list[tuple[int, bytes]]:
        kept: list[tuple[int, bytes]] = []
        for row, line in db.execute("select row, line from kept order by row"):
            (reasons if line[:1] == b"r" else rows).write(line[1:])
            if line[:1] == b"l":
                kept.append((row, digest_of(line[1:].rstrip(b"\r\n"))))
        return kept

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Prevent other runs from writing to the files at the same time."""
        if fcntl is None:  # pragma: no cover - Windows
            self._finished()
            yield
            return
        while True:
            file = _open(self.reasons, "ab")
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if _is_still(file, self.reasons) and not self._finished():
                break
            file.close()  # it was replaced or removed while we waited
        with file:
            try:
                yield
            finally:
                if _is_still(file, self.reasons):
                    _remove_if_empty(self.reasons)

    @contextmanager
    def _replaced(self) -> Generator[tuple[IO[bytes], IO[bytes]]]:
        """Files that replace both once they are complete; an empty one removes the original.

        The rows are replaced first. If the process is killed in between, the next one finishes the job: otherwise their
        order would no longer match that of the reasons, which distinguishes lines with the same bytes.
        """
        try:
            with _open(self._new_rows, "wb") as rows, _open(self._new_reasons, "wb") as reasons:
                yield rows, reasons
                for file in (rows, reasons):
                    file.flush()
                    os.fsync(file.fileno())
            for old, new in ((self.path, self._new_rows), (self.reasons, self._new_reasons)):
                with suppress(FileNotFoundError):
                    shutil.copymode(old, new)
            os.replace(self._new_rows, self.path)
        finally:
            self._finished()

    def _finished(self) -> bool:
        """Finish a replacement whose rows are in place, or undo it; return whether it was finished."""
        if self._new_rows.exists():
            self._new_reasons.unlink(missing_ok=True)  # first: alone, they would mean that the rows are in place
            self._new_rows.unlink(missing_ok=True)
            return False
        if not self._new_reasons.exists():
            return False
        os.replace(self._new_reasons, self.reasons)
        _remove_if_empty(self.path)
        _remove_if_empty(self.reasons)
        return True


def ours(lines: Sequence[int], owners: Sequence[bool], own: int) -> Sequence[int]:
    """Return which of several lines with the same bytes are ours.

    Args:
        lines: their positions.
        owners: for each of these rows among the reasons that says it was written, whether it was us.
        own: how many we wrote.
    """
    others = sum(not mine for mine in owners)
    if others and len(lines) == len(owners) and len(owners) - others <= own:
        return [line for line, mine in zip(lines, owners, strict=True) if mine]
    # Someone has edited the files. Lines that may belong to another run stay; of the rest, ours were written last.
    return lines[len(lines) - max(0, min(own, len(lines) - others)) :]


def digest_of(row: bytes | str) -> bytes:
    """Return the digest of a row's bytes."""
    assert isinstance(row, bytes)  # text is not sent again
    return blake2b(row, digest_size=16).digest()


def _write(letters: Iterable[Letter], run_id: str, rows: IO[bytes], reasons: IO[bytes]) -> None:
    for letter in letters:
        reasons.write(letter.line(run_id))
        if letter.again:
            assert isinstance(letter.row, bytes)
            rows.write(letter.row + b"\n")
    rows.flush()
    reasons.flush()


@contextmanager
def _appended(path: Path) -> Generator[IO[bytes]]:
    """A file to append to, which is unchanged if that fails. A truncated last line is ended first."""
    with path.open("rb") if path.exists() else nullcontext() as before:
        size = before.seek(0, os.SEEK_END) if before else 0
        if before and size:
            before.seek(size - 1)
        torn = bool(before and before.read(1) not in b"\n")
    file = _open(path, "ab")
    try:
        if torn:
            file.write(b"\n")
        yield file
        file.flush()
        os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            file.close()  # first, because it may hold back some of the data
        with suppress(OSError):
            os.truncate(path, size)
        raise
    finally:
        file.close()
        _remove_if_empty(path)


def _remove_if_empty(path: Path) -> None:
    with suppress(FileNotFoundError):
        about = path.stat()
        if stat.S_ISREG(about.st_mode) and not about.st_size:
            path.unlink()


def _is_still(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _offered(path: Path, run_id: str) -> Iterator[tuple[int, bytes, bool]]:
    """Iterate over the reasons of rows that may be sent again: position, digest, and whether they belong to a run."""
    for line in _lines(path):
        whole = _LINE.fullmatch(line)
        if whole and whole[2] == b"true":
            yield int(whole[1]), digest_of(whole[4]), whole[3].decode() == run_id


def _lines(path: Path) -> Iterator[bytes]:
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            yield line if line.endswith(b"\n") else line + b"\n"


def _open(path: Path, mode: str) -> IO[bytes]:
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))  # nobody else may read it
