"""`databox demo`: real rows, an outage in the middle, and how to go on after it."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from databox import Databox
from databox.cli.terminal import console
from databox.sandbox import Fault, Sandbox

__all__ = ["demo"]

WEATHER = Path(__file__).with_name("seattle-weather.csv")
"""Each day's weather at Seattle's airport, 2012 to 2015, as the U.S. National Weather Service noted it."""
DAYS = 1461
BEFORE_THE_OUTAGE = 6
"""Batches that the service takes first."""


def demo(
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep the sandbox and its page until Ctrl-C, to look around.")
    ] = False,
) -> None:
    """Send real rows to a sandbox on this machine, with an outage and its resumption.

    No account is needed.
    """
    with Sandbox() as box, tempfile.TemporaryDirectory(prefix="databox-demo-") as folder:
        shutil.copy(WEATHER, folder)
        with Databox(api_key=box.api_key, base_url=box.url) as client:
            source = client.data_sources.create("Demo")
            dataset = client.datasets.create("Seattle weather", data_source=source, primary_keys=["date"])
        _say(f"A sandbox is running: the API, on this machine only. Its page is {box.url}/_sandbox/.")
        _say(
            f"Four years of weather data go to a new dataset. After {BEFORE_THE_OUTAGE} batches, the service goes down:"
        )
        command = ["dataset", "ingest", dataset.id, "--file", WEATHER.name, "--primary-keys", "date"]
        command += ["--journal", "weather.journal", "--patience", "1"]
        box.inject(Fault("create_ingestion", status=503, headers={"retry-after": "0"}, after=BEFORE_THE_OUTAGE))
        first = _run(command, box, folder)
        box.clear_faults()
        _say("The service is back. The same command resumes where its journal stopped:")
        second = _run(command, box, folder)
        days = [row["date"] for row in box.rows(dataset.id)]
        whole = len(days) == len(set(days)) == DAYS
        verdict = "none lost, none doubled" if whole else "not what was sent"
        _say(f"The dataset holds {len(days):,} rows for {len(set(days)):,} days: {verdict}.")
        if stay:
            with contextlib.suppress(KeyboardInterrupt):
                _say(f"Look around at {box.url}/_sandbox/ until Ctrl-C.")
                while True:  # a wait without an end cannot be interrupted on Windows
                    time.sleep(0.5)
    raise typer.Exit(0 if whole and (first, second) == (1, 0) else 1)


def _run(arguments: list[str], box: Sandbox, folder: str) -> int:
    """Run the command as one would by hand, with the sandbox's key; return its exit code."""
    console().print((f"$ databox {shlex.join(arguments)}", "bold"), whole=True)
    environ = os.environ | {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
    code = subprocess.run(
        [sys.executable, "-m", "databox.cli", *arguments], cwd=folder, env=environ, check=False
    ).returncode
    console().print()
    return code


def _say(text: str) -> None:
    console().print(text, whole=True)
    console().print()
