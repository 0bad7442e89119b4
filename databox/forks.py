"""What a forked child must not go on with: its parent's connections, and locks that only the parent's threads let go.

A program may make its client before it forks (gunicorn with `preload_app`, Celery, multiprocessing).
"""

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["Lock", "renewed_in_children"]


class Renewable(Protocol):
    def after_fork(self) -> None:
        """Start anew in a child, before anything else runs there."""
        ...


_renewables: WeakSet[Renewable] = WeakSet()


def renewed_in_children(renewable: Renewable) -> None:
    """Have an object's `after_fork` called in every child, for as long as the object lives."""
    _renewables.add(renewable)


def _renew() -> None:
    for renewable in list(_renewables):
        renewable.after_fork()


class Lock:
    """A lock that is free in every forked child, even if another thread of the parent held it at that moment."""

    def __init__(self) -> None:
        self.after_fork()
        renewed_in_children(self)

    def after_fork(self) -> None:
        """Be free."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_renew)
