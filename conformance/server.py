"""A server that follows a case's script, byte for byte if necessary, and records what arrived and when."""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from email.utils import formatdate
from typing import Any, Self

from conformance.received import Malformed, Request, received
from conformance.world import World

__all__ = ["Server"]

Json = dict[str, Any]
TOGETHER = 2.0
"""Seconds for which a request waits for others, because a client may always send fewer at a time."""
TOO_MANY: Json = {"status": 418, "body": {"message": "The script has no more steps."}}
"""The answer to a request for which no step is left; no client takes it as a success."""
_IN = re.compile(r"\{in (\d+)\}")
"""A placeholder for the date that is this many seconds in the future."""


class Server:
    """Listens on a free loopback port until it is closed.

    Args:
        script: the steps. A request uses up the first one that is meant for it.
        world: answers if a step does not say what to answer, and after the last step.
        kill: kills the client's process.
    """

    def __init__(self, script: list[Json], world: World | None = None, kill: Callable[[], None] = lambda: None) -> None:
        self._steps = [dict(step) for step in script]
        self._world = world
        self._kill = kill
        self._lock = threading.Condition()
        self._stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._refused: threading.Timer | None = None
        self._waiting = 0
        self._under_way = 0
        self.at_once = 0
        """The maximum number of requests that were in flight at the same time."""
        self.killed = False
        """Whether the script has killed the client's process since this was last set to False."""
        self.requests: list[Request] = []
        self.problems: list[str] = []
        """What was wrong with the received requests."""
        self.started = time.monotonic()
        self.port = 0

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._bind()
        if not self._refuse_if_next():
            self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with self._lock:
            self._lock.notify_all()
            if self._refused:
                self._refused.cancel()
            self._close_listener()
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    # Connections

    def _bind(self) -> None:
        """Take the port. Until someone listens, connections are refused; without this, others could get it."""
        self._listener = socket.socket()
        if os.name == "posix":
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]

    def _listen(self) -> None:
        assert self._listener
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _close_listener(self) -> None:
        if self._listener:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # ends the wait for a connection
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = bytearray()
        try:
            while not self._stopping.is_set():
                request = received(connection, data)
                if request is None or not self._answer(connection, self._looked_at(request)):
                    break
        except Malformed as error:
            if not self.killed:
                self.problems.append(str(error))
        except OSError:
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    # Refusing connections

    def _refuse_if_next(self) -> bool:
        """Refuse connections for the time in the next step, if it has one."""
        with self._lock:
            if not self._steps or "refuse" not in self._steps[0]:
                return False
            seconds = self._steps.pop(0)["refuse"]
            self._close_listener()
            self._bind()
            self._refused = threading.Timer(seconds, self._open_again)
            self._refused.daemon = True
            self._refused.start()
            return True

    def _open_again(self) -> None:
        with self._lock:
            if not self._stopping.is_set():
                self._listen()

    # Answers

    def _looked_at(self, request: Request) -> Request:
        if request.body:
            try:
                json.loads(request.body)
            except ValueError:
                what = f"request {len(self.requests)}, {request.method} {request.target}"
                self.problems.append(f"{what}: the body is not JSON: {request.body[:200]!r}")
        return request

    def _step_for(self, request: Request) -> tuple[Json, int]:
        """Record a request; return its step and its number."""
        with self._lock:
            self.requests.append(request)
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
            text = request.target + request.body.decode("utf-8", "replace")
            for place, step in enumerate(self._steps):
                if step.get("to", "") in text:
                    times = step.get("times", 1)
                    if times == 1:
                        del self._steps[place]
                    elif times != "always":
                        step["times"] = times - 1
                    return step, len(self.requests)
            return (TOO_MANY if self._world is None else {}), len(self.requests)

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """Answer a request; return whether the connection stays open."""
        step, number = self._step_for(request)
        with ExitStack() as under_way:
            under_way.callback(self._no_longer_under_way)
            return self._do(step, number, request, connection, under_way)

    def _no_longer_under_way(self) -> None:
        with self._lock:
            self._under_way -= 1

    def _do(self, step: Json, number: int, request: Request, connection: socket.socket, under_way: ExitStack) -> bool:
        """Follow the script; return whether the connection stays open."""
        if "together" in step:
            self._wait_for(step["together"])
        if self._stopping.wait(step.get("delay", 0)):
            return False
        answer = self._effect_of(request, step)
        if step.get("hang"):
            self._stopping.wait()
            return False
        if step.get("kill"):
            self.killed = True
            self._kill()
            return False
        if step.get("drop"):
            return False
        if "status" not in step and "raw" not in step:
            step = {**(answer or TOO_MANY), **step}
        closes = self._refuse_if_next() or bool(step.get("close") or "truncate" in step)
        written = _written(step, number, closes=closes and step.get("close") != "silently")
        request.answered = time.monotonic()
        # Before the answer is sent, because the client's next request may arrive before this thread continues.
        under_way.close()
        if "trickle" in step:
            head, blank, body = written.partition(b"\r\n\r\n")
            connection.sendall(head + blank)
            return self._trickle(connection, body, step["trickle"])
        connection.sendall(written)
        return not closes

    def _effect_of(self, request: Request, step: Json) -> Json | None:
        """Let a request take effect if the step has no answer or says so; return the answer to that."""
        if self._world and (step.get("effect") or not step.keys() & {"status", "raw", "drop", "hang", "kill"}):
            return self._world.answer(request.method, request.target, request.body)
        return None

    def _wait_for(self, count: int) -> None:
        """Wait until this many requests wait here, or time is up."""
        with self._lock:
            self._waiting += 1
            self._lock.notify_all()
            self._lock.wait_for(lambda: self._waiting >= count or self._stopping.is_set(), TOGETHER)

    def _trickle(self, connection: socket.socket, body: bytes, seconds: float) -> bool:
        for byte in body:
            connection.sendall(bytes([byte]))
            if self._stopping.wait(seconds):
                return False
        return True


def _date(found: re.Match[str]) -> str:
    return formatdate(time.time() + float(found[1]), usegmt=True)


def _written(step: Json, number: int, *, closes: bool) -> bytes:
    """Return the bytes of an answer; `{n}` in its body is replaced with the number of the request, starting at 1."""
    if "raw" in step:
        return str(step["raw"]).replace("{n}", str(number)).encode("latin-1")
    text = step.get("text")
    if text is None:
        text = json.dumps(step["body"]) if "body" in step else ""
    body = text.replace("{n}", str(number)).encode()
    told = {name: _IN.sub(_date, value) for name, value in step.get("headers", {}).items()}
    headers = {"content-type": "application/json"} | told | {"content-length": str(len(body))}
    if closes:
        headers["connection"] = "close"
    head = f"HTTP/1.1 {step['status']} Answer\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    sent = body[: step["truncate"]] if "truncate" in step else body
    return head.encode("latin-1") + b"\r\n" + sent + str(step.get("stray", "")).encode("latin-1")
