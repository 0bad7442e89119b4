"""What an error shows to someone who looks at everything: the locals of all frames, and what they contain."""

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, cast

from rich.console import Console
from rich.traceback import Traceback

__all__ = ["chain", "frames", "leaks", "rendered"]

_HERE = str(Path(__file__).parent)
"""The tests' own frames have servers that received the key; a function called `hook` is a caller's, and counts."""


def rendered(error: BaseException) -> Iterator[str]:
    """Return an error as tools that show locals show it."""
    yield "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    console = Console(width=500)
    with console.capture() as captured:
        console.print(Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True))
    yield captured.get()


def leaks(error: BaseException, key: str) -> list[str]:
    """Return where an error shows the key: in which local variable of which frame, or in its own attributes."""
    found = [
        f"{frame.f_code.co_filename}:{frame.f_code.co_name}: {name}"
        for frame in frames(error)
        if _HERE not in frame.f_code.co_filename or frame.f_code.co_name == "hook"
        for name, value in frame.f_locals.items()
        if _shows(value, key)
    ]
    return found + [f"{type(each).__name__}: its words or attributes" for each in chain(error) if _shows(each, key)]


def chain(error: BaseException) -> Iterator[BaseException]:
    """Return an error and everything that led to it."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", each).exceptions


def frames(error: BaseException) -> Iterator[FrameType]:
    """Return all frames that an error, or what led to it, passed through."""
    for each in chain(error):
        for frame, _ in traceback.walk_tb(each.__traceback__):
            yield frame


def _shows(value: Any, key: str, depth: int = 2) -> bool:
    """Return whether a value, or anything inside it, shows a key."""
    if type(value) in (bytes, bytearray, memoryview):
        return key.encode() in bytes(value)
    if key in _repr(value):
        return True
    if isinstance(value, BaseException) and key in str(value):
        return True
    return depth > 0 and any(_shows(inner, key, depth - 1) for inner in _inside(value))


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - an interrupt may leave anybody's object half made
        return ""


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from list(value.keys())
        yield from list(value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from list(value)
    elif not isinstance(value, type) and type(value).__module__ != "builtins":
        yield from list(getattr(value, "__dict__", {}).values())
        for kind in type(value).__mro__:
            slots = getattr(kind, "__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                    yield getattr(value, name)
