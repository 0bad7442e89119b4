"""Loopback ports that no other process gets, although nobody listens on them yet, or any more."""

import socket
from types import TracebackType
from typing import Self

__all__ = ["Port"]


class Port:
    """A port at which connections are refused until a server of ours listens on it, as often as it likes.

    A port that is merely free may be given to another process of the suite at any moment. This one is bound; on Linux a
    server may listen on it all the same, because all of them set SO_REUSEADDR.
    """

    def __init__(self) -> None:
        self._bound = socket.socket()
        self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._bound.bind(("127.0.0.1", 0))
        self.number: int = self._bound.getsockname()[1]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.number}"

    def close(self) -> None:
        """Let others have it."""
        self._bound.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
