"""What a traceback keeps alive: the local variables of its frames, where libraries had the key or an answer in hand."""

import sys
from contextlib import suppress
from typing import cast

__all__ = ["forget_locals"]

_THEIRS = sys.stdlib_module_names | {"databox", "httpx", "httpcore", "h11", "h2", "hpack", "socksio", "anyio", "trio"}
"""Packages whose frames a request passes through. What the caller's own code had is the caller's to see."""


def forget_locals(error: BaseException) -> None:
    """Clear the local variables of all frames that an error, or what led to it, has come out of.

    The lines stay, so that a traceback reads as before; only who shows locals (`pytest -l`, error trackers) finds none.
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
