"""A way into the sandbox at which a sender is killed at its chosen batch: before that took effect, or after."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

import attrs

Effect = Literal["before", "after"]


@attrs.define
class Door:
    """What went through it."""

    url: str
    struck: threading.Event = attrs.field(factory=threading.Event)
    """Whether the chosen batch has come, and its sender is dead."""
    error: BaseException | None = None
    """Why the sender could not be killed."""


@contextmanager
def door(box_url: str, batch: int, effect: Effect, kill: Callable[[int, int], None]) -> Iterator[Door]:
    """Hand requests on to a sandbox, and answers back.

    Batches are counted by connection, and each task has one of its own, so whoever is killed has sent all those before.

    Args:
        box_url: of the sandbox.
        batch: the first of a connection's batches, counted from 1, that is not answered; it happens once.
        effect: whether the sender is killed before the sandbox has it, or after.
        kill: given the port from which the batch came, and the door's; returns when the sender is dead.
    """
    chosen_once = threading.Lock()
    host, port = urlsplit(box_url).hostname or "", urlsplit(box_url).port

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        batches = 0  # of this connection

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # whoever asked is dead
                self.close_connection = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.batches += self.command == "POST"
            chosen = self.command == "POST" and self.batches == batch and chosen_once.acquire(blocking=False)
            if chosen and effect == "before":
                self._strike()
                return
            far = http.client.HTTPConnection(host, port)
            try:
                far.request(self.command, self.path, body, dict(self.headers.items()))
                answer = far.getresponse()
                content = answer.read()
            finally:
                far.close()
            if chosen:
                self._strike()
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def _strike(self) -> None:
            self.close_connection = True
            try:
                kill(self.client_address[1], int(self.request.getsockname()[1]))
            except BaseException as error:  # noqa: BLE001 - the test raises it
                opened.error = error
            opened.struck.set()

        def log_message(self, format: str, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        opened = Door(f"http://127.0.0.1:{server.server_port}")
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield opened
        finally:
            server.shutdown()
            serving.join()
    struck = opened.struck.wait(60)  # the sender's end may be noticed here later than by Spark
    if opened.error:
        raise opened.error
    assert struck, f"No connection sent {batch} batches."
