"""Whether a socket can be read, or written."""

import math
import select
import socket
import time

__all__ = ["Look", "is_ready"]

SOON = 0.0001
"""How long to look before going to sleep, in seconds. An answer from the same machine takes about as long, and sleeping
until it arrives takes twice as long."""


def is_ready(stream: socket.socket, seconds: float | None, *, reading: bool = False, writing: bool = False) -> bool:
    """Wait until a socket can be read, or written, or either, at most for some seconds; None sets no limit."""
    if hasattr(select, "poll"):
        poll = select.poll()  # which takes a socket of any number
        poll.register(stream, (select.POLLIN if reading else 0) | (select.POLLOUT if writing else 0))
        return bool(poll.poll(None if seconds is None else math.ceil(seconds * 1000)))
    writes = [stream] if writing else []  # on Windows, where a connection that failed is an exceptional condition
    return any(select.select([stream] if reading else [], writes, writes, seconds))


class Look:
    """Looks for an answer for a moment before its caller goes to sleep, as long as answers arrive that soon.

    Those of a distant server never do: looking for them would only keep an event loop, with all its tasks, from
    anything else.
    """

    def __init__(self) -> None:
        self._pays = True
        self._began = 0.0

    def begin(self, stream: socket.socket) -> None:
        """Wait for a moment until the socket can be read, if the last answer arrived in a moment."""
        self._began = now = time.monotonic()
        while self._pays and now - self._began < SOON and not is_ready(stream, 0, reading=True):
            now = time.monotonic()

    def end(self) -> None:
        """Record that the answer arrived, whether found by looking or after sleeping."""
        self._pays = time.monotonic() - self._began < 5 * SOON
