"""Finds the log of a client's requests: one per key and host for the whole process."""

import hashlib
import threading
from pathlib import Path

from databox.forks import renewed_in_children, undivided
from databox.limit.rate import Log, RequestLog
from databox.secret import Secret

__all__ = ["shared_log"]


class _Logs:
    """All logs of this process, by key, host and store."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, Path | str | None], Log] = {}
        self.after_fork()
        renewed_in_children(self)

    def after_fork(self) -> None:
        """Use a new lock that no thread of the parent holds."""
        self.lock = threading.Lock()


_logs = _Logs()


def shared_log(key: Secret[str], host: str, store: Path | str | None = None) -> Log:
    """Return the log that all clients of this process with the same key, host and store share.

    Raises:
        ConfigurationError: the store cannot be used.
    """
    name = hashlib.sha256(f"{host} {key.reveal()}".encode()).hexdigest()
    with _logs.lock:
        log = _logs.known.get((name, store))
        if log is None:
            log = _logs.known[name, store] = RequestLog() if store is None else _stored_log(store, name)
        return log


def _stored_log(store: Path | str, name: str) -> Log:
    if isinstance(store, str):
        with undivided:
            from databox.limit.redis import RedisLog  # an extra

        return RedisLog(store, name)
    with undivided:
        from databox.limit.file import StoredLog  # SQLite is needed only for a shared limit

    return StoredLog(store, name)
