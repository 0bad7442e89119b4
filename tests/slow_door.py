"""A way into a server that takes its time with each new connection, as a far host behind TLS does."""

import contextlib
import select
import socket
import ssl
import threading
import time
from typing import Self
from urllib.parse import urlsplit


class SlowDoor:
    """Hands connections on to a server, each after some seconds before its TLS handshake.

    Each takes a little longer than the one before, since many handshakes at once would hold one another up.
    """

    def __init__(self, url: str, tls: ssl.SSLContext, seconds: float) -> None:
        self._inside = (urlsplit(url).hostname, urlsplit(url).port)
        self._tls = tls
        self._seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

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

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._start(self._join, self._listener.accept()[0])

    def _join(self, outside: socket.socket) -> None:
        self._open.append(outside)
        time.sleep(self._seconds * (1 + len(self._open) / 30))
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            secured = self._tls.wrap_socket(outside, server_side=True)
            inside = socket.create_connection(self._inside)
            self._open += [secured, inside]
            for each in (secured, inside):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else some parts wait 40 ms for others
            ways = {secured: inside, inside: secured}
            while ready := [secured] if secured.pending() else select.select(list(ways), [], [])[0]:
                for source in ready:
                    data = source.recv(65_536)
                    if not data:
                        return
                    ways[source].sendall(data)
