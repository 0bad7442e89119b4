"""The basis of property tests of whole ingests: a server that knows what it did, and processes that really die.

The server keeps a log of what took effect and of what was answered, so that a report can be compared with the truth
row by row. A process that is to be killed is forked off one that has imported everything, which takes milliseconds.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
import uuid
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, Self

import anyio
import attrs

import databox.ingest.patience
import databox.ingest.settle
import databox.sending.retry
from databox import AsyncDatabox, Databox, DataboxError
from tests.programs import unmeasured

KEYS = 7
"""How many different keys an input has."""


def input_rows(seed: int, keyed: bool) -> list[Any]:
    """Return the rows of an input: the same each time. The value of each valid one is its position."""
    chance = Random(seed)
    rows: list[Any] = []
    for place in range(chance.randrange(8, 60)):
        kind = chance.random()
        if kind < 0.06:
            rows.append({"id": place, "value": [place]})
        elif kind < 0.09:
            rows.append(f"row {place}")
        elif kind < 0.13 and keyed:
            rows.append({"id": None, "value": place})
        else:
            key = chance.randrange(KEYS)
            numbers = [key, float(key), Decimal(key), Decimal(f"{key}.00"), Decimal(f"{key}E0")]
            spelled = chance.choice([*numbers, *numbers, str(key), bool(key)] if key < 3 else numbers)
            rows.append({"id": spelled, "value": place})
    return rows


def key_of(value: Any) -> Any:
    """Return what a key is in JSON: 1 and 1.0 are the same, and neither is "1" or true."""
    return value if isinstance(value, str) else (value,) if isinstance(value, bool) else Decimal(str(value))


def is_valid(row: Any) -> bool:
    """Return whether a row can be sent."""
    return isinstance(row, dict) and not isinstance(row["value"], list) and row["id"] is not None


@attrs.define
class Event:
    """A batch that the server received."""

    dataset: str
    values: tuple[int, ...]
    step: int
    applied: bool = False
    acknowledged: bool = False
    ingestion_id: str | None = None
    rejected: frozenset[int] = frozenset()
    named: bool = True


@attrs.frozen
class Put:
    """A row that replaced another one."""

    old: int
    new: int
    event_of_old: Event
    event: Event


@attrs.define
class Dataset:
    """The rows that the server stores."""

    keyed: bool
    held: dict[Any, tuple[int, Event]] = attrs.field(factory=dict)
    rows: Counter[int] = attrs.field(factory=Counter)
    """How often each row was stored."""
    puts: list[Put] = attrs.field(factory=list)


class Server:
    """The three operations of an ingest, with faults that `faults` draws from `chance`."""

    def __init__(self) -> None:
        self._http = _Listener(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self.lock = threading.Lock()
        self.connections = 0
        self.connections_changed = threading.Condition()
        self.reset(Random(0))

    def reset(self, chance: Random) -> None:
        """Forget everything."""
        self.chance = chance
        self.datasets: dict[str, Dataset] = {}
        self.events: list[Event] = []
        self.faults: dict[str, float] = {}
        self.step = 0
        self.batches = 0
        self.away: list[tuple[int, int, str]] = []
        """From which batch on, and for how many, the service is down, and how."""
        self.bad: frozenset[int] = frozenset()
        """Rows that make the service refuse a batch, by their values."""
        self.kill: tuple[int, int, int, str] | None = None
        """Which process, by a descriptor of it, to send which signal at which batch from now on, and when: before,
        between or after effect and answer."""

    @property
    def url(self) -> str:
        """The address it listens on."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def drain(self) -> None:
        """Wait until what a process sent before it died has been served."""
        with socket.create_connection(("127.0.0.1", self._http.server_port)) as last:  # accepted after all others
            last.shutdown(socket.SHUT_WR)
            last.recv(1)
        with self.connections_changed:
            assert self.connections_changed.wait_for(lambda: not self.connections, 60)

    def of_id(self, ingestion_id: str) -> Event | None:
        """Return the batch of an ingestion."""
        return next((event for event in self.events if event.ingestion_id == ingestion_id), None)

    def ingest(self, dataset_id: str, records: list[dict[str, Any]]) -> tuple[int, Any] | None:
        """Accept a batch; return the answer, or None to send none."""
        dataset = self.datasets[dataset_id]
        event = Event(dataset_id, tuple(record["value"] for record in records), self.step)
        self.events.append(event)
        fault = self._away() or self._fault()
        self._die("before")
        place = next((n for n, value in enumerate(event.values) if value in self.bad), None)
        if place is not None and fault not in {"503 not", "429 not", "500 not", "dropped"}:
            if fault == "lost":
                return None  # the refusal was
            entry = {"code": "invalid_field_value", "message": "This is bad.", "field": f"records[{place}].value"}
            return (400, 413, 422)[event.values[place] % 3], {"requestId": "r", "status": "error", "errors": [entry]}
        if fault in {"ok", "lost", "500 applied", "html applied"}:
            self._apply(dataset, event, records)
        self._die("between")
        if fault == "ok":
            event.acknowledged = True
            return 200, {"requestId": "r", "status": "success", "ingestionId": event.ingestion_id}
        if fault in {"lost", "dropped"}:
            return None
        if fault.startswith("html"):
            return 200, "<html>"
        return int(fault[:3]), {"requestId": "r", "status": "error", "errors": [{"code": "x", "message": fault}]}

    def ingestion(self, ingestion_id: str) -> tuple[int, Any] | None:
        """Answer a request for the outcome of a batch."""
        event = self.of_id(ingestion_id)
        assert event, ingestion_id
        if self.chance.random() < self.faults.get("poll", 0):
            return self.chance.choice(
                [(500, {"status": "error"}), None, (200, {"status": "success", "ingestionId": "x"})]
            )
        rejected = len(event.rejected)
        overwritten = sum(put.event is event for put in self.datasets[event.dataset].puts)
        counts = {
            "receivedRecordsCount": len(event.values),
            "appendedRecordsCount": len(event.values) - rejected - overwritten,
            "overwrittenRecordsCount": overwritten,
            "rejectedRecordsCount": rejected,
        }
        errors = [
            {"code": "schema_mismatch", "message": "no", **({"field": f"records[{place}]"} if event.named else {})}
            for place, value in enumerate(event.values)
            if value in event.rejected
        ]
        answer = {"status": "success", "ingestionId": ingestion_id, "metrics": {"ingestionMetrics": counts}}
        return 200, answer | ({"errors": errors} if errors else {})

    def listing(self, dataset_id: str) -> tuple[int, Any]:
        """List the ingestions of a dataset."""
        found = [
            {"ingestionId": event.ingestion_id, "status": "success"}
            for event in self.events
            if event.dataset == dataset_id and event.applied
        ]
        return 200, {"status": "success", "ingestions": found}

    def _apply(self, dataset: Dataset, event: Event, records: list[dict[str, Any]]) -> None:
        event.ingestion_id, event.applied = str(uuid.UUID(int=self.chance.getrandbits(128))), True
        if self.chance.random() < self.faults.get("reject", 0):
            count = self.chance.choice([1, len(records), self.chance.randint(1, len(records))])
            event.rejected = frozenset(self.chance.sample(event.values, count))
            event.named = self.chance.random() < 0.5
        for record in records:
            value = record["value"]
            if value in event.rejected:
                continue
            dataset.rows[value] += 1
            if dataset.keyed:
                key = key_of(record["id"])
                if key in dataset.held:
                    dataset.puts.append(Put(dataset.held[key][0], value, dataset.held[key][1], event))
                dataset.held[key] = (value, event)

    def _away(self) -> str | None:
        self.batches += 1
        return next((how for start, count, how in self.away if start <= self.batches < start + count), None)

    def _fault(self) -> str:
        draw = self.chance.random()
        for name, share in self.faults.items():
            if name not in {"reject", "poll"}:
                draw -= share
                if draw < 0:
                    return name
        return "ok"

    def _die(self, when: str) -> None:
        if self.kill and self.kill[3] == when:
            process, number, left, _ = self.kill
            self.kill = (process, number, left - 1, when) if left else None
            if not left:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(process, number)  # by now, an id may be that of another process


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    owner: Server

    def process_request(self, request: Any, client_address: Any) -> None:
        self._count(1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._count(-1)

    def _count(self, more: int) -> None:
        with self.owner.connections_changed:
            self.owner.connections += more
            self.owner.connections_changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed process leaves connections open."""


class _Handler(BaseHTTPRequestHandler):
    """Serves HTTP/1.1, each answer in one piece."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])), parse_float=Decimal)
        with self.server.owner.lock:  # type: ignore[attr-defined]
            answer = self.server.owner.ingest(self.path.split("/")[3], body["records"])  # type: ignore[attr-defined]
            self._say(answer)
            self.server.owner._die("after")  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].split("/")
        with self.server.owner.lock:  # type: ignore[attr-defined]
            owner: Server = self.server.owner  # type: ignore[attr-defined]
            self._say(owner.ingestion(parts[5]) if len(parts) == 6 else owner.listing(parts[3]))

    def _say(self, answer: tuple[int, Any] | None) -> None:
        if answer is None:
            self.close_connection = True
            return
        status, body = answer
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        try:
            self.wfile.write(head.encode() + content)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


# Processes that are killed


class Forks:
    """Runs ingests in processes that a signal may kill at any moment."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-W", "error", "-m", "tests.schedules"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=unmeasured(), stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, job: dict[str, Any]) -> int:
        """Start a job that waits for `go`; return a file descriptor of its process."""
        return os.pidfd_open(self._ask(json.dumps(job)))

    def go(self) -> int:
        """Let the job run, and wait for its end; return 0, or minus the signal that killed it."""
        return self._ask("go")

    def _ask(self, line: str) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def ingest_in_this_process(job: dict[str, Any]) -> None:
    """Do a job, which may end this process at a given write."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    databox.sending.retry.FIRST_WAIT, databox.ingest.settle.FIRST_POLL = 0.001, 0.005
    databox.ingest.patience.FIRST_WAIT, databox.ingest.patience.LOOK = 0.002, 0.001
    if job["die"]:
        _die_at_a_write(*job["die"])
    rows = input_rows(job["seed"], job["keyed"])

    def source() -> Any:
        yield from rows

    async def main() -> None:
        async with AsyncDatabox("k" * 20, job["url"], rate_limit=None, max_retries=job["retries"]) as client:
            await client.datasets.ingest(job["dataset"], source(), **job["options"])

    if job["is_async"]:
        anyio.run(main)
        return
    with Databox("k" * 20, job["url"], rate_limit=None, max_retries=job["retries"]) as client:
        client.datasets.ingest(job["dataset"], source(), **job["options"])


def _die_at_a_write(what: str, count: int, after: bool) -> None:
    """Kill this process at one of its writes: to the journal, or to dead letters."""
    from databox.ingest import journal_file, letter_files

    left = [count]

    def dying(real: Any) -> Any:
        def write(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **options)
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return write

    if what == "journal":
        journal_file.JournalFile.write = dying(journal_file.JournalFile.write)  # type: ignore[method-assign]
    else:
        os.replace = dying(os.replace)
        letter_files._write = dying(letter_files._write)


def _serve_jobs() -> None:
    for line in iter(sys.stdin.readline, ""):
        job = json.loads(line)
        waiting, go = os.pipe()
        pid = os.fork()
        if not pid:
            os.read(waiting, 1)
            os._exit(_ended(job))
        _say(pid)
        sys.stdin.readline()
        os.write(go, b"!")
        _say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os.close(waiting)
        os.close(go)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _ended(job: dict[str, Any]) -> int:
    try:
        ingest_in_this_process(job)
    except (DataboxError, KeyboardInterrupt):
        return 0
    except BaseException:  # noqa: BLE001 - the test shall see whatever it is
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _serve_jobs()
