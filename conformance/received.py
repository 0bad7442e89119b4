"""Reads HTTP requests from a connection, and says what is wrong with malformed ones."""

import re
import socket
import time
from dataclasses import dataclass, field

__all__ = ["Malformed", "Request", "received"]

PATIENCE = 3.0
"""Seconds to wait for the body of a request."""
_REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1")


@dataclass
class Request:
    """A request as received, and when."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    arrived: float = field(default_factory=time.monotonic)
    answered: float | None = None
    """When the answer's first byte left."""


class Malformed(Exception):
    """The received data is not an HTTP request; the message says why."""


def received(connection: socket.socket, data: bytearray) -> Request | None:
    """Return the next request, or None if the client has closed the connection."""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            if data:
                raise Malformed(f"a request was truncated after {bytes(data[:80])!r}")
            return None
        data += part
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    data[:] = rest
    first, *lines = head.split(b"\r\n")
    parts = _REQUEST_LINE.fullmatch(first)
    if parts is None:
        raise Malformed(f"received {first[:80]!r}, which is not a request; does Content-Length count bytes?")
    method, target = (part.decode("latin-1") for part in parts.groups())
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    connection.settimeout(PATIENCE)
    try:
        body = _body(connection, data, headers)
    except TimeoutError:
        raise Malformed(f"{method} {target}: the body is shorter than its Content-Length says") from None
    connection.settimeout(None)
    return Request(method, target, headers, body)


def _body(connection: socket.socket, data: bytearray, headers: dict[str, str]) -> bytes:
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return _taken(connection, data, int(headers.get("content-length") or 0))
    body = bytearray()
    while size := int(_line(connection, data).partition(b";")[0], 16):
        body += _taken(connection, data, size)
        _line(connection, data)
    while _line(connection, data):
        pass  # trailers
    return bytes(body)


def _taken(connection: socket.socket, data: bytearray, size: int) -> bytes:
    while len(data) < size:
        part = connection.recv(65_536)
        if not part:
            raise Malformed(f"the body of a request was truncated after {len(data)} of {size} bytes")
        data += part
    taken = bytes(data[:size])
    del data[:size]
    return taken


def _line(connection: socket.socket, data: bytearray) -> bytes:
    while b"\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            raise Malformed("the chunks of a request were truncated")
        data += part
    return _taken(connection, data, data.index(b"\r\n") + 2)[:-2]
