"""Resets what a forked child must not share: its parent's connections, and locks held by the parent's threads.

A program may create its client before it forks (gunicorn with `preload_app`, Celery, multiprocessing).
"""

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["renewed_in_children"]


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
