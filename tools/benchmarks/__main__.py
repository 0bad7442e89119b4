"""Run the benchmarks and print their ratios.

    python -m tools.benchmarks            all of them
    python -m tools.benchmarks sending    one of sending, limits, memory, importing, starting, reading

Each ratio compares two things measured alternately in the same run, so that a busy machine slows both.
"""

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from databox import Databox, RateLimit, read_records
from tools.benchmarks import contestants, readers
from tools.benchmarks.server import running, stats

ROUNDS = 15
ROWS = 20_000

Contestant = Callable[[str, int], int]


def ratios(url: str, ours: Contestant, others: Sequence[Contestant]) -> dict[str, float]:
    """Return the ratio of our rows per second to each alternative's: the median of alternating rounds."""
    found: dict[str, list[float]] = {other.__name__: [] for other in others}
    for contestant in (ours, *others):
        contestant(url, 2000)
    for _ in range(ROUNDS):
        for other in others:
            found[other.__name__].append(timed(url, other) / timed(url, ours))
    return {name: statistics.median(values) for name, values in found.items()}


def timed(url: str, contestant: Contestant) -> float:
    """Return the seconds that a contestant takes, after checking that it sent everything."""
    started = time.perf_counter()
    sent = contestant(url, ROWS)
    took = time.perf_counter() - started
    assert sent == ROWS, (contestant.__name__, sent)
    return took


def sending() -> None:
    """The ratio of our rows per second to the alternatives', without limits or latency."""
    with running() as url:
        sync = [contestants.httpx_loop, contestants.requests_loop, contestants.generated_client, contestants.floor]
        for name, ratio in ratios(url, contestants.databox_sync, sync).items():
            line(f"sync client / {name}", f"{ratio:.2f}", {"httpx_loop": ">= 1.6", "requests_loop": ">= 2"}.get(name))
        for name, ratio in ratios(url, contestants.databox_over_httpx, [contestants.httpx_loop]).items():
            line(f"sync client over an httpx client / {name}", f"{ratio:.2f}", None)
        loop = [contestants.httpx_async_loop]
        for name, ratio in ratios(url, contestants.databox_async, loop).items():
            line(f"async client / {name}", f"{ratio:.2f}", ">= 2")


def limits() -> None:
    """The time of a run at the documented limits and 150 ms latency, relative to the minimum that the limits allow."""
    batches, rows = 150, 15_000
    with running(latency=0.15) as url, Databox(contestants.KEY, url, rate_limit=RateLimit()) as client:
        started = time.perf_counter()
        report = client.datasets.ingest("d", contestants.rows(rows), verify=None)
        took = time.perf_counter() - started
        assert report.accepted == rows
        over = stats(url)["over"]
    imposed = (batches - 10) / 10 + 0.15  # the first ten go immediately, and the last answer adds its latency
    line("seconds at the limits / seconds that they impose", f"{took / imposed:.3f}", "<= 1.05")
    line("requests over the limit", str(over), "0")


MEMORY = """
import os, sys
from databox import Databox
page = os.sysconf("SC_PAGE_SIZE") / 2**20
def now(): return int(open("/proc/self/statm").read().split()[1]) * page
def rows(count):
    for n in range(count):
        yield {"invoice_id": n, "customer": f"Customer {n % 977}", "date": "2025-10-01", "amount": n * 1.25}
before = most = now()
def look(progress):
    global most
    most = max(most, now())
with Databox("a-key-for-the-benchmark", sys.argv[1], rate_limit=None) as client:
    report = client.datasets.ingest("d", rows(int(sys.argv[2])), verify=None, progress=look)
assert report.accepted == int(sys.argv[2])
print(most - before)
"""


def memory() -> None:
    """Peak memory beyond that after the import, for a short and a long generator."""
    with running() as url:
        for count in (100_000, 1_000_000):
            done = subprocess.run(
                [sys.executable, "-c", MEMORY, url, str(count)], capture_output=True, text=True, check=True
            )
            line(f"MiB above the import, {count:,} rows", f"{float(done.stdout):.1f}", "<= 24")


def importing() -> None:
    """The processor time of importing this library, relative to `import httpx, attrs`; the median of many pairs."""
    # httpx imports its own command with rich and click if they are installed; most programs have neither.
    plain = "import sys; sys.modules['click'] = None; "
    programs = [plain + "import databox", plain + "import httpx, attrs"]
    times: dict[str, list[float]] = {program: [] for program in programs}
    with TemporaryDirectory() as bytecode:
        # pip installs compiled modules; those in a work tree may not be compiled.
        environ = os.environ | {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
        for number in range(26):
            for program in programs:
                before = _spent_by_children()
                subprocess.run([sys.executable, "-c", program], check=True, env=environ)
                if number:
                    times[program].append(_spent_by_children() - before)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(*times.values(), strict=True))
    line("import databox / import httpx, attrs", f"{ratio:.2f}", "<= 1.25")


def starting() -> None:
    """The seconds until the first batch of a CSV file of 1,000,000 rows is accepted; the median of five."""
    found: list[float] = []
    with TemporaryDirectory() as directory, running() as url, Databox(contestants.KEY, url, rate_limit=None) as client:
        path = Path(directory) / "orders.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("order;day;amount;customer;postcode\n")
            file.writelines(
                f"{n};31.12.2025;{n % 9999},56;Müller {n % 977};{n % 99999:05d}\n" for n in range(1_000_000)
            )
        for _ in range(5):
            started = time.perf_counter()
            with read_records(path) as records:
                client.datasets.ingest("d", islice(records, 100), verify=None)
            found.append(time.perf_counter() - started)
    line("seconds until the first of 1,000,000 rows are accepted", f"{statistics.median(found):.2f}", "<= 1")


def reading() -> None:
    """The ratio of our rows per second to the alternatives', for a CSV file of 1,000,000 rows and 8 columns."""
    found: dict[str, list[float]] = {}
    with TemporaryDirectory() as directory:
        path = Path(directory) / "rows.csv"
        readers.written(path, 1_000_000)
        for _ in range(3):
            took = {}
            for reader in (readers.ours, readers.by_hand, readers.pandas_rows, readers.duckdb_rows):
                started = time.perf_counter()
                assert reader(path) == 1_000_000
                took[reader.__name__] = time.perf_counter() - started
            for name, seconds in took.items():
                found.setdefault(name, []).append(seconds / took["ours"])
    for name, aim in (("by_hand", ">= 1"), ("pandas_rows", None), ("duckdb_rows", None)):
        line(f"read_records / {name}", f"{statistics.median(found[name]):.2f}", aim)


def _spent_by_children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def line(what: str, value: str, wanted: str | None) -> None:
    """Print a figure and its target."""
    print(f"  {what:<52} {value:>8}   {wanted or ''}", flush=True)


def main() -> None:
    """Run the requested benchmarks."""
    parts = {part.__name__: part for part in (sending, limits, memory, importing, starting, reading)}
    wanted = sys.argv[1:] or list(parts)
    if not parts.keys() >= set(wanted):
        sys.exit(f"usage: python -m tools.benchmarks [{' | '.join(parts)}] …")
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    for name in wanted:
        print(f"{name}: {(parts[name].__doc__ or '').strip()}")
        parts[name]()


if __name__ == "__main__":
    main()
