"""Clients created before a fork. The processes are real, and each test runs in a separate program."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import unmeasured

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
ROOT = Path(__file__).resolve().parents[2]

START = """
import asyncio, json, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, which is what this is about
import anyio
from databox import AsyncDatabox, Databox, RateLimit
from databox.sandbox import Sandbox

KIND = sys.argv[1]

class Client:
    '''Either client, with calls that run to their end; the asynchronous one has a loop for each call.'''
    def __init__(self, box, **options):
        self.own = (Databox if KIND == "sync" else AsyncDatabox)(box.api_key, box.url, **options)
    def call(self, way, *arguments, **named):
        part, _, name = way.rpartition(".")
        method = getattr(getattr(self.own, part), name)
        if KIND == "sync":
            return method(*arguments, **named)
        return anyio.run(lambda: method(*arguments, **named), backend=KIND)
    def dataset(self, **named):
        source = self.call("data_sources.create", "s")
        return self.call("datasets.create", "d", data_source=source, **named)

def child(work):
    '''Run something in a child; return its process and where its answer can be read.'''
    here, there = os.pipe()
    process = os.fork()
    if process:
        os.close(there)
        return process, here
    signal.alarm(100)
    try:
        os.write(there, json.dumps(work()).encode())
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}".encode())
        os._exit(3)

def answers(children):
    found = []
    for process, here in children:
        with os.fdopen(here, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(process, 0)
        assert status == 0, status
        found.append(json.loads(said))
    return found
"""

PRELOADED = """
with Sandbox() as box:
    client = Client(box, rate_limit=None, max_retries=0)
    dataset = client.dataset()
    def work(number):
        rows = [{"child": number, "row": row} for row in range(100)]
        return client.call("datasets.ingest", dataset, rows, batch_size=10).appended
    for round in range(3):
        children = [child(lambda: work(number)) for number in range(4)]
        mine = [client.call("data_sources.create", f"parent-{n}").title for n in range(10)]
        assert mine == [f"parent-{n}" for n in range(10)], mine
        assert answers(children) == [100] * 4
    stored = box.rows(dataset)
    assert len(stored) == 1200, len(stored)
    assert all(stored.count({"child": n, "row": r}) == 3 for n in range(4) for r in range(100))
"""

CREATES = """
with Sandbox() as box:
    client = Client(box, rate_limit=None, max_retries=0)
    client.call("accounts.list")
    def work(number):
        titles = [f"{number}-{n}" for n in range(12)]
        return [[title, client.call("data_sources.create", title).title] for title in titles]
    for _ in range(3):
        for pairs in answers([child(lambda: work(number)) for number in range(4)]):
            assert all(asked == got for asked, got in pairs), pairs
"""

WHILE_SENDING = """
with Sandbox() as box:
    clients = [Client(box, rate_limit=None), Client(box, rate_limit=RateLimit(per_second=500, per_hour=1_000_000))]
    dataset = clients[0].dataset(primary_keys=["id"])
    ended = threading.Event()
    def send(client):
        while not ended.is_set():
            client.call("accounts.list")
    threads = [threading.Thread(target=send, args=(client,)) for client in clients * 2]
    for thread in threads:
        thread.start()
    def work(number):
        rows = [[{"id": 2 * number + place, "n": number}] for place in range(2)]
        ways = zip(clients, rows)
        return [client.call("datasets.ingest", dataset, row, verify=None).accepted for client, row in ways]
    for number in range(10):
        assert answers([child(lambda: work(number))]) == [[1, 1]]
    ended.set()
    for thread in threads:
        thread.join()
    assert sorted(row["id"] for row in box.rows(dataset)) == list(range(20))
"""

LOCKED = """
from databox.limit.shared import _logs
with Sandbox() as box:
    client, limit = Client(box, rate_limit=RateLimit(per_second=2)), RateLimit(per_second=2)
    transport = client.own._transport
    copy = client.own.with_options(max_retries=0)._transport
    log = transport._log
    for _ in range(5):
        log.reserve(time.monotonic(), limit)  # two are sent, three are planned, and take the next second and more
    def work():
        client.call("accounts.list")
        copy.with_options(copy.options)
        return log.reserve(time.monotonic() + 1.1, limit).granted
    with transport._counting, copy._counting, log._lock, _logs.lock:
        assert answers([child(work)]) == [True]
"""

CLOSED_BY_THE_PARENT = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    while True:
        connection, _ = listener.accept()
        connection.recv(65536)
        seen.append(connection)
        connection.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 16\\r\\n\\r\\n{"accounts": []}')
seen = []
threading.Thread(target=serve, daemon=True).start()
class Box:
    api_key, url = "test-key-0123456789", f"http://127.0.0.1:{listener.getsockname()[1]}"
client = Client(Box, rate_limit=None)
client.call("accounts.list")
go, gone = os.pipe()
waiting = child(lambda: os.read(go, 1) and 1)
client.own.close() if KIND == "sync" else anyio.run(client.own.aclose, backend=KIND)
seen[0].settimeout(20)
assert seen[0].recv(1) == b""  # the end, although the child is still running
os.write(gone, b"x")
answers([waiting])
"""

CONNECTING = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
class Box:
    api_key, url = "test-key-0123456789", f"https://127.0.0.1:{listener.getsockname()[1]}"
client = Client(Box, rate_limit=None, max_retries=0, timeout=20)
def connect():
    try:
        client.call("accounts.list")
    except Exception as error:
        problems.append(error)
problems = []
thread = threading.Thread(target=connect)
thread.start()
seen, _ = listener.accept()
assert seen.recv(1)  # the handshake has begun, and this server will not go on with it
go, gone = os.pipe()
waiting = child(lambda: (seen.close(), os.read(go, 1)) and 1)
seen.sendall(b"this is not TLS, so the client closes the connection")
seen.settimeout(20)
try:
    while seen.recv(65536):
        pass
except ConnectionResetError:
    pass
thread.join()
assert "Nothing was sent" in str(problems[0])
os.write(gone, b"x")
answers([waiting])
"""

STARTING = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
def answer(connection):
    with connection:
        while connection.recv(65536):
            connection.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 16\\r\\n\\r\\n{"accounts": []}')
def serve():
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
class Box:
    api_key, url = "test-key-0123456789", f"http://127.0.0.1:{listener.getsockname()[1]}"
client = Client(Box, rate_limit=None, max_retries=0, timeout=60)
if KIND == "trio":
    anyio.run(anyio.sleep, 0, backend=KIND)  # a program imports its event loop itself
def work():
    if KIND == "asyncio":
        asyncio.run(client.own.accounts.list())
    else:
        client.call("accounts.list")
    return 1
first = threading.Thread(target=work)
first.start()
children = []
for _ in range(10):
    children.append(child(work))
    time.sleep(0.005)
assert answers(children) == [1] * 10
first.join()
"""

SHARING_A_STORE = """
import tempfile
with tempfile.TemporaryDirectory() as folder, Sandbox() as box:
    limit = RateLimit(per_second=300, per_hour=1_000_000, store=f"{folder}/store")
    client, ended = Client(box, rate_limit=limit), threading.Event()
    client.call("accounts.list")  # which imports an event loop, if there is one
    def send():
        while not ended.is_set():
            client.call("accounts.list")
    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        assert answers([child(lambda: client.call("accounts.list") and 1)]) == [1]
    ended.set()
    for thread in threads:
        thread.join()
"""

PROGRAMS = {
    "while the first request imports what it needs": STARTING,
    "while threads share a store": SHARING_A_STORE,
    "used in the parent, then in four children at once": PRELOADED,
    "creates get their own answers": CREATES,
    "while threads of the parent send": WHILE_SENDING,
    "locks that were held, and places that were taken": LOCKED,
    "a connection that was being opened ends with the parent's request": CONNECTING,
    "a connection ends with the parent's client, whatever children there are": CLOSED_BY_THE_PARENT,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_after_a_fork(program: str, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", START + PROGRAMS[program], kind],
        env=unmeasured(),  # each has threads at the fork: the sandbox's, if no others
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


ROOMS = ("_async", "_sync", "api", "sending", "limit", "ingest")


@pytest.mark.parametrize("room", ROOMS)
def test_no_fork_comes_in_the_middle_of_an_import_on_the_way(room: str) -> None:
    """Whatever a call imports, the fork waits for; what these programs happen to import is only a part of it."""
    for file in (ROOT / "databox" / room).glob("*.py"):
        tree = ast.parse(file.read_bytes())
        kept = {
            each
            for block in ast.walk(tree)
            if isinstance(block, ast.With) and ast.unparse(block.items[0]) == "undivided"
            for each in ast.walk(block)
        }
        for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)):
            for each in ast.walk(function):
                assert not isinstance(each, ast.Import | ast.ImportFrom) or each in kept, f"{file}:{each.lineno}"


POOLS = """
import multiprocessing
from databox import Databox
from databox.sandbox import Sandbox

def work(number):
    return client.data_sources.create(f"s-{number}").title == f"s-{number}"

with Sandbox() as box:
    client = Databox(box.api_key, box.url, rate_limit=None, max_retries=0)
    client.accounts.list()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert all(pool.map(work, range(60), chunksize=1))
    client.close()
"""


def test_a_pool_of_processes_uses_a_global_client() -> None:
    command = [sys.executable, "-c", POOLS]
    done = subprocess.run(command, env=unmeasured(), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
