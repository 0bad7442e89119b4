"""A proxy that forwards everything to one server, whatever host is requested: HTTP CONNECT or SOCKS 5."""

import base64
import socket
import ssl

from tests.relay import Relay


class Tunnel(Relay):
    """Records the requested host and the name and password sent with it, and joins the two ends.

    Args:
        url: the server at the far end.
        tls: how the proxy itself is secured, if it is.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(url)
        self._tls = tls
        self.asked: list[str] = []
        """`host:port` of each requested connection."""
        self.users: list[str | None] = []
        """`name:password` sent with it, if any."""

    def serve(self, near: socket.socket) -> None:
        """Read which host is requested, and let the connection through."""
        if self._tls:
            near = self.secured(near, self._tls)
        first = _exactly(near, 1)
        answer = self._socks(near) if first == b"\5" else self._connect(near, first)
        far = self.far_end()
        near.sendall(answer)
        self.join(near, far)

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
        """Handle SOCKS 5 according to RFC 1928 and 1929."""
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


def _exactly(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        if not part:
            raise OSError
        data += part
    return data
