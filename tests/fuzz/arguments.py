"""Command lines that nobody intends: a line that says what is wrong, and the documented exit code."""

import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from databox import Databox
from databox.cli import main
from databox.limit import shared
from databox.sandbox import Sandbox
from tests.fuzz.spoil import KEY, Case, assert_tame, spoiled
from tests.outside import PIECES

ROWS = json.dumps([{"id": n, "value": f"v{n}"} for n in range(30)])
FILES = {"a.csv": "id,value\n" + "".join(f"{n},v{n}\n" for n in range(30)), "b.jsonl": '{"id": 1}\n', "c.json": ROWS}
FILES |= {"q.sql": "select 1 as id", "empty": "", "odd.csv": "id;v\n1;1,5\n2;1.234,56\n3;N/A\n"}
LINES = [
    "auth login",
    "auth validate",
    "account list",
    "account timezones",
    "account data-sources 123456",
    "data-source create --title T --account-id 123456 --timezone UTC --id",
    "data-source datasets SOURCE",
    "data-source delete SOURCE --force",
    "dataset create --title T --data-source-id SOURCE --primary-keys id,value",
    "dataset ingestions DATASET --page 1 --page-size 2 --all",
    "dataset ingestion DATASET INGESTION",
    "dataset purge DATASET --force",
    "dataset delete DATASET",
    *["dataset ingest DATASET a.csv"] * 3,
    "dataset ingest DATASET --file a.csv --file b.jsonl --pad --dead-letter dead --journal j --concurrency 2",
    "dataset ingest DATASET - --format csv --quiet",
    "dataset ingest DATASET odd.csv --decimal , --null N/A --column v=number --misfits null --delimiter semicolon",
    "dataset ingest DATASET --query @q.sql --database sqlite://",
    "dataset ingest DATASET --database sqlite:// --param x=1 --query",
    "dataset ingest DATASET a.csv --header x,y --skip-lines 1 --skip-footer 1 --encoding cp1252 --max-field 100",
    "dataset ingest DATASET a.csv --dry-run --primary-keys id --limit-share 50% --verify status --patience 0",
    "doctor",
    "sandbox --port 0 --state world --rate-limit 5 --processing-delay 1",
    "",
]
WORDS = ["", "-", "--", "0", "-1", "1e999", "nan", "9" * 400, "é", "@", "@missing", "=", "a=b=c", ",", "../x", "."]
WORDS += [*(piece.replace("\0", "") for piece in PIECES), os.fsdecode(b"\xff"), "x" * 3000, "[/x]", "{}", "%"]
WORDS += [
    "--json",
    "--help",
    "--version",
    "--id",
    "-q",
    "--all",
    "--force",
    "--dry-run",
    "--no-such",
    "--title",
    "T",
    *FILES,
]
WORDS += [
    "--verify",
    "none",
    "--journal",
    "--dead-letter",
    "--format",
    "json",
    "--sheet",
    "--rows-at",
    "data",
    "--param",
]
WORDS += ["sqlite:///missing/x.db", "nothing://user:secret@h/d", "select :x as id", "utf-16", "date:%", "--dayfirst"]


@contextmanager
def arguments() -> Iterator[Case]:
    """Run spoiled command lines against a sandbox."""
    with TemporaryDirectory() as folder, Sandbox(api_key=KEY) as box, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABOX_API_KEY", KEY)
        patch.setenv("DATABOX_API_URL", box.url)
        patch.setenv("COLUMNS", "100")
        patch.setattr("databox._sync.transport.wait_before_retry", lambda *_, **__: None)
        # Ctrl-C comes as soon as it is waited for.
        patch.setattr("databox.cli.sandbox.time", SimpleNamespace(sleep=lambda _: signal.raise_signal(signal.SIGINT)))
        patch.setattr("tempfile.tempdir", folder)
        place = Path(folder, "here")
        place.mkdir()
        patch.chdir(place)
        yield lambda chance: _try(chance, box, place)


def _try(chance: Random, box: Sandbox, folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    shared._logs.known.clear()
    box.reset()
    names = _made(box)
    words = [names.get(word, word) for word in chance.choice(LINES).split()]
    words = _spoiled_line(chance, words)
    if chance.random() < 0.4:
        words.append("--json")
    stdin = chance.choice([b"", b"y\n", b"id,value\n1,2\n", b"\xff\xfe\0"])
    if words[:2] == ["auth", "login"] and chance.random() < 0.7:
        stdin = f"{KEY}\n".encode()
    code, out, err = _run(words, stdin, chance.choice(["utf-8", "utf-8", "utf-8", "latin-1"]))
    said = f"{words!r} {code} {out!r} {err!r}"
    assert code in {0, 1, 2}, said
    assert "Traceback" not in err, f"{words!r}\n{err}"
    assert_tame(out, lines=True)
    assert_tame(err, lines=True)
    if "--json" not in words or "--" in words or {"--help", "--version"} & {*words} or words[:1] == ["sandbox"]:
        return
    document = _document(words, out)
    if isinstance(document, dict) and "datasetId" in document:
        _check_rows(box, document, code, said)


def _made(box: Sandbox) -> dict[str, str]:
    with Databox(KEY, box.url, rate_limit=None) as client:
        source = client.data_sources.create("S")
        dataset = client.datasets.create("D", data_source=source)
        ingestion = client.datasets.create_ingestion(dataset, [{"id": "x"}]).ingestion_id
        client.datasets.purge(dataset)
    return {"SOURCE": str(source.id), "DATASET": dataset.id, "INGESTION": ingestion}


def _spoiled_line(chance: Random, words: list[str]) -> list[str]:
    words = list(words)
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        # What is not even a command is refused soon.
        place = chance.randrange(2 if len(words) > 2 and chance.random() < 0.85 else 0, len(words) + 1)
        last = min(place + chance.choice([1, 1, 3]), len(words))
        match chance.randrange(5):
            case 0:
                words[place:last] = []
            case 1:
                words[place:last] = [chance.choice(WORDS)]
            case 2:
                words[place:place] = [chance.choice(WORDS)]
            case 3 if place < len(words):
                raw = spoiled(chance, os.fsencode(words[place]))
                words[place] = os.fsdecode(raw.replace(b"\0", b"").replace(KEY.encode(), b"")[:10_000])
            case _:
                words += words[place:last]
                del words[place:last]
    return words


def _run(words: list[str], stdin: bytes, encoding: str) -> tuple[Any, str, str]:
    """Run the command as the shell would; return its exit code and what it said."""
    raw = io.BytesIO(), io.BytesIO()
    out, err = io.TextIOWrapper(raw[0], encoding), io.TextIOWrapper(raw[1], "utf-8", "backslashreplace")
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        try:
            main(words)
            code: Any = "no exit"
        except SystemExit as leaving:
            code = leaving.code or 0
        finally:
            for number, handler in handlers:
                signal.signal(number, handler)
    out.flush()
    err.flush()
    return code, raw[0].getvalue().decode(encoding), raw[1].getvalue().decode()


def _document(words: list[str], out: str) -> Any:
    """The one document on standard output; none where the shell was shown help, or `--json` was something else."""
    if not out or (words[-2:-1] and words[-2].startswith("-")):
        return None
    return orjson.loads(out)


def _check_rows(box: Sandbox, document: dict[str, Any], code: int, said: str) -> None:
    """What the summary says is what the sandbox stored."""
    try:
        stored = len(box.rows(document["datasetId"]))
    except LookupError:
        stored = 0
    accepted = document["accepted"] - document["overwritten"]
    assert (code == 0) == (document["status"] == "success"), said
    assert stored <= accepted + document["ambiguous"], (stored, said)
    if document["status"] == "success":
        assert stored == accepted == document["rows"], (stored, said)
