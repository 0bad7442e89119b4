"""The page "Run it every night" is followed as printed, through a night that fails midway and one that resumes.

What starts the script is taken from the page too: the crontab, the units, the workflow's steps.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import attrs
import pytest
import yaml

from databox import Databox, Dataset
from databox.sandbox import Fault, Sandbox
from tests.marks import slow

fcntl: Any = pytest.importorskip("fcntl", reason="the page is about systems that are like Unix")
HAS_FLOCK = pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock")
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "without-a-server.md").read_text("utf-8")
EARLIER = {n: f"{n},2026-01-30,{n * 1.5}" for n in range(1, 451)}
LATER = {n: f"{n},2026-01-31,{n * 2.5}" for n in range(401, 651)}  # of which fifty replace earlier ones


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


SCRIPT, REMEDY = blocks("bash")
(CRONTAB,) = blocks("text")
SERVICE, TIMER = blocks("ini")
(WORKFLOW,) = blocks("yaml")


@attrs.frozen
class Job:
    """A machine with the job on it."""

    folder: Path
    dataset: Dataset
    box: Sandbox

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def environ(self, **changes: str) -> dict[str, str]:
        """Nothing but what every program has."""
        return {"HOME": str(self.folder / "home"), "DATABOX_API_URL": self.box.url, "COLUMNS": "200"} | changes

    def here(self, text: str) -> str:
        """What the page says, with the places of this machine."""
        places = {"/opt/databox/bin": "bin", "/opt/databox": "", "/srv/exports": "exports", "/var/lib/databox": "state"}
        for place, name in places.items():
            text = text.replace(place, str(self.folder / name))
        return text.replace("4e1219d8-7fa8-44b7-96c6-a8f2a9cfb0bf", self.dataset.id)

    def arrives(self, day: str, rows: dict[int, str]) -> None:
        (self.folder / "exports" / f"orders-{day}.csv").write_text("order,day,amount\n" + "\n".join(rows.values()))

    def states(self) -> list[str]:
        return sorted(path.name for path in self.state.iterdir() if path.name != "lock")


@attrs.frozen
class Night:
    """How a night ended."""

    code: int
    said: str


class Starter(Protocol):
    """What starts the script, each night."""

    def __call__(self, started: Callable[["subprocess.Popen[str]"], None] = lambda _: None) -> Night: ...


@pytest.fixture
def job(box: Sandbox, tmp_path: Path) -> Job:
    for name in ("bin", "exports", "home", "state"):
        (tmp_path / name).mkdir()
    command = shlex.join([sys.executable, "-W", "error", "-c", "from databox.cli import main; main()"])
    for name, text in (("bin/databox", f'#!/bin/sh\nexec {command} "$@"\n'), ("nightly.sh", SCRIPT)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    with Databox(box.api_key, box.url) as client:
        source = client.data_sources.create("Shop")
        dataset = client.datasets.create("Orders", data_source=source, primary_keys=["order"])
    job = Job(tmp_path, dataset, box)
    job.arrives("2026-01-30", EARLIER)
    return job


def run(
    command: list[str], environ: dict[str, str], folder: Path, started: Callable[["subprocess.Popen[str]"], None]
) -> Night:
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        started(process)
        said, _ = process.communicate(timeout=120)
    assert "Traceback" not in said
    return Night(process.returncode, said)


def by_cron(job: Job) -> Starter:
    """As cron does: the variables of the crontab, and the command by `sh`; the key is where `auth login` puts it."""
    login = ["databox", "auth", "login"]
    path = f"{job.folder / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(login, env=job.environ(PATH=path), input=job.box.api_key, text=True, check=False)
    assert done.returncode == 0
    lines = [line for line in job.here(CRONTAB).splitlines() if line]
    variables = dict(line.split("=", 1) for line in lines[:-1])
    *times, command = lines[-1].split(None, 5)
    assert re.fullmatch(r"\d+ \d+ \* \* \*", " ".join(times))
    return lambda started=lambda _: None: run(["sh", "-c", command], job.environ(**variables), job.folder, started)


def by_systemd(job: Job) -> Starter:
    """As systemd does: the environment of the unit, and its command."""
    unit = section(job.here(SERVICE), "Service")
    environ = {"DATABOX_API_KEY": job.box.api_key, "DATASET": job.dataset.id}  # what the page has in orders.env
    for line in unit["Environment"]:
        environ |= dict(each.split("=", 1) for each in shlex.split(line))
    assert unit["EnvironmentFile"] == ["/etc/databox/orders.env"]
    return lambda started=lambda _: None: run(unit["ExecStart"], job.environ(**environ), job.folder, started)


def section(unit: str, name: str) -> dict[str, list[str]]:
    """What a section of a unit says, in which a name may stand several times."""
    (body,) = re.findall(rf"^\[{name}\]\n(.*?)(?=^\[|\Z)", unit, re.MULTILINE | re.DOTALL)
    found: dict[str, list[str]] = {}
    for line in body.splitlines():
        name, _, value = line.partition("=")
        if name:
            found.setdefault(name, []).append(value)
    return found


def by_actions(job: Job) -> Starter:
    """As GitHub does: the steps of the workflow in a new checkout each night, with a cache that outlasts it."""
    steps: list[dict[str, Any]] = yaml.safe_load(WORKFLOW)["jobs"]["send"]["steps"]
    known = {"secrets.DATABOX_API_KEY": job.box.api_key, "vars.DATASET": job.dataset.id}
    caches: list[str] = []  # by the time at which they were saved
    nights = iter(range(100))

    def start(started: Callable[["subprocess.Popen[str]"], None] = lambda _: None) -> Night:
        number = next(nights)
        known.update({"github.run_id": f"{number}", "github.run_attempt": "1"})
        checkout = job.folder / f"checkout-{number}"
        checkout.mkdir()
        shutil.copy(job.folder / "nightly.sh", checkout)
        (checkout / "get-exports.sh").write_text(f'#!/bin/sh\ncp -r "{job.folder / "exports"}" "$1"\n')
        (checkout / "get-exports.sh").chmod(0o755)
        night = Night(0, "")
        for step in steps:
            always = step.get("if") == "always()"
            if (night.code and step.get("if") not in ("always()", "failure()")) or night.code == -signal.SIGKILL:
                continue  # a runner that dies does nothing any more
            given = {name: filled(str(value), known) for name, value in step.get("with", {}).items()}
            action = step.get("uses", "").partition("@")[0]
            if action == "actions/cache/restore":
                found = [key for key in caches if key.startswith(given["restore-keys"])]
                if found:
                    shutil.copytree(job.folder / "caches" / found[-1], checkout / given["path"])
            elif action == "actions/cache/save":
                assert always
                assert given["key"] not in caches, "A cache is never written again."
                shutil.copytree(checkout / given["path"], job.folder / "caches" / given["key"])
                caches.append(given["key"])
                shutil.rmtree(job.state)
                shutil.copytree(checkout / given["path"], job.state)
            elif "run" in step and not step["run"].startswith("pip install"):
                variables = {name: filled(value, known) for name, value in step.get("env", {}).items()}
                variables["PATH"] = f"{job.folder / 'bin'}:/usr/bin:/bin"
                sends = started if "nightly.sh" in step["run"] else lambda _: None
                ended = run(["bash", "-e", "-c", step["run"]], job.environ(**variables), checkout, sends)
                night = Night(night.code or ended.code, night.said + ended.said)
        return night

    return start


def filled(text: str, known: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: known[found[1]], text)


@pytest.fixture(
    params=[pytest.param(by_cron, marks=HAS_FLOCK), *slow([by_systemd, by_actions])], ids=["cron", "systemd", "actions"]
)
def start(request: pytest.FixtureRequest, job: Job) -> Starter:
    starter: Starter = request.param(job)
    return starter


def amounts(job: Job) -> dict[int, float]:
    return {row["order"]: row["amount"] for row in job.box.rows(job.dataset)}


def expected(*files: dict[int, str]) -> dict[int, float]:
    return {n: float(row.rpartition(",")[2]) for rows in files for n, row in rows.items()}


def sent(box: Sandbox) -> int:
    return sum(each.operation == "datasets.create_ingestion" for each in box.requests)


def taken(box: Sandbox) -> int:
    """The rows that the sandbox took."""
    posts = [each for each in box.requests if each.operation == "datasets.create_ingestion" and each.status == 200]
    return sum(len(each.json["records"]) for each in posts)


def test_what_stopped_in_the_middle_goes_on_the_next_night(start: Starter, job: Job) -> None:
    job.box.inject(Fault("create_ingestion", status=404, after=2))
    first = start()
    assert first.code == 1
    assert "accepted" in first.said  # which cron mails
    before = amounts(job)
    assert 0 < len(before) < 450
    assert "orders-2026-01-30.csv.journal" in job.states()
    job.box.clear_faults()
    job.arrives("2026-01-31", LATER)
    assert start() == Night(0, "")  # and cron mails nothing
    assert amounts(job) == expected(EARLIER, LATER)
    assert taken(job.box) == len(EARLIER) + len(LATER)  # no row twice
    assert job.states() == ["orders-2026-01-30.csv.done", "orders-2026-01-31.csv.done"]
    assert start() == Night(0, "")
    assert taken(job.box) == len(EARLIER) + len(LATER)


def test_what_was_killed_in_the_middle_goes_on_the_next_night(start: Starter, job: Job) -> None:
    """As by a power cut; a runner that dies takes the state with it."""
    job.box.inject(Fault("create_ingestion", delay=600, drop="before", after=2))

    def cut(process: "subprocess.Popen[str]") -> None:
        while process.poll() is None and sent(job.box) < 3:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)

    assert start(cut).code == -signal.SIGKILL
    assert 0 < len(amounts(job)) < 450
    job.box.clear_faults()
    job.arrives("2026-01-31", LATER)
    assert start() == Night(0, "")
    assert amounts(job) == expected(EARLIER, LATER)
    assert job.states() == ["orders-2026-01-30.csv.done", "orders-2026-01-31.csv.done"]


def test_a_row_that_is_refused_is_mended_as_the_page_says(start: Starter, job: Job) -> None:
    job.arrives("2026-01-31", LATER | {700: "700,2026-01-31,-1"})
    job.box.inject(Fault("create_ingestion", when={"column": "amount", "value": -1}))
    first = start()
    assert first.code == 1
    assert re.search(r"read +251\n", first.said)
    assert "orders-2026-01-31.csv.journal" in job.states()
    (letters,) = job.state.glob("*.dead.jsonl")
    reasons = Path(f"{letters}.reasons.jsonl").read_text()
    assert reasons.count("\n") == 1
    assert '"order":700' in reasons.replace(" ", "")
    letters.write_text(letters.read_text().replace("-1", "7.5"))
    script = REMEDY.replace("2026-01-30", "2026-01-31")
    path = f"{job.folder / 'bin'}:/usr/bin:/bin"
    environ = job.environ(PATH=path, STATE=str(job.state), DATASET=job.dataset.id, DATABOX_API_KEY=job.box.api_key)
    mended = run(["sh", "-ec", script], environ, job.folder, lambda _: None)
    assert mended.code == 0, mended.said
    assert amounts(job) == expected(EARLIER, LATER) | {700: 7.5}
    assert "orders-2026-01-31.csv.done" in job.states()


def test_where_there_are_no_exports_that_is_said(start: Starter, job: Job) -> None:
    (job.folder / "exports" / "orders-2026-01-30.csv").unlink()
    night = start()
    assert (night.code, sent(job.box)) == (1, 0)
    assert re.fullmatch(r"There is no \S*exports/orders-\*\.csv\.\n", night.said)


def test_wrong_usage_is_told_by_its_exit_code(job: Job) -> None:
    """Which systemd does not start again for."""
    (job.folder / "nightly.sh").write_text(SCRIPT.replace("--quiet", "--silent"))
    assert by_systemd(job)().code == 2
    assert section(SERVICE, "Service")["RestartPreventExitStatus"] == ["2"]


@HAS_FLOCK
def test_cron_leaves_a_run_alone_that_is_under_way(job: Job) -> None:
    start = by_cron(job)
    with (job.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        night = start()
    assert (night.said, sent(job.box)) == ("", 0)
    assert start() == Night(0, "")
    assert amounts(job) == expected(EARLIER)


# What others say of the files


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units(job: Job) -> None:
    units = job.folder / "units"
    units.mkdir()
    for text, kind in ((SERVICE, "service"), (TIMER, "timer")):
        assert text.startswith(f"# /etc/systemd/system/databox-orders.{kind}\n")
        (units / f"databox-orders.{kind}").write_text(job.here(text))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(units.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    said = [line for line in done.stderr.splitlines() if "databox-orders" in line]  # and nothing of others
    assert (done.returncode, said) == (0, []), done.stderr


def test_the_timer_has_a_service_of_its_name_and_a_time_of_the_night() -> None:
    (time_of_day,) = section(TIMER, "Timer")["OnCalendar"]
    assert re.fullmatch(r"\*-\*-\* \d\d:\d\d", time_of_day)
    assert section(TIMER, "Timer")["Persistent"] == ["true"]
    assert section(SERVICE, "Service")["Type"] == ["oneshot"]
    assert section(SERVICE, "Service")["StateDirectory"] == ["databox"]


def test_the_linter_finds_nothing_wrong_with_the_workflow(tmp_path: Path) -> None:
    path = tmp_path / ".github" / "workflows" / "orders.yml"
    path.parent.mkdir(parents=True)
    path.write_text(WORKFLOW)
    zizmor = Path(sys.executable).with_name("zizmor")
    command = [str(zizmor), "--offline", "--no-progress", "--persona", "pedantic", str(tmp_path / ".github")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_pins_its_actions_by_hash_and_saves_what_it_restores() -> None:
    document = yaml.safe_load(WORKFLOW)
    assert document["permissions"] == {}
    assert document["concurrency"]["cancel-in-progress"] is False
    steps = document["jobs"]["send"]["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w/-]+@[0-9a-f]{40}", name) for name in used)
    ours = "".join(path.read_text("utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    assert {name for name in used if name not in ours and "/cache/" not in name} == set()
    restore, save = (next(s for s in steps if f"cache/{what}@" in s.get("uses", "")) for what in ("restore", "save"))
    assert restore["with"]["path"] == save["with"]["path"]
    assert restore["with"]["key"] == save["with"]["key"]
    assert save["if"] == "always()"
