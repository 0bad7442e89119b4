"""When requests went out, kept in a file, so that all processes of a machine share one limit."""

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

from databox.errors import ConfigurationError
from databox.limits import HOUR, RateLimit, Slot, next_time

__all__ = ["StoredLog"]

_SCHEMA = (
    """create table if not exists logs (
    name text primary key, seen real not null, paused_until real not null, generation integer not null)""",
    "create table if not exists requests (log text not null, at real not null)",
    "create index if not exists requests_in_order on requests (log, at)",
)
_PATIENCE = 10.0
"""Seconds to wait for another process to let go of the file, which it holds for less than a millisecond."""


def _wall_clock_offset() -> float:
    return time.time() - time.monotonic()


class StoredLog:
    """The log of one key and host, shared by all who name the file.

    Processes have the wall clock in common, so that is what the file holds. When it is set back, all that was noted
    moves with it. A process that is killed leaves its slots taken, so nobody sends more than is allowed.

    Args:
        path: the file; made when it is not there.
        name: whose requests these are.
        offset: what to add to the caller's clock to get the one in the file.

    Raises:
        ConfigurationError: the file cannot be used, here and in each method.
    """

    def __init__(self, path: Path, name: str, offset: Callable[[], float] = _wall_clock_offset) -> None:
        self._path = path
        self._name = name
        self._offset = offset
        with self._transaction():
            pass  # to learn now whether it can be used

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return the next time at which a request keeps within both windows, and note it as taken."""
        offset = self._offset()
        with self._transaction() as db:
            paused_until, generation = self._state(db, now + offset)
            db.execute("delete from requests where log = ? and at <= ?", (self._name, now + offset - HOUR))
            at = next_time(limit, now + offset, paused_until, lambda count: self._latest(db, count))
            db.execute("insert into requests values (?, ?)", (self._name, at))
        return Slot(at - offset, generation)

    def holds(self, slot: Slot) -> bool:
        """Return whether the slot still counts; after a pause a new one has to be reserved."""
        with self._transaction() as db:
            (generation,) = db.execute("select generation from logs where name = ?", (self._name,)).fetchone()
        return bool(slot.generation == generation)

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing go out for some seconds, because the server asked for it; slots ahead are void."""
        now += self._offset()
        with self._transaction() as db:
            self._state(db, now)
            query = "update logs set paused_until = max(paused_until, ?), generation = generation + 1 where name = ?"
            db.execute(query, (now + seconds, self._name))
            db.execute("delete from requests where log = ? and at > ?", (self._name, now))

    def _state(self, db: sqlite3.Connection, now: float) -> tuple[float, int]:
        """Until when all wait, and how often they had to; moves what is noted if the clock was set back."""
        query = "select seen, paused_until, generation from logs where name = ?"
        seen, paused_until, generation = db.execute(query, (self._name,)).fetchone()
        set_back = max(0.0, seen - now)
        if set_back > 1:  # less is the order in which processes came to look
            paused_until -= set_back
            db.execute("update requests set at = at - ? where log = ?", (set_back, self._name))
        if set_back > 1 or seen < now:
            db.execute("update logs set seen = ?, paused_until = ? where name = ?", (now, paused_until, self._name))
        return paused_until, generation

    def _latest(self, db: sqlite3.Connection, count: int) -> float | None:
        query = "select at from requests where log = ? order by at desc limit 1 offset ?"
        row = db.execute(query, (self._name, count - 1)).fetchone()
        return row and float(row[0])

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection, None, None]:
        # Opened each time, which costs little at ten requests a second, and survives forks and a file that was removed.
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None, timeout=_PATIENCE)) as db:
                db.execute("pragma synchronous = off")  # a power cut takes longer than a second
                db.execute("begin immediate")
                for statement in _SCHEMA:
                    db.execute(statement)
                db.execute("insert or ignore into logs values (?, 0, 0, 0)", (self._name,))
                yield db
                db.execute("commit")
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"The store of the rate limit, {self._path}, cannot be used: {error}. Nothing is sent without it. "
                "Mend or remove the file, or name another one in RateLimit(store=…)."
            ) from None
