"""A file of any size starts to be sent when its first rows have been read."""

import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import islice
from typing import IO

import pytest

from databox import Databox, Dataset, read_records
from databox.sandbox import Sandbox
from tests.sandbox.http import get

MOST = 4 * 1024 * 1024
"""Bytes of the beginning that may be read before anything is sent; a million of these rows are 40 of such."""


def csv_lines() -> list[bytes]:
    """A thousand rows at a time, without an end."""
    return [
        b";".join([b"%d" % n, b"31.12.2025", b"%d,56" % (n % 9999), b"%05d" % (n % 7)]) + b"\n" for n in range(1000)
    ]


def json_lines() -> list[bytes]:
    return [b'{"order": %d, "amount": %d.5}\n' % (n, n % 9999) for n in range(1000)]


class Endless(io.RawIOBase):
    """A file without an end, until something has been asked of the sandbox."""

    def __init__(self, head: bytes, lines: list[bytes], ended: Callable[[], bool]) -> None:
        self._left = head
        self._block = b"".join(lines)
        self._ended = ended
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._left:
            if self._ended() or self.given > 2 * MOST:
                return 0
            self._left = self._block
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        self.given += size
        return size


def is_sent(box: Sandbox, dataset: Dataset) -> bool:
    """Whether rows came for this dataset; those of a test before may still be on their way."""
    return any(request.path == f"/v1/datasets/{dataset.id}/data" for request in box.requests)


@pytest.mark.parametrize(
    ("head", "lines", "name"),
    [(b"order;day;amount;code\n", csv_lines(), "csv"), (b"", json_lines(), "jsonl")],
    ids=["CSV", "JSON Lines"],
)
def test_the_first_request_goes_out_long_before_the_end(
    head: bytes, lines: list[bytes], name: str, box: Sandbox
) -> None:
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["order"])
        file = Endless(head, lines, lambda: is_sent(box, dataset))
        records = read_records(io.BufferedReader(file), format="csv" if name == "csv" else "jsonl")
        report = client.datasets.ingest(dataset, islice(records, 300), verify=None)
    assert report.accepted == 300
    assert file.given < MOST


def test_the_command_sends_while_its_standard_input_goes_on(box: Sandbox) -> None:
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["order"])
    environ = os.environ | {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
    command = [sys.executable, "-c", "from databox.cli import main; main()"]
    options = ["dataset", "ingest", dataset.id, "-", "--format", "csv", "--primary-keys", "order", "--verify", "none"]
    given = 0

    def feed(pipe: IO[bytes]) -> None:
        nonlocal given
        pipe.write(b"order;day;amount;code\n")
        block = b"".join(csv_lines())
        with contextlib.suppress(OSError):  # it is killed
            while given <= MOST:
                pipe.write(block)  # waits while the command has not read what was there before
                given += len(block)

    with subprocess.Popen([*command, *options], env=environ, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as ran:
        assert ran.stdin
        feeding = threading.Thread(target=feed, args=(ran.stdin,))
        feeding.start()
        while not is_sent(box, dataset) and feeding.is_alive():
            feeding.join(0.01)
        ran.kill()
        feeding.join()
        with contextlib.suppress(OSError):
            ran.stdin.close()
    get(box)  # so that what was on its way is not counted to the next test
    assert is_sent(box, dataset)
    assert given < MOST
