"""The log of requests in a file, so that all processes on a machine share one limit."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

from databox.databases import beside, cause_of, is_database, layout_of
from databox.errors import ConfigurationError
from databox.forks import undivided
from databox.limit.rate import HOUR, RateLimit, Slot, next_time
from databox.paths import lack_at
from databox.wording import Message, message

__all__ = ["StoredLog"]

T = TypeVar("T")

_SCHEMA = """
create table logs (name text primary key, seen real not null, paused_until real not null, generation integer not null);
create table slots (id integer primary key autoincrement, log text not null, at real not null, gone integer not null);
create index slots_in_order on slots (log, at);
"""
_ANOTHER = "Name one that does not exist yet in RateLimit(store=…)."
_ANOTHER_KIND = f"it is another kind of file, left unchanged. {_ANOTHER}"
_PATIENCE = 10.0
"""Seconds to wait for another process to release the file, which it holds for less than a millisecond."""
_AT_ONCE = 0.1
"""Of these, seconds to wait without letting other threads have their turn, or fork."""


def _wall_clock_offset() -> float:
    return time.time() - time.monotonic()


class StoredLog:
    """The log of one key and host, shared by all that name the file.

    Processes have the wall clock in common, so the file stores wall-clock times. If the clock is set back, all recorded
    times move with it. A process that is killed leaves its slots taken, so the limit is never exceeded.

    Args:
        path: the file; created if it does not exist.
        name: identifies the key and host.
        offset: the difference from the caller's clock to the clock in the file.

    Raises:
        ConfigurationError: the file cannot be used, here and in each method.
    """

    def __init__(self, path: Path, name: str, offset: Callable[[], float] = _wall_clock_offset) -> None:
        self._path = path
        self._name = name
        self._offset = offset
        with suppress(sqlite3.OperationalError):  # another process has it locked, so it is in use
            self._attempt(lambda _: None)  # to find out now whether it can be used

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return a slot at the next time that both windows allow, granted if that is now."""
        offset = self._offset()
        return self._do(lambda db: self._reserve(db, now + offset, offset, limit))

    def claim(self, slot: Slot, now: float, limit: RateLimit) -> Slot:
        """Return the slot, granted if the request may be sent now; otherwise the slot at which to ask again."""
        offset = self._offset()
        return self._do(lambda db: self._claim(db, slot, now + offset, offset, limit))

    def release(self, slot: Slot) -> None:
        """Give up a slot that was not granted, because its request is no longer wanted."""
        self._do(lambda db: db.execute("delete from slots where id = ? and not gone", (slot.id,)))

    def correct(self, slot: Slot, at: float) -> None:
        """Record that the request of a granted slot was sent later than planned."""
        moved = (at + self._offset(), slot.id)
        self._do(lambda db: db.execute("update slots set at = ? where id = ?", moved))

    def pause(self, now: float, seconds: float) -> None:
        """Pause for some seconds, because the server asked for it; later slots become void."""
        now += self._offset()
        self._do(lambda db: self._pause(db, now, seconds))

    def _claim(self, db: sqlite3.Connection, slot: Slot, now: float, offset: float, limit: RateLimit) -> Slot:
        paused_until, generation = self._state(db, now)
        if slot.generation != generation:
            return self._reserve(db, now, offset, limit)
        gone = partial(self._latest, db, "select at from slots where log = ? and gone")
        at = next_time(limit, now, paused_until, gone)
        db.execute("update slots set at = ?, gone = ? where id = ?", (at, at <= now, slot.id))
        return Slot(at - offset, generation, at <= now, slot.id)

    def _pause(self, db: sqlite3.Connection, now: float, seconds: float) -> None:
        self._state(db, now)
        query = "update logs set paused_until = max(paused_until, ?), generation = generation + 1 where name = ?"
        db.execute(query, (now + seconds, self._name))
        db.execute("delete from slots where log = ? and not gone", (self._name,))

    def _reserve(self, db: sqlite3.Connection, now: float, offset: float, limit: RateLimit) -> Slot:
        paused_until, generation = self._state(db, now)
        db.execute("delete from slots where log = ? and at <= ?", (self._name, now - HOUR))
        planned = partial(self._latest, db, "select at from slots where log = ?")
        at = next_time(limit, now, paused_until, planned)
        query = "insert into slots (log, at, gone) values (?, ?, ?)"
        made = db.execute(query, (self._name, at, at <= now)).lastrowid or 0
        return Slot(at - offset, generation, at <= now, made)

    def _state(self, db: sqlite3.Connection, now: float) -> tuple[float, int]:
        """The end of the pause, and the number of pauses; moves recorded times if the clock was set back."""
        query = "select seen, paused_until, generation from logs where name = ?"
        seen, paused_until, generation = db.execute(query, (self._name,)).fetchone()
        set_back = max(0.0, seen - now)
        if set_back > 1:  # smaller differences come from the order in which processes read it
            paused_until -= set_back
            db.execute("update slots set at = at - ? where log = ?", (set_back, self._name))
        if set_back > 1 or seen < now:
            db.execute("update logs set seen = ?, paused_until = ? where name = ?", (now, paused_until, self._name))
        return paused_until, generation

    def _latest(self, db: sqlite3.Connection, query: str, count: int) -> float | None:
        row = db.execute(f"{query} order by at desc limit 1 offset ?", (self._name, count - 1)).fetchone()
        return row and float(row[0])

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of work in one transaction, once no other process has the file locked."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._attempt(work)
            except sqlite3.OperationalError as error:
                if time.monotonic() > end:
                    raise self._unusable(_remedy(error)) from None
            time.sleep(_AT_ONCE / 10)

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it now.

        Raises:
            ConfigurationError: the file cannot be used.
            sqlite3.OperationalError: another process has it locked.
        """
        try:
            with undivided:
                return self._done(work)
        except (OSError, sqlite3.Error) as error:
            if cause_of(error).startswith("BUSY"):
                raise
            problem = error
        raise self._unusable(lack_at(self._path) or _remedy(problem))

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._look()
        # Opened each time, which is cheap at ten requests a second, and survives removal of the file.
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=_AT_ONCE)) as db:
            db.execute("pragma synchronous = off")  # a power cut takes longer than a second
            db.execute("begin immediate")
            if not self._path.stat().st_size:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
            elif layout_of(db) != _layout():
                raise self._unusable(_ANOTHER_KIND)
            db.execute("insert or ignore into logs values (?, 0, 0, 0)", (self._name,))
            result = work(db)
            db.execute("commit")
        return result

    def _look(self) -> None:
        """Create the file if there is none, and refuse what SQLite must not open."""
        with suppress(FileExistsError):
            os.close(os.open(os.path.realpath(self._path), os.O_CREAT | os.O_EXCL, 0o600))  # nobody else may read it
        if not self._path.is_file() or (self._path.stat().st_size and not is_database(self._path)):
            raise self._unusable(lack_at(self._path) or _ANOTHER_KIND)
        if other := beside(self._path):
            raise self._unusable(f"{other} is beside it, which SQLite would delete as a part of it. {_ANOTHER}")

    def _unusable(self, why: Message | str) -> ConfigurationError:
        return ConfigurationError(
            message(f"The store of the rate limit, {self._path}, cannot be used: ", why, " Nothing is sent without it.")
        )


@cache
def _layout() -> dict[str, str]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(_SCHEMA)
        return layout_of(db)


def _remedy(error: Exception) -> str:
    cause = cause_of(error)
    if cause.startswith("BUSY"):
        return (
            f"another process has kept it locked for {_PATIENCE:g} seconds. If it belongs to something else, such as a "
            "journal, name another file in RateLimit(store=…); otherwise try again when that process has ended."
        )
    if cause.startswith(("FULL", "IOERR")):
        return f"{error}. Make room on the disk, or check it."
    if isinstance(error, PermissionError) or cause.startswith(("READONLY", "CANTOPEN", "PERM", "AUTH")):
        said = getattr(error, "strerror", None) or error
        return f"{said}. Let this user write to it and to its folder, and see that not too many files are open."
    if cause in ("CORRUPT", "NOTADB"):
        return f"it is damaged: {error}. {_ANOTHER} What was sent before does not count there."
    return f"{getattr(error, 'strerror', None) or error}. {_ANOTHER}"
