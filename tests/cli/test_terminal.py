"""The command in a terminal of a given width."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from databox import Databox
from databox.sandbox import Fault, Sandbox
from tests.marks import first
from tests.outside import TEXT, wild

PROGRAM = [sys.executable, "-W", "error", "-c", "from databox.cli import main; main()"]


def shown(box: Sandbox, width: int, *arguments: str) -> str:
    """Return what a person sees, including control sequences."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environ |= {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url, "TERM": "xterm-256color"}
    with subprocess.Popen([*PROGRAM, *arguments], env=environ, stdin=slave, stdout=slave, stderr=slave) as running:
        os.close(slave)
        said = b""
        try:
            while part := os.read(master, 4096):
                said += part
        except OSError:
            pass  # the other end is closed
        os.close(master)
    assert running.returncode == 0
    return said.decode()


@pytest.fixture
def dataset_id(box: Sandbox) -> str:
    """A dataset in a data source."""
    with Databox(box.api_key, box.url) as client:
        source = client.data_sources.create("A source with a rather long title", account_id=123456)
        return client.datasets.create("Set", data_source=source).id


@pytest.mark.parametrize("width", first([50, 140]))
def test_an_id_is_never_broken_over_two_lines(box: Sandbox, dataset_id: str, width: int) -> None:
    with Databox(box.api_key, box.url) as client:
        (source,) = client.accounts.list_data_sources(123456).items
    assert dataset_id in shown(box, width, "data-source", "datasets", str(source.id))


def test_a_bar_shows_how_far_it_is_and_goes_away(box: Sandbox, dataset_id: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,name\n" + "".join(f"{n},x\n" for n in range(900)))
    box.inject(Fault("create_ingestion", delay=0.5, times=2))  # so that there is something to see in the meantime
    said = shown(box, 100, "dataset", "ingest", dataset_id, str(path))
    assert "━" in said
    assert "rows accepted" in said
    assert said.rstrip().endswith("failed          0")


@pytest.mark.slow
def test_a_terminal_gets_no_sequence_from_a_file(box: Sandbox, dataset_id: str, tmp_path: Path) -> None:
    """The colours are ours, and so is what draws the bar; nothing else is a control character."""
    directory = tmp_path / TEXT.replace("\0", "").replace("/", "")[:50]
    directory.mkdir()
    path = directory / "a.jsonl"
    path.write_text("".join(json.dumps({"id": n, TEXT: TEXT}) + "\n" for n in range(300)))
    box.inject(Fault("create_ingestion", delay=0.3, times=2))
    said = shown(box, 120, "dataset", "ingest", dataset_id, str(path))
    assert wild(re.sub(r"\x1b\[(\d+(;\d+)*m|\?25[lh]|[12][AK]|2K)|\r", "", said), lines=True) == ""
    assert "\x1b[5;95m" not in said
    assert r"\x1b[5;95mred" in said
