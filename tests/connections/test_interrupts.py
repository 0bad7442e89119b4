"""Ctrl-C at any moment of a synchronous request: later requests work as if nothing had happened."""

import subprocess
import sys

import pytest

from databox.sandbox import Sandbox
from tests.marks import slow
from tests.programs import unmeasured
from tests.sandbox.http import get

PROGRAM = """
import random, signal, sys
from databox import Databox, RateLimit

limit = RateLimit(per_second=1_000_000, per_hour=1_000_000_000)
client = Databox(sys.argv[1], sys.argv[2], rate_limit=limit, timeout=20.0, max_retries=0)
longest, interrupted = float(sys.argv[3]), 0
for number in range(3000):
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000001, longest))
        client.accounts.list()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    if not number % 50:
        title = f"t{number}"
        assert client.data_sources.create(title).title == title
print(interrupted)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="this system has no timer signals")
@pytest.mark.parametrize("longest", [0.0003, *slow([0.003])])
def test_interrupts_of_the_synchronous_client(box: Sandbox, longest: float) -> None:
    """If an interrupt left a lock locked, that would stop the next request of all clients with the key."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, box.api_key, box.url, str(longest)],
        env=unmeasured(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100
    get(box)  # so that what was on its way is not counted to the next test
