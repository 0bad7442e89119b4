"""A real HTTP server that answers exactly what a test says, including broken answers."""

import json
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import attrs
import trustme

Step = Callable[[socket.socket], None]


@attrs.frozen
class Received:
    """A request as received over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class ScriptedServer:
    """Answers one step per request; the last step repeats."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Received] = []
        self._steps: list[Step] = [answer(200, {"requestId": "r", "status": "success"})]
        self._decide: Callable[[Received], Step] | None = None
        self._deciding = threading.Lock()
        self._stopping = threading.Event()

    def will(self, *steps: Step) -> None:
        """Set what to do with the next requests."""
        self._steps = list(steps)

    def decides(self, decide: Callable[[Received], Step]) -> None:
        """Set what returns the step for a request; it is called for one request at a time."""
        self._decide = decide

    @property
    def url(self) -> str:
        """The address it listens on."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with self._tls.wrap_socket(connection, server_side=True) if self._tls else connection as stream:
                while (received := self._receive(stream)) is not None:
                    self.requests.append(received)
                    with self._deciding:
                        step = self._decide(received) if self._decide else self._next()
                    step(stream)
        except OSError:
            return

    def _next(self) -> Step:
        return self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]

    def _receive(self, connection: socket.socket) -> Received | None:
        data = b""
        while b"\r\n\r\n" not in data:
            part = self._read(connection)
            if not part:
                return None
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            part = self._read(connection)
            if not part:
                return None
            body += part
        method, target, _ = first.split(" ")
        return Received(method, target, headers, body)

    def _read(self, connection: socket.socket) -> bytes:
        while not self._stopping.is_set():
            read_already = isinstance(connection, ssl.SSLSocket) and connection.pending()
            if read_already or select.select([connection], [], [], 0.01)[0]:
                return connection.recv(65_536)
        return b""


def secured(authority: trustme.CA, name: str = "127.0.0.1") -> ScriptedServer:
    """A server with a certificate for a name."""
    return ScriptedServer(tls_for(authority, name))


def tls_for(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """The server's side of TLS, with a certificate for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def answer(status: int, body: object = b"", headers: dict[str, str] | None = None) -> Step:
    """Answer completely: bytes and text unchanged, everything else as JSON."""
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {"content-type": "application/json"} | (headers or {}) | {"content-length": str(len(raw))}
    return wire(head(status, named) + raw)


def head(status: int, headers: dict[str, str]) -> bytes:
    """Return a status line and headers."""
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def wire(data: bytes, *, close: bool = False) -> Step:
    """Send bytes unchanged, and perhaps close."""

    def step(connection: socket.socket) -> None:
        connection.sendall(data)
        if close:
            raise OSError

    return step


def pieces(*parts: bytes, pause: float = 0.0, close: bool = False) -> Step:
    """Send each part as a separate packet, and under TLS as a separate record; perhaps close."""

    def step(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        if close:
            raise OSError

    return step


def delivered(connection: socket.socket) -> None:
    """Wait until the other side's system has all that was sent: `sendall` returns when this one has it."""
    if not sys.platform.startswith("linux"):
        time.sleep(0.1)  # longer than an acknowledgement may be delayed
        return
    import fcntl  # not on Windows
    import termios

    with suppress(OSError, ValueError):  # it is closed
        while is_open(connection) and any(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))):
            time.sleep(0.001)


def is_open(connection: socket.socket) -> bool:
    """Whether a connection was not reset; on Linux."""
    established, close_wait = 1, 8
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in (established, close_wait)


def one_packet(*parts: bytes, close: bool = False) -> Step:
    """Send all parts in one packet, under TLS as one record each; perhaps close."""

    def step(connection: socket.socket) -> None:
        cork = getattr(socket, "TCP_CORK", getattr(socket, "TCP_NOPUSH", None))
        if cork is not None:
            connection.setsockopt(socket.IPPROTO_TCP, cork, 1)
        for part in parts:
            connection.sendall(part)
        if cork is not None:
            connection.setsockopt(socket.IPPROTO_TCP, cork, 0)
        if close:
            raise OSError

    return step


def farewell(data: bytes, seconds: float = 0.1) -> Step:
    """Send, end TLS properly if there is TLS, and close the socket only after a while."""

    def step(connection: socket.socket) -> None:
        connection.sendall(data)
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(0.0)
            with suppress(OSError):
                connection.unwrap()  # sends our close_notify, and does not wait for that of the other side
        time.sleep(seconds)
        raise OSError

    return step


def drop(connection: socket.socket) -> None:
    """Close without an answer."""
    raise OSError


def reset(connection: socket.socket) -> None:
    """Close abruptly, so that the client sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raise OSError


def drip(data: bytes, pause: float) -> Step:
    """Send one byte at a time."""

    def step(connection: socket.socket) -> None:
        for place in range(len(data)):
            connection.sendall(data[place : place + 1])
            time.sleep(pause)

    return step


def silence(connection: socket.socket) -> None:
    """Send nothing until the client goes away."""
    select.select([connection], [], [], 60)
    raise OSError
