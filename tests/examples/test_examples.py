"""Every example as a separate program against a sandbox, and the failure that it is about."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from databox import Databox
from databox.sandbox import Fault, Sandbox

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TODAY = date(2026, 2, 1)


@pytest.fixture
def environ(box: Sandbox) -> dict[str, str]:
    return os.environ | {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}


def program(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]


def rows(box: Sandbox) -> list[dict[str, Any]]:
    """The rows of the one dataset that there is."""
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        account = client.accounts.list().items[0]
        (dataset,) = [
            dataset
            for source in client.accounts.list_data_sources(account.id)
            for dataset in client.data_sources.list_datasets(source)
        ]
    return box.rows(dataset)


# The nightly job


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Orders of two days."""
    path = tmp_path / "orders.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("create table orders (id integer primary key, day text, customer text, amount real)")
        for n in range(1, 501):
            day = TODAY - timedelta(days=1 if n > 100 else 2)
            db.execute("insert into orders values (?, ?, ?, ?)", (n, day.isoformat(), f"c{n % 7}", n * 1.5))
    return path


def nightly(database: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = program("nightly.py", database, "--state", database.parent / "state", "--today", TODAY)
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_the_nightly_job_is_quiet_when_all_is_well_and_does_nothing_twice(
    box: Sandbox, database: Path, environ: dict[str, str]
) -> None:
    done = nightly(database, environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(row["order"] for row in rows(box)) == list(range(1, 501))
    sent = ingestions(box)
    assert nightly(database, environ).returncode == 0
    assert ingestions(box) == sent
    assert not list(database.parent.glob("state/*.journal"))


def test_the_nightly_job_goes_on_after_a_kill(box: Sandbox, database: Path, environ: dict[str, str]) -> None:
    """Killed hard while batches are under way; the next run sends those again, and no earlier one."""
    command = program("nightly.py", database, "--state", database.parent / "state", "--today", TODAY)
    box.inject(Fault("create_ingestion", delay=0.01, times=2))
    box.inject(Fault("create_ingestion", delay=5))
    with subprocess.Popen(command, env=environ) as job:
        until(lambda: ingestions(box) >= 3)
        time.sleep(0.5)  # the first two are answered by now, and noted
        job.kill()
    httpx.delete(f"{box.url}/_sandbox/faults").raise_for_status()
    assert job.returncode == -signal.SIGKILL
    before = [request.json["records"][0]["order"] for request in box.requests if is_ingestion(request)]
    done = nightly(database, environ)
    assert (done.returncode, done.stderr) == (0, "")
    after = [request.json["records"][0]["order"] for request in box.requests if is_ingestion(request)][len(before) :]
    assert set(before[2:]) <= set(after)  # those that nobody knew about
    assert not set(before[:2]) & set(after)
    assert sorted(row["order"] for row in rows(box)) == list(range(1, 501))


def test_the_nightly_job_says_what_is_wrong_and_makes_up_for_it(
    box: Sandbox, database: Path, environ: dict[str, str]
) -> None:
    box.inject(Fault("create_ingestion", when={"column": "order", "value": 7}))
    failed = nightly(database, environ)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "2026-01-30: " in failed.stderr  # the first of the two days
    assert "Traceback" not in failed.stderr
    assert len(rows(box)) == 499  # all others arrived
    httpx.delete(f"{box.url}/_sandbox/faults").raise_for_status()
    assert nightly(database, environ).returncode == 0
    assert len(rows(box)) == 500


def is_ingestion(request: Any) -> bool:
    return bool(request.operation == "datasets.create_ingestion")


def ingestions(box: Sandbox) -> int:
    return sum(map(is_ingestion, box.requests))


def until(check: Any) -> None:
    """Wait for something; the test's own time-out ends it."""
    tick = threading.Event()
    while not check():
        tick.wait(0.005)


# DataFrames


def test_pandas_and_polars_send_the_same_rows(box: Sandbox, tmp_path: Path, environ: dict[str, str]) -> None:
    sales = tmp_path / "sales.csv"
    sales.write_text(
        "at,shop,amount,pieces,took\n"
        "2026-01-30 09:15:00,Ljubljana,19.90,2,00:03:30\n"
        "2026-01-30 17:40:00,Ljubljana,5.10,,00:01:30\n"
        "2026-01-30 10:00:00,Boston,7.00,1,00:00:45\n"
        "2026-01-31 11:00:00,Boston,12.50,3,00:02:00\n"
    )
    command = program("dataframe.py", sales)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["pandas: 3 appended, 0 overwritten", "polars: 0 appended, 3 overwritten"]
    assert rows(box) == [
        {"day": "2026-01-30", "shop": "Boston", "amount": 7.0, "pieces": 1, "took_s": 45.0},
        {"day": "2026-01-30", "shop": "Ljubljana", "amount": 25.0, "pieces": 2, "took_s": 150.0},
        {"day": "2026-01-31", "shop": "Boston", "amount": 12.5, "pieces": 3, "took_s": 120.0},
    ]


# The web application


@contextlib.contextmanager
def web_app(spool: Path, environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The application at work, and its address."""
    command = program("web_app.py", "--port", 0, "--spool", spool)
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as app:
        assert app.stderr
        address = next(found[0] for line in app.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        drain = threading.Thread(target=app.stderr.read)
        drain.start()
        try:
            yield app, f"{address}/events"
        finally:
            app.terminate()
            app.wait(120)
            drain.join()


def post(address: str, event: object) -> int:
    request = urllib.request.Request(address, json.dumps(event).encode())
    try:
        with urllib.request.urlopen(request, timeout=100) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_web_app_stopped_in_the_middle_loses_no_event_it_took(
    box: Sandbox, tmp_path: Path, environ: dict[str, str]
) -> None:
    box.inject(Fault("create_ingestion", delay=0.2))
    taken: list[str] = []
    with web_app(tmp_path / "events.jsonl", environ) as (app, address):
        with contextlib.suppress(OSError):  # the connection is refused from then on
            for n in range(1000):
                if post(address, {"id": f"e{n}", "kind": "signup"}) == 202:
                    taken.append(f"e{n}")
                if n == 150:
                    app.send_signal(signal.SIGTERM)
        app.wait(120)
    assert len(taken) > 150
    assert [row["id"] for row in rows(box)] == taken
    assert not (tmp_path / "events.jsonl").exists()


def test_the_web_app_keeps_what_it_could_not_send_and_sends_it_at_the_next_start(
    box: Sandbox, tmp_path: Path, environ: dict[str, str]
) -> None:
    spool = tmp_path / "events.jsonl"
    spool.write_text("".join(f'{{"id": "old{n}"}}\n' for n in range(250)))  # of a start before, in three batches
    box.inject(Fault("create_ingestion", status=403))
    with web_app(spool, environ) as (_, address):
        assert [post(address, {"id": f"e{n}"}) for n in range(5)] == [202] * 5
        assert post(address, {"kind": "no id"}) == 400
        assert post(address, "no object") == 400
    assert len(spool.read_text().splitlines()) == 255
    assert not rows(box)
    box.clear_faults()
    with web_app(spool, environ) as (_, address):
        assert post(address, {"id": "e5"}) == 202
    expected = [f"old{n}" for n in range(250)] + [f"e{n}" for n in range(6)]
    assert sorted(row["id"] for row in rows(box)) == sorted(expected)
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl.reasons.jsonl"]  # it tells what happened


# A suite of a user's own


@pytest.mark.slow
def test_a_suite_of_a_users_own_passes() -> None:
    suite = EXAMPLES / "own_suite"
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", str(suite), str(suite)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
