"""The log of requests in a file, so that all processes on a machine share one limit."""

import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from databox.errors import ConfigurationError
from databox.limit.rate import HOUR, RateLimit, Slot, next_time
from databox.paths import lack_at
from databox.wording import message

__all__ = ["StoredLog"]

_SCHEMA = (
    """create table if not exists logs (
    name text primary key, seen real not null, paused_until real not null, generation integer not null)""",
    """create table if not exists slots (
    id integer primary key autoincrement, log text not null, at real not null, gone integer not null)""",
    "create index if not exists slots_in_order on slots (log, at)",
)
_FOREIGN = """select 1 from sqlite_master
    where type = 'table' and name not in ('logs', 'slots') and name not like 'sqlite!_%' escape '!'"""
_ANOTHER_KIND = "it is another kind of file, left unchanged. Name one that does not exist yet in RateLimit(store=…)."
_PATIENCE = 10.0
"""Seconds to wait for another process to release the file, which it holds for less than a millisecond."""


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
        with self._transaction():
            pass  # to find out now whether it can be used

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return a slot at the next time that both windows allow, granted if that is now."""
        offset = self._offset()
        with self._transaction() as db:
            return self._reserve(db, now + offset, offset, limit)

    def claim(self, slot: Slot, now: float, limit: RateLimit) -> Slot:
        """Return the slot, granted if the request may be sent now; otherwise the slot at which to ask again."""
        offset = self._offset()
        now += offset
        with self._transaction() as db:
            paused_until, generation = self._state(db, now)
            if slot.generation != generation:
                return self._reserve(db, now, offset, limit)
            gone = partial(self._latest, db, "select at from slots where log = ? and gone")
            at = next_time(limit, now, paused_until, gone)
            db.execute("update slots set at = ?, gone = ? where id = ?", (at, at <= now, slot.id))
            return Slot(at - offset, generation, at <= now, slot.id)

    def correct(self, slot: Slot, at: float) -> None:
        """Record that the request of a granted slot was sent later than planned."""
        with self._transaction() as db:
            db.execute("update slots set at = ? where id = ?", (at + self._offset(), slot.id))

    def pause(self, now: float, seconds: float) -> None:
        """Pause for some seconds, because the server asked for it; later slots become void."""
        now += self._offset()
        with self._transaction() as db:
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

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection, None, None]:
        # Opened each time, which is cheap at ten requests a second, and survives forks and removal of the file.
        if not self._path.exists():
            with suppress(OSError):  # SQLite's error is more precise
                os.close(os.open(self._path.resolve(), os.O_CREAT | os.O_EXCL, 0o600))  # nobody else may read it
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None, timeout=_PATIENCE)) as db:
                db.execute("pragma synchronous = off")  # a power cut takes longer than a second
                db.execute("begin immediate")
                if db.execute(_FOREIGN).fetchone():
                    raise ConfigurationError(self._unusable(_ANOTHER_KIND))
                for statement in _SCHEMA:
                    db.execute(statement)
                db.execute("insert or ignore into logs values (?, 0, 0, 0)", (self._name,))
                yield db
                db.execute("commit")
        except sqlite3.Error as error:
            raise ConfigurationError(self._unusable(lack_at(self._path) or _remedy(error))) from None

    def _unusable(self, why: str) -> str:
        return message(
            f"The store of the rate limit, {self._path}, cannot be used: ", why, " Nothing is sent without it."
        )


def _remedy(error: sqlite3.Error) -> str:
    if error.sqlite_errorname in ("SQLITE_NOTADB", "SQLITE_ERROR"):  # the latter if a table has other columns
        return _ANOTHER_KIND
    if error.sqlite_errorname.startswith("SQLITE_BUSY"):
        return (
            f"another process has kept it locked for {_PATIENCE:g} seconds. If it belongs to something else, such as a "
            "journal, name another file in RateLimit(store=…); otherwise try again when that process has ended."
        )
    return f"{error}. Repair or remove the file, or use another one in RateLimit(store=…)."
