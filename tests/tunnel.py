"""A proxy that lets everything through to one server, whatever host it is asked for: HTTP CONNECT or SOCKS 5."""

import base64
import contextlib
import select
import socket
import ssl
import threading
from typing import Self
from urllib.parse import urlsplit


class Tunnel:
    """Notes what it was asked for and with which name and password, and joins the two ends.

    Args:
        url: the server at the far end.
        tls: how the proxy itself is secured, if it is.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self._far = (urlsplit(url).hostname, urlsplit(url).port)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = self._listener.getsockname()[1]
        self.asked: list[str] = []
        """`host:port` of each connection that was asked for."""
        self.users: list[str | None] = []
        """`name:password` that came with it, if any."""

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
                self._start(self._serve, self._listener.accept()[0])

    def _serve(self, near: socket.socket) -> None:
        self._open.append(near)
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            if self._tls:
                near = self._tls.wrap_socket(near, server_side=True)
                self._open.append(near)
            first = _exactly(near, 1)
            answer = self._socks(near) if first == b"\5" else self._connect(near, first)
            far = socket.create_connection(self._far)
            self._open.append(far)
            near.sendall(answer)
            self._join(near, far)

    def _connect(self, near: socket.socket, head: bytes) -> bytes:
        while not head.endswith(b"\r\n\r\n"):
            head += _exactly(near, 1)
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        given = headers.get("proxy-authorization", "").removeprefix("Basic ")
        self.asked.append(request.split()[1])
        self.users.append(base64.b64decode(given).decode() if given else None)
        return b"HTTP/1.1 200 Connection established\r\n\r\n"

    def _socks(self, near: socket.socket) -> bytes:
        """RFC 1928 and 1929."""
        offered = _exactly(near, _exactly(near, 1)[0])
        user = None
        if 2 in offered:
            near.sendall(b"\5\2")
            _exactly(near, 1)
            user = ":".join(_exactly(near, _exactly(near, 1)[0]).decode() for _ in range(2))
            near.sendall(b"\1\0")
        else:
            near.sendall(b"\5\0")
        kind = _exactly(near, 4)[3]
        host = _exactly(near, 4 if kind == 1 else _exactly(near, 1)[0])
        name = socket.inet_ntoa(host) if kind == 1 else host.decode()
        self.asked.append(f"{name}:{int.from_bytes(_exactly(near, 2), 'big')}")
        self.users.append(user)
        return b"\5\0\0\1" + bytes(6)

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        ways = {near: far, far: near}
        while ready := [near] if _has_more(near) else select.select(list(ways), [], [])[0]:
            for source in ready:
                data = source.recv(65_536)
                if not data:
                    return
                ways[source].sendall(data)


def _has_more(stream: socket.socket) -> bool:
    return isinstance(stream, ssl.SSLSocket) and bool(stream.pending())


def _exactly(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        if not part:
            raise OSError
        data += part
    return data
