"""A loopback server in its own process that accepts ingestions as fast as Python can.

It checks nothing, because the client is measured. It answers after the given latency, and counts requests, and those
over the documented limits.
"""

import asyncio
import json
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import httpx

ACCEPTED = {"requestId": "r", "status": "success", "message": "Data ingestion request accepted"}
COUNTS = {"receivedRecordsCount": 100, "appendedRecordsCount": 100}
DONE = {"requestId": "r", "status": "success", "metrics": {"ingestionMetrics": COUNTS}}


def _answer(body: dict[str, Any]) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)


class Server(asyncio.Protocol):
    """One connection."""

    latency = 0.0
    requests = 0
    over = 0
    recent: ClassVar[deque[float]] = deque()

    def connection_made(self, transport: Any) -> None:
        """Keep the transport to write to."""
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            at = head.find(b"content-length: ")
            size = int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + size:
                return
            self._data = self._data[end + 4 + size :]
            self._respond(head)

    def _respond(self, head: bytes) -> None:
        if head.startswith(b"get /_stats"):
            self._transport.write(_answer({"requests": Server.requests, "over": Server.over}))
            Server.requests = Server.over = 0
            return
        now = asyncio.get_running_loop().time()
        Server.requests += 1
        while self.recent and self.recent[0] <= now - 1.0:
            self.recent.popleft()
        Server.over += len(self.recent) >= 10
        self.recent.append(now)
        accepted = ACCEPTED | {"ingestionId": str(Server.requests)}
        answer = self._outcome(head) if head.startswith(b"get") else _answer(accepted)
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self._transport.write, answer)
        else:
            self._transport.write(answer)

    @staticmethod
    def _outcome(head: bytes) -> bytes:
        path = head.split(b" ", 2)[1].decode()
        return _answer(DONE | {"ingestionId": path.rpartition("/")[2]})


async def serve(latency: float) -> None:
    """Serve until the standard input ends."""
    Server.latency = latency
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def running(latency: float = 0.0) -> Iterator[str]:
    """Run the server; yield its address."""
    command = [sys.executable, "-m", "tools.benchmarks.server", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        assert process.stdin
        process.stdin.close()


def stats(url: str) -> dict[str, int]:
    """Return how many requests arrived since the last call, and how many were over 10 in a second."""
    found: dict[str, int] = httpx.get(url + "/_stats").json()
    return found


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
