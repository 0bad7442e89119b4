"""Clears what a traceback keeps alive: local variables of frames in which libraries held the key or an answer."""

import sys
from contextlib import suppress
from typing import cast

__all__ = ["forget_locals"]

_THEIRS = sys.stdlib_module_names | {"databox", "httpx", "httpcore", "h11", "h2", "hpack", "socksio", "anyio", "trio"}
"""Packages whose frames a request passes through. Frames of the caller's own code are left alone."""


def forget_locals(error: BaseException) -> None:
    """Clear the local variables of all frames of an error's traceback, and of those that led to it.

    The lines stay, so a traceback reads as before; only tools that show locals (`pytest -l`, error trackers) find none.
    """
    found, seen = [error], set[int]()
    while found:
        each = found.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        found += [other for other in (each.__cause__, each.__context__) if other is not None]
        if isinstance(each, BaseExceptionGroup):
            found += cast("BaseExceptionGroup[BaseException]", each).exceptions
        trace = each.__traceback__
        while trace is not None:
            if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _THEIRS:
                with suppress(RuntimeError):  # it still runs
                    trace.tb_frame.clear()
            trace = trace.tb_next
