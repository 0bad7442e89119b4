"""What signals do while a command runs."""

import contextlib
import signal
from collections.abc import Callable, Generator
from types import FrameType

__all__ = ["handled"]


@contextlib.contextmanager
def handled(handler: Callable[[int, FrameType | None], object], *numbers: signal.Signals) -> Generator[None]:
    """Have these signals handled so, and afterwards as before, for those who run a command in their own process."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)
