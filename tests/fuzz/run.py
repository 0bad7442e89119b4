"""Runs case after case of a target in a separate process, because a crash of that process is a finding, too.

    python -m tests.fuzz.run TARGET SEED SECONDS CASES

is such a process, and says each thing on a line of standard output.
"""

import faulthandler
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest

from tests.fuzz.answers import answers
from tests.fuzz.arguments import arguments
from tests.fuzz.files import files
from tests.fuzz.journal import journal
from tests.fuzz.requests import requests
from tests.fuzz.spoil import Case

TARGETS: dict[str, Callable[[], AbstractContextManager[Case]]] = {
    "answers": answers,
    "files": files,
    "requests": requests,
    "arguments": arguments,
    "journal": journal,
}
LONGEST = 20.0
"""Seconds of the process's time that a case may take; what grows as it should takes a tenth of one."""
HANGS = 120
"""Seconds after which it is no longer waited for, however busy the machine is."""
LARGEST = 1_000_000
"""Kilobytes by which a case may let the process grow."""
MEMORY = 4_000_000_000
"""Bytes of addresses that the process may have, so that no case takes the machine down."""


class TooLong(BaseException):
    """A case does not end."""


@attrs.define
class Done:
    """What came of a target."""

    target: str
    cases: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    found: Counter[str] = attrs.field(factory=Counter)
    first: dict[str, str] = attrs.field(factory=dict)
    """Of each kind of finding the first: its seed, and what there is to know."""

    def __str__(self) -> str:
        what = f"{sum(self.found.values())} findings of {len(self.found)} kinds" if self.found else "nothing found"
        return (
            f"{self.target:<10} {self.cases:>7,} cases in {self.seconds:,.0f} s, {self.longest:.1f} s at most: {what}"
        )


def fuzz(target: str, *, seconds: float, seed: int, most: int = 10**9) -> Done:
    """Try cases until the time is over, one at least; print of each kind of finding the first, with its seed."""
    done, started = Done(target), time.monotonic()
    while not done.cases or (done.cases < most and time.monotonic() < started + seconds):
        left = max(0.0, started + seconds - time.monotonic())
        _go_on(done, seed + done.cases, left, most - done.cases)
    done.seconds = time.monotonic() - started
    return done


def _go_on(done: Done, seed: int, seconds: float, most: int) -> None:
    """Run a process until it ends, or is ended by what it found."""
    command = [sys.executable, "-m", "tests.fuzz.run", done.target, str(seed), str(seconds), str(most)]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as noise,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=noise, text=True) as process,
    ):
        assert process.stdout
        for line in process.stdout:
            case = json.loads(line)
            done.cases, done.longest, seed = done.cases + 1, max(done.longest, case["took"]), case["seed"] + 1
            if case["kind"]:
                _note(done, case["seed"], case["kind"], case["text"])
        if process.wait():
            noise.seek(0)
            done.cases += 1
            _note(done, seed, f"The process ended with {process.returncode}", noise.read()[-5000:])


def _note(done: Done, seed: int, kind: str, text: str) -> None:
    done.found[kind] += 1
    if done.found[kind] == 1:
        done.first[kind] = f"{done.target}, --seed {seed}: {kind}\n{text}"
        print(done.first[kind], file=sys.stderr, flush=True)


def main() -> None:
    """Be the process of a target."""
    target, seed, seconds, most = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    said, cases, started = os.fdopen(os.dup(1), "w"), 0, time.monotonic()
    with _alone(), TARGETS[target]() as case:
        while not cases or (cases < most and time.monotonic() < started + seconds):
            print(json.dumps({"seed": seed + cases, **_tried(case, seed + cases)}), file=said, flush=True)
            cases += 1


@contextmanager
def _alone() -> Iterator[None]:
    """No key, configuration or proxy of the developer's; warnings are errors, and what never ends is ended."""

    def ends(*_: object) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, ends)
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        for name in list(os.environ):
            if name.startswith("DATABOX_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("HOME", home)
        warnings.simplefilter("error")
        yield


def _tried(case: Case, seed: int) -> dict[str, Any]:
    """Try one; return what it took, and what was wrong."""
    size, started = _largest(), time.process_time()
    kind = text = ""
    signal.alarm(HANGS)
    try:
        case(Random(seed))
    except BaseException as error:  # noqa: BLE001 - it is what was looked for
        kind, text = _kind_of(error), "".join(traceback.format_exception(error, limit=-15))
    finally:
        signal.alarm(0)
    took, grown = time.process_time() - started, _largest() - size
    if not kind and took > LONGEST:
        kind = f"More than {LONGEST:.0f} s"
    if not kind and grown > LARGEST:
        kind = f"More than {LARGEST / 1000:,.0f} MB"
    return {"took": took, "kind": kind, "text": text}


def _largest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _kind_of(error: BaseException) -> str:
    """Where it was raised, in the library and altogether: what is raised there is one kind."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}databox{os.sep}" in frame.filename][-1:]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in (*ours, *frames[-1:])]
    return " at ".join([type(error).__name__, *places])


if __name__ == "__main__":
    main()
