"""An interrupt, at whatever moment, leaves a report that covers every row that was taken."""

import asyncio
import dis
import gc
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

import databox
from databox import AsyncDatabox, Databox, IngestReport
from databox.ingest.run import Run
from databox.sandbox import Fault, Sandbox
from tests.marks import first, slow
from tests.programs import unmeasured
from tests.sandbox.http import ask
from tests.scripted import Received, ScriptedServer, Step, head, pieces
from tests.test_ingest import adds_up, ingestions, rows, stored

BLOCKED = """
import json, sys, time
from databox import Databox

def rows():
    for n in range(150):
        yield {"id": n, "value": n / 8}
    print("blocked", flush=True)
    time.sleep(60)

try:
    with Databox(rate_limit=None) as client:
        client.datasets.ingest(sys.argv[1], rows(), **json.loads(sys.argv[2]))
except KeyboardInterrupt as error:
    report = error.report
"""
BLOCKED_ASYNC = """
import json, sys, anyio, asyncio
from databox import AsyncDatabox

async def rows():
    for n in range(150):
        yield {"id": n, "value": n / 8}
    print("blocked", flush=True)
    await anyio.sleep(60)

async def main():
    async with AsyncDatabox(rate_limit=None) as client:
        await client.datasets.ingest(sys.argv[1], rows(), **json.loads(sys.argv[2]))
"""
UNDER_ASYNCIO = """
try:
    asyncio.run(main())
except KeyboardInterrupt as error:
    report = error.__context__.report  # of the CancelledError that asyncio.run turned into this
"""
UNDER_TRIO = """
import trio
try:
    trio.run(main)
except KeyboardInterrupt as error:
    report = error.report
"""
TOLD = """
outcomes = [(batch.outcome, batch.rows) for batch in report.batches]
print(json.dumps({"rows": report.rows, "ok": report.ok, "complete": report.complete, "outcomes": outcomes}))
print(str(report), file=sys.stderr)
"""
PROGRAMS = {"sync": BLOCKED, "asyncio": BLOCKED_ASYNC + UNDER_ASYNCIO, "trio": BLOCKED_ASYNC + UNDER_TRIO}


def program(box: Sandbox, source: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start a program that uses the sandbox."""
    environ = unmeasured(DATABOX_API_KEY=box.api_key, DATABOX_API_URL=box.url)
    command = [sys.executable, "-W", "error", "-c", source, *arguments]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def plain(box: Sandbox) -> Iterator[Any]:
    """A dataset without keys, where a row that is sent twice is stored twice."""
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        yield client.datasets.create("D", data_source=client.data_sources.create("S"))


@pytest.mark.parametrize("verify", first(["counts", None]))
@pytest.mark.parametrize("kind", ["sync", "asyncio", *slow(["trio"])])
def test_ctrl_c_while_the_source_blocks(
    box: Sandbox, plain: Any, tmp_path: Path, kind: str, verify: str | None
) -> None:
    dead, journal = tmp_path / "dead.jsonl", tmp_path / "journal"
    options = {"dead_letter": str(dead), "journal": str(journal), "verify": verify}
    with program(box, PROGRAMS[kind] + TOLD, plain.id, json.dumps(options)) as running:
        assert running.stdout
        assert running.stdout.readline() == "blocked\n"
        # asyncio has no wake-up descriptor for SIGINT: a signal just before it waits is noticed when the wait is over.
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=120)
    told = json.loads(output)
    assert told == {"rows": 150, "ok": False, "complete": False, "outcomes": [["accepted", 100], ["unsent", 50]]}
    assert "The source was not read to its end." in errors
    assert "Traceback" not in errors
    assert ("The run was interrupted before the outcome" in errors) is (verify == "counts")
    assert [json.loads(line) for line in dead.read_text().splitlines()] == rows(50, 100)

    # The journal agrees: the next run sends the rest, and nothing again.
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        report = client.datasets.ingest(plain, rows(170), journal=journal)
    assert (report.rows, report.appended) == (170, 170)
    assert stored(box, plain) == rows(170)


def test_a_second_ctrl_c_does_not_wait_for_requests_under_way(box: Sandbox, plain: Any, tmp_path: Path) -> None:
    dead, journal = tmp_path / "dead.jsonl", tmp_path / "journal"
    options = {"dead_letter": str(dead), "journal": str(journal), "batch_size": 10, "verify": None}
    box.inject(Fault("create_ingestion", delay=0.02, times=5))  # so that it sends several at the same time
    box.inject(Fault("create_ingestion", delay=100.0))
    with program(box, BLOCKED + TOLD, plain.id, json.dumps(options)) as running:
        while len(ingestions(box)) < 9:  # five whose answers were read, because at most four are in flight
            time.sleep(0.005)
        before = time.monotonic()
        for _ in range(2):
            running.send_signal(signal.SIGINT)
            time.sleep(2.0)  # until the first was noticed: two that come at once are one
        output, errors = running.communicate(timeout=120)
    assert time.monotonic() - before < 60
    assert "Traceback" not in errors
    outcomes = [outcome for outcome, _ in json.loads(output)["outcomes"]]
    assert outcomes.count("accepted") == 5  # the fifth batch may have come before the fourth
    assert "ambiguous" in outcomes
    with sqlite3.connect(journal) as db:
        noted = [state for (state,) in db.execute("select state from batches order by number")]
    db.close()
    assert noted == outcomes[: len(noted)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("end", [150, 100])
def test_cancelling_while_the_source_blocks(box: Sandbox, plain: Any, tmp_path: Path, backend: str, end: int) -> None:
    dead = tmp_path / "dead.jsonl"
    blocked = anyio.Event()

    async def source() -> Any:
        for row in rows(end):
            yield row
        blocked.set()
        await anyio.sleep(60)

    async def main() -> Any:
        caught: list[BaseException] = []

        async def run() -> None:
            async with AsyncDatabox(box.api_key, box.url, rate_limit=None) as client:
                try:
                    await client.datasets.ingest(plain.id, source(), verify=None, dead_letter=dead)
                except BaseException as error:
                    caught.append(error)
                    raise

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await blocked.wait()
            tasks.cancel_scope.cancel()
        return caught[0]

    error: Any = anyio.run(main, backend=backend)
    report: IngestReport = error.report
    assert adds_up(report)
    assert (report.rows, report.accepted, report.unsent, report.ok) == (end, 100, end - 100, False)
    found = [json.loads(line) for line in dead.read_text().splitlines()] if dead.exists() else []
    assert found == rows(end - 100, 100)
    assert any("An ingest was interrupted" in note for note in error.__notes__)


def test_a_time_out_of_asyncio_has_the_report_as_its_cause(box: Sandbox, plain: Any) -> None:
    async def main() -> Any:
        limit = asyncio.timeout(None)

        async def source() -> Any:
            for row in rows(150):
                yield row
            limit.reschedule(asyncio.get_running_loop().time())
            await anyio.sleep(60)

        async with AsyncDatabox(box.api_key, box.url, rate_limit=None) as client:
            try:
                async with limit:
                    await client.datasets.ingest(plain.id, source(), verify=None)
            except TimeoutError as error:
                return error.__cause__

    report: IngestReport = asyncio.run(main()).report
    assert (report.rows, report.accepted, report.unsent, report.ok) == (150, 100, 50, False)


# Before anything was sent

CONNECTING = """
import json, sys
from databox import Databox

def rows():
    for n in range(10):
        yield {"id": n}
    print("read", flush=True)

try:
    with Databox("test-key-0123456789", sys.argv[1], rate_limit=None) as client:
        client.datasets.ingest("d", rows(), journal=sys.argv[2], verify=None)
except KeyboardInterrupt as error:
    print(json.dumps([(batch.outcome, batch.rows) for batch in error.report.batches]))
"""


@pytest.fixture
def unreachable() -> Iterator[str]:
    """An address at which connecting takes forever: the queue of new connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as queue:
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_ctrl_c_while_connecting_leaves_nothing_in_doubt(unreachable: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", CONNECTING, unreachable, str(tmp_path / "journal")]
    with subprocess.Popen(command, env=unmeasured(), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "read\n"
        time.sleep(0.5)  # on a busy machine it comes before the connection is begun, with the same outcome
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=120)
    assert json.loads(output) == [["unsent", 10]]


@pytest.mark.parametrize("backend", ["asyncio", *slow(["trio"])])
@pytest.mark.parametrize("own", [True, False], ids=["own connections", "httpx"])
def test_cancelling_while_connecting_leaves_nothing_in_doubt(unreachable: str, backend: str, own: bool) -> None:
    async def main() -> Any:
        async with httpx.AsyncClient(trust_env=False) as http_client:
            options: dict[str, Any] = {} if own else {"http_client": http_client}
            async with AsyncDatabox("test-key-0123456789", unreachable, rate_limit=None, **options) as client:
                with anyio.CancelScope() as scope:

                    def source() -> Iterator[dict[str, Any]]:
                        yield from rows(10)
                        scope.deadline = anyio.current_time() + 0.5

                    try:
                        await client.datasets.ingest("d", source(), verify=None)
                    except BaseException as error:
                        caught.append(error)
                        raise

    caught: list[Any] = []
    anyio.run(main, backend=backend)
    report: IngestReport = caught[0].report
    assert (report.rows, report.unsent, report.ambiguous) == (10, 10, 0)


def test_after_ctrl_c_no_parts_of_a_refused_batch_are_sent(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C ends the run without waiting, and then they would be sent after the report."""
    arrived, stopped, stop = threading.Event(), threading.Event(), Run.stop

    def stopping(run: Run) -> None:
        stop(run)
        stopped.set()

    monkeypatch.setattr(Run, "stop", stopping)

    def decide(request: Received) -> Step:
        first = request.json["records"][0]["id"]
        if first == 0:
            return pieces(b"", response(200, {"status": "success", "ingestionId": "i-0"}), pause=0.02)
        arrived.set()
        return refuse

    def refuse(connection: socket.socket) -> None:
        stopped.wait(30)
        errors = [{"code": "invalid_input", "message": "no", "field": "records[0]"}]
        connection.sendall(response(400, {"status": "error", "errors": errors}))

    def response(status: int, body: Any) -> bytes:
        data = json.dumps(body).encode()
        return head(status, {"content-length": str(len(data))}) + data

    def source() -> Iterator[dict[str, Any]]:
        yield from rows(16)
        assert arrived.wait(30)
        raise KeyboardInterrupt

    server.decides(decide)
    with (
        Databox("test-key-0123456789", server.url, rate_limit=None) as client,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        client.datasets.ingest("d", source(), batch_size=8, verify=None)
    report: IngestReport = getattr(caught.value, "report")  # noqa: B009 - a note on the exception
    assert (report.accepted, report.failed, report.ambiguous) == (8, 8, 0)
    assert len(server.requests) == 2


# While nothing is sent


@pytest.mark.parametrize("backend", ["asyncio", *slow(["trio"])])
@pytest.mark.parametrize("kind", ["rows that cannot be sent", "rows that an earlier run sent"])
def test_other_tasks_have_their_turns_while_nothing_is_sent(
    box: Sandbox, plain: Any, tmp_path: Path, backend: str, kind: str
) -> None:
    """Otherwise a long input of such rows blocks the event loop, and neither time-outs nor Ctrl-C end the run."""
    given: list[dict[str, Any]] = [{"id": [n]} for n in range(100)] if "cannot" in kind else rows(100)
    options: dict[str, Any] = {"batch_size": 1, "verify": None, "journal": tmp_path / "journal"}
    if given == rows(100):
        with Databox(box.api_key, box.url, rate_limit=None) as client:
            client.datasets.ingest(plain, given, **options)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async def main() -> int:
        async with AsyncDatabox(box.api_key, box.url, rate_limit=None) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(others)
            report = await client.datasets.ingest(plain.id, given, raise_on_failure=False, **options)
            tasks.cancel_scope.cancel()
        return report.rows

    assert anyio.run(main, backend=backend) == 100
    assert turns >= 100


# The report and the journal agree about the rows

TERMINATED = """
import json, signal, sys, time
from databox import Databox, RateLimit

def stop(*_):
    raise SystemExit

def rows():
    for n in range(500):
        time.sleep(0.001)
        yield {"id": n, "value": n / 8}
    time.sleep(60)  # however late the signal comes, it comes before the end

limit = RateLimit(int(sys.argv[3]), 10_000) if int(sys.argv[3]) else None
signal.signal(signal.SIGTERM, stop)
try:
    with Databox(rate_limit=limit, timeout=5) as client:
        client.datasets.ingest(sys.argv[1], rows(), **json.loads(sys.argv[2]))
except SystemExit as error:
    report = error.report
    print(json.dumps([(batch.first_row + batch.rows, batch.outcome) for batch in report.batches]))
"""
MEANWHILE = {
    "its answer is lost": (Fault("create_ingestion", drop="after", after=4), 0),
    "a request is under way": (Fault("create_ingestion", delay=20.0, after=4), 0),
    "a retry is waited for": (Fault("create_ingestion", status=503, headers={"Retry-After": "60"}, after=4), 0),
    "the limit is waited for": (None, 4),
}


@pytest.mark.parametrize("concurrency", [*slow([1]), 4])
@pytest.mark.parametrize("meanwhile", first(MEANWHILE))
def test_a_request_to_terminate_that_is_handled(
    box: Sandbox, plain: Any, tmp_path: Path, meanwhile: str, concurrency: int
) -> None:
    fault, limit = MEANWHILE[meanwhile]
    journal = tmp_path / "journal"
    options = {"journal": str(journal), "verify": None, "batch_size": 10, "concurrency": concurrency}
    if fault:
        box.inject(fault)
    with program(box, TERMINATED, plain.id, json.dumps(options), str(limit)) as running:
        while len(ingestions(box)) < (5 if fault else 4):
            time.sleep(0.005)
        time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
        output, errors = running.communicate(timeout=120)
    assert errors == ""
    reported = [(end, outcome) for end, outcome in json.loads(output)]
    assert reported[0] == (10, "accepted")
    with sqlite3.connect(journal) as db:
        noted = db.execute("select end_row, state from batches order by number").fetchall()
    db.close()
    # What was never about to be sent has no line in the journal.
    assert noted == reported[: len(noted)]
    assert {outcome for _, outcome in reported[len(noted) :]} <= {"unsent"}

    ask(box, "DELETE", "/_sandbox/faults")
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        again = client.datasets.ingest(
            plain, rows(500), journal=journal, verify=None, batch_size=10, raise_on_failure=False
        )
    assert again.ambiguous == sum(10 for _, outcome in reported if outcome == "ambiguous")
    assert again.accepted == 500 - again.ambiguous
    found = [row["id"] for row in box.rows(plain)]
    assert len(found) == len(set(found))


def test_what_an_earlier_run_left_open_is_not_called_unsent(box: Sandbox, plain: Any, tmp_path: Path) -> None:
    """Not failed either: it may be stored, whatever happens when it is sent again."""
    journal = tmp_path / "journal"
    with Databox(box.api_key, box.url, rate_limit=None, max_retries=0) as client:
        options: dict[str, Any] = {"journal": journal, "batch_size": 5, "raise_on_failure": False}
        options |= {"patience": 0, "on_refusal": "report"}
        box.inject(Fault("create_ingestion", drop="after", times=1))
        assert client.datasets.ingest(plain, rows(5), **options).ambiguous == 5
        for status in (400, 503):
            box.inject(Fault("create_ingestion", status=status, times=1))
            again = client.datasets.ingest(plain, rows(5), on_ambiguous="resend", **options)
            assert (again.ambiguous, again.failed) == (5, 0)
        assert client.datasets.ingest(plain, rows(5), **options).ambiguous == 5
    assert len(box.rows(plain)) == 5


class Interrupt(BaseException):
    """An interrupt that comes where Ctrl-C can."""


# While a row is read, or the files are written


class Reading(Mapping[str, Any]):
    """A row during whose reading an interrupt comes, as often as it says."""

    def __init__(self, interrupts: int, **columns: Any) -> None:
        self._left = interrupts
        self._columns = columns

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        if self._left:
            self._left -= 1
            raise Interrupt
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


KINDS = pytest.mark.parametrize("kind", ["sync", "asyncio", *slow(["trio"])])


def interrupted_ingest(box: Sandbox, kind: str, into: Any, given: Any, **options: Any) -> BaseException:
    """What an ingest that an interrupt ends raises, with either client."""
    options = {"batch_size": 10, **options}

    def ingest() -> None:
        with Databox(box.api_key, box.url, rate_limit=None) as client:
            client.datasets.ingest(into, given, **options)

    async def ingest_async() -> None:
        async with AsyncDatabox(box.api_key, box.url, rate_limit=None) as client:
            await client.datasets.ingest(into, given, **options)

    with pytest.raises(Interrupt) as caught:
        ingest() if kind == "sync" else anyio.run(ingest_async, backend=kind)
    return caught.value


@KINDS
@pytest.mark.parametrize("interrupts", [1, 2])
@pytest.mark.parametrize(("value", "outcome"), [(5, "unsent"), ([5], "invalid")])
def test_a_row_that_is_being_read_has_its_place(
    box: Sandbox, plain: Any, tmp_path: Path, kind: str, interrupts: int, value: Any, outcome: str
) -> None:
    """The second interrupt comes in a hurry, while the report of the first is made."""
    dead = tmp_path / "dead.jsonl"
    error: Any = interrupted_ingest(
        box, kind, plain, [*rows(15), Reading(interrupts, id=15, value=value), *rows(4, 16)], dead_letter=dead
    )
    assert adds_up(error.report)
    assert places(error.report, 15 if outcome == "invalid" else -1) == {
        **dict.fromkeys(range(10), "accepted"),
        **dict.fromkeys(range(10, 15), "unsent"),
        15: outcome,
    }
    letters = [json.loads(line)["id"] for line in dead.read_text().splitlines()]
    assert letters == [*range(10, 15), *([15] if outcome == "unsent" else [])]
    assert "An ingest was interrupted. 16 rows read" in "".join(error.__notes__)
    assert stored(box, plain) == rows(10)


@KINDS
def test_writing_dead_letters_that_is_interrupted_is_told_and_leaves_the_file_as_it_was(
    box: Sandbox, plain: Any, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise Interrupt

    dead = tmp_path / "dead.jsonl"
    dead.write_text('{"id":99}\n')
    monkeypatch.setattr("os.fsync", interrupt)
    error: Any = interrupted_ingest(box, kind, plain, [*rows(15), {"id": [15]}], dead_letter=dead)
    assert (error.report.accepted, error.report.appended, error.report.invalid) == (15, 15, 1)
    assert f"It interrupted writing {dead}, which may be incomplete." in error.__notes__
    assert dead.read_text() == '{"id":99}\n'


@KINDS
def test_dead_letters_that_an_interrupted_run_cannot_write_are_told(
    box: Sandbox, plain: Any, tmp_path: Path, kind: str
) -> None:
    def given() -> Iterator[Any]:
        yield from rows(15)
        (tmp_path / "folder").rename(tmp_path / "gone")
        yield Reading(1, id=15)

    (tmp_path / "folder").mkdir()
    error: Any = interrupted_ingest(box, kind, plain, given(), dead_letter=tmp_path / "folder" / "dead.jsonl")
    assert (error.report.accepted, error.report.unsent) == (10, 6)
    assert any("The dead letters cannot be written to" in note for note in error.__notes__)


@KINDS
def test_rows_that_the_journal_does_not_know_stay_unsent_and_are_not_offered(
    box: Sandbox, plain: Any, tmp_path: Path, kind: str
) -> None:
    """The interrupt comes before the batch is complete in which they are."""
    options: dict[str, Any] = {"journal": tmp_path / "journal", "dead_letter": tmp_path / "dead.jsonl"}
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        client.datasets.ingest(plain, rows(20), batch_size=10, **options)

    given = [*rows(10), *rows(3, 50), Reading(1, id=13, value=1)]
    error: Any = interrupted_ingest(box, kind, plain, given, **options)
    assert places(error.report, -1) == dict.fromkeys(range(10), "accepted") | dict.fromkeys(range(10, 14), "unsent")
    assert not options["dead_letter"].exists()
    assert any("belongs to another input: row 10 has changed" in note for note in error.__notes__)
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        assert client.datasets.ingest(plain, rows(20), **options).ok
    assert stored(box, plain) == rows(20)


# At any moment


@cache
def operations_of(code: CodeType) -> dict[int, str]:
    return {each.offset: each.opname for each in dis.get_instructions(code)}


@cache
def handler_of(code: CodeType, offset: int) -> int | None:
    """Where Python continues after an exception of the operation at an offset."""
    code_info: Any = dis.Bytecode(code)
    return next((entry.target for entry in code_info.exception_entries if entry.start <= offset < entry.end), None)


ROOT = str(Path(databox.__file__).parent)
PARTS = ("ingest/", "_sync/ingest.py", "_sync/pool.py", "_sync/runtime.py", "_sync/verification.py", "report.py")
TRACED = tuple(str(Path(ROOT, *part.split("/"))) for part in PARTS)


class At:
    """Raises at the n-th moment of the ingest's own code at which Python checks for signals.

    These are the start of a function, the moment after a call, and the end of a loop's body.
    """

    def __init__(self, moment: int) -> None:
        self._moment = moment
        self._now = 0
        self._before: dict[int, int] = {}
        self.came = False

    def __enter__(self) -> "At":
        self._other = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._other)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(TRACED):
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if event == "return":
            self._before.pop(id(frame), None)
        if event != "opcode" or self.came:
            return self._step
        operations, here = operations_of(frame.f_code), frame.f_lasti
        last = self._before.get(id(frame), -1)
        before = operations.get(last, "RESUME")
        self._before[id(frame)] = here
        # A signal after a call is raised by the call, and here by what comes next, which may be outside of its `with`.
        after_call = before.startswith(("CALL", "RESUME")) and handler_of(frame.f_code, last) == handler_of(
            frame.f_code, here
        )
        if after_call or operations[here].startswith("JUMP_BACKWARD"):
            self._now += 1
            if self._now == self._moment:
                self.came = True
                raise Interrupt
        return self._step


def places(report: IngestReport, invalid: int) -> dict[int, str]:
    """Return the outcome of each row; the invalid one has its own entry."""
    found: dict[int, str] = {}
    for batch in report.batches:
        row, left = batch.first_row, batch.rows
        while left:
            if (row == invalid) == (batch.outcome == "invalid"):
                assert row not in found
                found[row] = batch.outcome
                left -= 1
            row += 1
    return found


@pytest.mark.slow
@pytest.mark.parametrize("verify", [None, "counts"])
@pytest.mark.parametrize("first", range(5))
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # of a file that was being opened at that moment
def test_an_interrupt_at_any_moment(box: Sandbox, tmp_path: Path, first: int, verify: Any) -> None:
    """Eight rows, one of which is invalid, in batches of three."""
    # In its own thread: if a trace raises, Python may continue to take an exception as the one being handled.
    with Databox(box.api_key, box.url, rate_limit=None) as client, ThreadPoolExecutor(1) as thread:
        source = client.data_sources.create("S")
        moments = 0
        for moment in range(1 + first * 7, 10_000, 35):
            moments += 1
            plain = client.datasets.create("D", data_source=source)
            if not thread.submit(interrupted, box, client, plain, tmp_path / str(moment), moment, verify).result():
                break
    gc.collect()  # what was being opened, here and not in a test in which a warning is an error
    assert moments > 20


def interrupted(box: Sandbox, client: Databox, plain: Any, folder: Path, moment: int, verify: Any) -> bool:
    """Ingest with an interrupt at some moment; return whether it came, and check what it left."""
    folder.mkdir()
    dead, journal = folder / "dead.jsonl", folder / "journal"
    taken: list[int] = []

    def given() -> Iterator[dict[str, Any]]:
        for n in range(8):
            taken.append(n)
            yield {"id": [n] if n == 4 else n}

    options: dict[str, Any] = {"batch_size": 3, "dead_letter": dead, "journal": journal, "verify": verify}
    caught: Any = None
    report: Any = None
    with At(moment) as at:
        try:
            report = client.datasets.ingest(plain.id, given(), raise_on_failure=False, **options)
        except Interrupt as error:
            caught = error
    if not at.came:
        assert report.rows == 8
        return False
    report = getattr(caught, "report", report)
    caught = None
    if journal.exists():
        with closing(sqlite3.connect(journal, timeout=0.0)) as db:
            db.execute("begin exclusive")  # the next run may begin at once
    if report is None:
        assert not taken  # it had hardly begun
        return True
    assert adds_up(report)
    outcomes = places(report, 4)
    assert sorted(outcomes) == taken
    assert not report.ok
    values = [row["id"] for row in box.rows(plain)]
    assert len(values) == len(set(values))
    assert all(outcomes[row] in ("accepted", "ambiguous") for row in values)
    assert all(row in values for row, outcome in outcomes.items() if outcome == "accepted")
    letters = [json.loads(line)["id"] for line in dead.read_text().splitlines()] if dead.exists() else []
    missing = [row for row in taken if outcomes[row] in ("failed", "unsent")]
    assert set(missing) <= {letter for letter in letters if isinstance(letter, int)}
    with sqlite3.connect(journal) as db:
        noted = dict(db.execute("select end_row, state from batches").fetchall())
    db.close()
    for end, state in noted.items():
        assert outcomes[end - 1] == state
    return True
