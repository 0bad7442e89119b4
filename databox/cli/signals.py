"""What signals do while a command runs."""

import contextlib
import signal
from collections.abc import Callable, Generator
from types import FrameType

__all__ = ["as_interrupts", "handled"]


@contextlib.contextmanager
def handled(handler: Callable[[int, FrameType | None], object], *numbers: signal.Signals) -> Generator[None]:
    """Have these signals handled so, and afterwards as before, for those who run a command in their own process."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, was in before.items():
            if signal.getsignal(number) is handler:  # else it was set to be ignored to the end
                signal.signal(number, was)


@contextlib.contextmanager
def as_interrupts() -> Generator[None]:
    """Have a request to terminate, and the loss of the terminal, end what runs as Ctrl-C does."""
    with handled(signal.default_int_handler, signal.SIGTERM), handled(_hung_up, *_hangups()):
        yield


def _hangups() -> list[signal.Signals]:
    """SIGHUP, unless the command is to outlive its terminal, as under nohup. Windows has no such signal."""
    hangup = getattr(signal, "SIGHUP", None)
    return [hangup] if hangup and signal.getsignal(hangup) is not signal.SIG_IGN else []


def _hung_up(number: int, frame: FrameType | None) -> None:
    """Interrupt once: both the kernel and the shell send this signal, and the second is no wish to end sooner. It may
    come when all has been told, and must not change the exit code even then."""
    signal.signal(number, signal.SIG_IGN)
    signal.default_int_handler(number, frame)
