"""How many files a call and a row pass through: the files that a reader of the code has to open.

A file counts when one of its functions is passed what the caller gave: the text, or whatever it has become.
"""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import attrs

import databox
from databox import Databox
from databox.sandbox import Sandbox

MARK = "a text that nothing else holds"
ROOMS = Path(databox.__file__).parent


def test_a_call_goes_through_nine_files_at_most(box: Sandbox) -> None:
    with Databox(box.api_key, box.url) as client:
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
        names = passed(lambda: client.datasets.purge(dataset), dataset.id)
    assert {"_sync/datasets.py", "api/operations.py", "_sync/transport.py", "_sync/http1.py"} <= names
    assert len(names) <= 9, names


def test_a_row_goes_through_eighteen_files_at_most(box: Sandbox, tmp_path: Path) -> None:
    with Databox(box.api_key, box.url) as client:
        dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["id"])

        def ingest() -> None:
            rows = [{"id": 1, "text": MARK}]
            client.datasets.ingest(dataset, rows, journal=tmp_path / "journal", dead_letter=tmp_path / "letters")

        names = passed(ingest, MARK)
    assert {"_sync/ingest.py", "ingest/encode.py", "ingest/batch.py", "ingest/journal.py", "_sync/http1.py"} <= names
    assert len(names) <= 18, names


def passed(act: Callable[[], object], text: str) -> set[str]:
    """Return the files of the package in which a function receives the text while something is done."""
    names: set[str] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event != "call" or ROOMS not in file.parents or "sandbox" in file.parts:
            return
        name = file.relative_to(ROOMS).as_posix()
        given = (value for argument, value in frame.f_locals.items() if argument != "self")
        if name not in names and any(holds(value, text) for value in given):
            names.add(name)

    before = sys.getprofile()
    threading.setprofile(look)
    sys.setprofile(look)
    try:
        act()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    return names


def holds(value: Any, text: str, depth: int = 0) -> bool:
    """Return whether a value contains the text, at any depth."""
    if isinstance(value, str):
        return text in value
    if isinstance(value, bytes | bytearray):
        return text.encode() in value
    if depth == 4:
        return False
    if isinstance(value, dict):
        return any(holds(each, text, depth + 1) for each in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return any(holds(each, text, depth + 1) for each in list(value)[:50])
    if attrs.has(type(value)):
        return any(holds(getattr(value, field.name, None), text, depth + 1) for field in attrs.fields(type(value)))
    return False
