"""A relay between a client and a server: it accepts connections and joins each with one to the server."""

import contextlib
import select
import socket
import ssl
import threading
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """What relays and tunnels have in common; `serve` says what happens to a connection."""

    def __init__(self, url: str) -> None:
        self._far = (urlsplit(url).hostname, urlsplit(url).port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def serve(self, near: socket.socket) -> None:
        """Handle a connection, in its own thread; it is not an error if it is closed in the meantime."""
        raise NotImplementedError

    def secured(self, near: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        """Return the connection wrapped in the server's side of TLS."""
        stream = tls.wrap_socket(near, server_side=True)
        self._open.append(stream)
        return stream

    def far_end(self) -> socket.socket:
        """Return a connection to the server."""
        far = socket.create_connection(self._far)
        self._open.append(far)
        return far

    def join(self, near: socket.socket, far: socket.socket) -> None:
        """Forward what either side sends, until one ends."""
        for each in (near, far):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # otherwise some parts wait 40 ms for others
        ways = {near: far, far: near}
        while ready := [near] if _has_more(near) else select.select(list(ways), [], [])[0]:
            for source in ready:
                data = source.recv(65_536)
                if not data:
                    return
                ways[source].sendall(data)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._start(self._served, self._listener.accept()[0])

    def _served(self, near: socket.socket) -> None:
        self._open.append(near)
        with contextlib.suppress(OSError, ValueError):  # closed in the meantime
            self.serve(near)


def _has_more(stream: socket.socket) -> bool:
    return isinstance(stream, ssl.SSLSocket) and bool(stream.pending())
