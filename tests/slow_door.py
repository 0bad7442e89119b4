"""A relay that delays each new connection, like a distant host behind TLS."""

import socket
import ssl
import time

from tests.relay import Relay


class SlowDoor(Relay):
    """Forwards connections to a server, each after some seconds before its TLS handshake.

    Each takes a little longer than the one before, since many handshakes at once would hold one another up.
    """

    def __init__(self, url: str, tls: ssl.SSLContext, seconds: float) -> None:
        super().__init__(url)
        self._tls = tls
        self._seconds = seconds
        self.url = f"https://127.0.0.1:{self.port}"

    def serve(self, near: socket.socket) -> None:
        """Wait, then forward the connection."""
        time.sleep(self._seconds * (1 + len(self._open) / 30))
        stream = self.secured(near, self._tls)
        self.join(stream, self.far_end())
