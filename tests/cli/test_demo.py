"""`databox demo`, run as a separate program."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.programs import unmeasured

COMMAND = [sys.executable, "-W", "error", "-m", "databox.cli", "demo"]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("DATABOX")}


@pytest.mark.slow
def test_what_failed_is_gone_on_with_and_no_row_is_lost_or_doubled() -> None:
    environ = CLEAN | {"DATABOX_API_KEY": "never-used", "DATABOX_API_URL": "https://nowhere.invalid"}
    done = subprocess.run(COMMAND, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("seattle-weather.csv: CSV, comma, UTF-8, 1,461 rows")) == (0, 2)
    first, second = re.findall(r"^\$ (databox dataset ingest .*)$", done.stdout, re.MULTILINE)
    assert first == second
    assert f"To go on where it stopped:\n  {first}\n" in done.stdout
    assert re.findall(r"^ +appended +([\d,]+)$", done.stdout, re.MULTILINE) == ["600", "1,461"]
    assert "The dataset holds 1,461 rows for 1,461 days: none lost, none doubled." in done.stdout
    assert "never-used" not in done.stdout + done.stderr


@pytest.mark.slow
def test_the_sandbox_stays_until_ctrl_c_where_it_is_to() -> None:
    environ = {name: value for name, value in unmeasured().items() if name in CLEAN}
    with subprocess.Popen([*COMMAND, "--stay"], env=environ, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        line = next(line for line in program.stdout if line.startswith("Look around"))
        with urllib.request.urlopen(line.split()[3]) as page:
            assert b"<html" in page.read()
        program.send_signal(signal.SIGINT)
        assert program.wait(120) == 0
