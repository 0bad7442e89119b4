"""Resets what a forked child must not share: its parent's connections, and locks held by the parent's threads.

A program may create its client before it forks (gunicorn with `preload_app`, Celery, multiprocessing).
"""

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["renewed_in_children", "undivided"]

undivided = threading.RLock()
"""Held during what a fork must not come in the middle of: an import, which a child could never finish, and the use of
an SQLite file, whose locks nobody there would release. The fork waits."""


class Renewable(Protocol):
    def after_fork(self) -> None:
        """Reset in a child, before anything else runs there."""
        ...


_renewables: WeakSet[Renewable] = WeakSet()


def renewed_in_children(renewable: Renewable) -> None:
    """Call an object's `after_fork` in every child, for as long as the object lives."""
    _renewables.add(renewable)


def _renew() -> None:
    for renewable in list(_renewables):
        renewable.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows does not fork
    os.register_at_fork(after_in_child=_renew)
    os.register_at_fork(before=undivided.acquire, after_in_parent=undivided.release, after_in_child=undivided.release)
