"""Record the answers of the real API.

    python -m tools.contract.record [--base-url URL] [--account ID] [--out DIR]

Creates its own data source, calls all operations and the usual errors, removes what it created, even if it
fails or is interrupted, and writes the answers without key, account ids and anything personal.
"""

import argparse
import contextlib
import datetime
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Self

import attrs
import httpx

from databox.config import DEFAULT_BASE_URL, Config, load_config
from databox.errors import ConfigurationError
from tools.contract.description import Description
from tools.contract.recording import RECORDINGS, Recording, RecordingError, read, write
from tools.contract.redaction import redacted
from tools.contract.walk import Walk, WalkError

__all__ = ["OPT_IN", "main", "provenance_of"]

OPT_IN = "DATABOX_RECORD"
_PAUSE = 0.25  # four requests a second, of the ten that a key has
_REFUSAL = f"""Nothing was sent. Recording uses the key in DATABOX_API_KEY for some 50 requests, and makes and deletes a
data source of its own. If that is what you want, say so: {OPT_IN}=1"""


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Record what the API really answers.")
    parser.add_argument("--base-url", help=f"another server than {DEFAULT_BASE_URL} or DATABOX_API_URL")
    parser.add_argument(
        "--account", type=int, help="where to make the data source; in the first account listed without"
    )
    parser.add_argument("--out", type=Path, help="a folder for the recordings; by default their provenance's")
    given = parser.parse_args(arguments)
    if os.environ.get(OPT_IN) != "1":
        return _failed(_REFUSAL, 2)
    try:
        config = load_config(None, given.base_url)
    except ConfigurationError as error:
        return _failed(f"Nothing was sent. {error}", 2)
    if config.exposes_key:
        return _failed(
            f"Nothing was sent. The key would cross the network unencrypted; {config.base_url} needs https.", 2
        )
    provenance = provenance_of(config.base_url)
    title = f"databox-sdk recording {secrets.token_hex(4)}, safe to delete"
    print(f"Recording from {config.base_url} ({provenance}), in a data source titled {title!r}.")
    try:
        found = _recorded(config, title, given.account, _PAUSE if provenance == "live" else 0.0)
    except _Stopped as stopped:
        return _failed(str(stopped), stopped.status)
    written = _written(found, provenance, given.out or RECORDINGS / provenance)
    print(
        f"{len(written)} recordings are in {given.out or RECORDINGS / provenance}. Look at them before you commit them."
    )
    return 0


def provenance_of(base_url: str) -> str:
    """Return the provenance of answers from an address: only those of the real service are live."""
    return "live" if base_url == DEFAULT_BASE_URL else "emulated"


class _Stopped(Exception):
    """The recording failed."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _recorded(config: Config, title: str, account: int | None, pause: float) -> list[Recording]:
    key = config.key.reveal()
    headers = {"x-api-key": key, "accept": "application/json"}
    problem, status = "", 1
    found: list[Recording] = []
    with (
        httpx.Client(base_url=config.base_url, headers=headers, timeout=30) as http,
        _Signals() as signals,
    ):
        walk = Walk(
            http, title=title, account_id=account, pause=pause, told=lambda name, code: print(f"  {code} {name}")
        )
        try:
            found = list(walk.run())
            signals.ignore()
        except WalkError as error:
            problem = str(error)
        except KeyboardInterrupt:
            problem, status = "Interrupted.", 130
        finally:
            signals.ignore()
            left = walk.clean_up()
    if problem or left:
        after = left or "What it made is removed."
        raise _Stopped(f"Nothing was written. {problem or 'The walk was whole.'} {after}", status)
    return redacted(found, key=key, title=title, account_id=walk.found["accountId"])


def _written(found: list[Recording], provenance: str, folder: Path) -> list[Path]:
    description = Description.published()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    whom = "The real service" if provenance == "live" else "A server that is not the real one"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for recording in found:
        answer = recording.response
        problems = description.response_problems(
            recording.operation, recording.status, answer.content, answer.content_type
        )
        deviations = [problem.text for problem in problems]
        for deviation in deviations:
            print(f"  not as described: {deviation}")
        whole = attrs.evolve(
            recording,
            provenance=provenance,
            source=f"{whom}. Redacted; lists of accounts and data sources are cut to those of the walk.",
            recorded=today,
            deviations=tuple(deviations),
        )
        written.append(write(whole, folder))
    for stale in set(folder.glob("*.json")) - set(written):
        with contextlib.suppress(RecordingError):  # files that are not recordings are not ours to remove
            read(stale)
            stale.unlink()
    return written


class _Signals:
    """Turns the first signal to terminate into an interrupt; later ones must not prevent the cleanup."""

    def __enter__(self) -> Self:
        numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        self._before = {number: signal.signal(number, self._interrupt) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ignore(self) -> None:
        """Ignore signals from now on."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _interrupt(self, number: int, frame: object) -> None:
        self.ignore()
        raise KeyboardInterrupt


def _failed(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
