"""The command, run in this process against a sandbox over real HTTP."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from databox import Databox
from databox.cli import main
from databox.sandbox import Sandbox


@attrs.frozen
class Done:
    """What a command returned and printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the single JSON document on standard output."""
        return json.loads(self.out)


class Terminal:
    """`sys` with somebody at a keyboard."""

    def __init__(self, typed: str) -> None:
        self.stdin = io.StringIO(typed)
        self.stdin.isatty = lambda: True  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


class Command:
    """Runs the command as the shell would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Done:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return Done(int(leaving.value.code or 0), said.out, said.err)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The command without a key."""
    monkeypatch.setenv("COLUMNS", "100")
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield Command(monkeypatch, capsys)
    # It may say where its process logs, but this process has other tests to run.
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


@pytest.fixture
def databox(command: Command, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command with the sandbox's key."""
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    return command


@pytest.fixture
def dataset_id(box: Sandbox) -> str:
    """A dataset keyed by `id` in the sandbox."""
    with Databox(box.api_key, box.url) as client:
        source = client.data_sources.create("Source")
        return client.datasets.create("Set", data_source=source, primary_keys=["id"]).id
