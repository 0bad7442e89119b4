"""Whether a socket can be read, or written."""

import math
import select
import socket
import time

__all__ = ["is_ready", "is_ready_soon"]

SOON = 0.0001
"""How long to look before going to sleep, in seconds. An answer from the same machine takes about as long, and sleeping
until it arrives takes twice as long."""


def is_ready(stream: socket.socket, seconds: float | None, *, writing: bool) -> bool:
    """Wait until a socket can be read, or written, at most for some seconds; None sets no limit."""
    if hasattr(select, "poll"):
        poll = select.poll()  # which takes a socket of any number
        poll.register(stream, select.POLLOUT if writing else select.POLLIN)
        return bool(poll.poll(None if seconds is None else math.ceil(seconds * 1000)))
    writes = [stream] if writing else []  # on Windows, where a connection that failed is an exceptional condition
    return any(select.select([] if writing else [stream], writes, writes, seconds))


def is_ready_soon(stream: socket.socket, *, writing: bool) -> bool:
    """Whether a socket can be read, or written, now or in a moment."""
    end = time.monotonic() + SOON
    while not (ready := is_ready(stream, 0, writing=writing)):
        if time.monotonic() > end:
            break
    return ready
