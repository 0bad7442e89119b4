"""Messages fit their audience: the command names options, Python names arguments."""

import inspect
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from databox import Databox, read_query, read_records
from databox.cli.failures import words
from databox.errors import DataboxError
from databox.misuse import Misuse
from databox.sandbox import Sandbox
from databox.wording import Message, for_command, message, row_at, setting, words_of
from tests.cli.conftest import Command
from tests.test_error_page import OUTCOMES, PROVOKED, ends_as

_ARGUMENTS = {
    name
    for call in (read_records, read_query, Databox.__init__, Databox("a-key-of-some-length").datasets.ingest)
    for name in inspect.signature(call).parameters
    if "_" in name or name in {"columns", "nulls", "params", "misfits", "dayfirst"}
}
_IN_PYTHON = re.compile(
    rf"\b(?:{'|'.join(sorted(_ARGUMENTS))})=|\b(?:{'|'.join(sorted(name for name in _ARGUMENTS if '_' in name))})\b"
    r"|\w=[\[{'\"]|\b(?:None|True|False)\b|\btype (?:dict|list|str|int|tuple)\b|Options\(|RateLimit\("
)
_IN_SHELL = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def for_programs(text: str) -> bool:
    """Return whether a message is in terms of Python; names of columns and files may be, and are quoted."""
    return _IN_PYTHON.search(text) is not None


TABLE = "id,amount,day\n1,5,2025-01-01\n2,7,2025-01-02\n"
LATE = "id,zip\n" + "1,10000\n" * 10_001
FILES: dict[str, tuple[bytes, list[str]]] = {
    "preamble": (b"Sales report\n\n" + TABLE.encode(), []),
    "no header": (b"1001,2025-12-31,9.5\n1002,2026-01-01,3.25\n", []),
    "nameless": (b"a,,b\n1,2,3\n", []),
    "twice": (b"a,b,a\n1,2,3\n", []),
    "second header": (b"id,weight\nno,kg\n1,9.5\n2,3.0\n", []),
    "named": (b"id;name\n1;Ann\n2;Bob\n", ["--header", "x,y"]),
    "delimiter": (b"id^n\n1^2\n3^4\n", []),
    "aligned": (b"id    name   n\n1     Ann    3\n2     Bob    4\n", []),
    "page": (b"<!DOCTYPE html>\n<html></html>\n", []),
    "json": (b'[{"id": 1},\n {"id": 2}]\n', ["--format", "jsonl"]),
    "totals": (b"id,amount\n1,5\n2,7\nTotal,12\n", []),
    "short": (b"id,name,n\n1,a,5\n2,b\n3,c,1\n", []),
    "nothing": (b"id,amount\n1,5\n2,N/A\n3,7\n", []),
    "empty": (b"id,amount\n", []),
    "elsewhere": (b'{"data": [{"id": 1}], "total": 1}', []),
    "not there": (b'{"data": [{"id": 1}]}', ["--rows-at", "rows"]),
    "stray": ("id,name\n1,Zürich\n2,Köln\n".encode() + b"3,Caf\xe9\n", []),
    "cyrillic": ("id,name\n1,Москва\n".encode("cp1251"), []),
    "iso2022": ("id,name\n1,東京\n".encode("iso2022_jp"), []),
    "zeros": (b"a,b\n1,x\0y\n", []),
    "wrong encoding": (b"a,b\n1,\xe9\n", ["--encoding", "utf-8"]),
    "long field": (f'a,b\n1,"{"x" * 200_000}"\n'.encode(), []),
    "quote": (b'a,b\n1,"x\n2,y\n', []),
    "day or month": (b"d\n03/04/2025\n05/06/2025\n", []),
    "thousands": (b"a;b\n1.234;x\n", []),
    "late": (f"{LATE}1,01067\n".encode(), []),
    "declared": (b"a,b\n1,x\n", ["--column", "b=number"]),
    "declared dates": (b"d\n03/04/2025\n", ["--column", "d=date"]),
    "declared marks": (b"a;b\n1.234;x\n", ["--column", "a=number"]),
    "declared in json": (b'[{"a": "x"}]', ["--column", "a=number"]),
    "late number": (b"".join(b'{"id": %d}\n' % n for n in range(200)) + b'{"id": 9007199254740993}\n', []),
    "twice in json": (b'[{"a": 1, "a": 2}]', []),
    "no object": (b"[1]", []),
    "no type": (b"a\n1\n", ["--column", "a=int"]),
    "no mark": (b"a\n1\n", ["--decimal", "x"]),
    "no delimiter": (b"a\n1\n", ["--delimiter", "::"]),
    "no format": (b"a\n1\n", ["--date-format", "%d/%m"]),
    "no encoding": (b"a\n1\n", ["--encoding", "klingon"]),
    "names twice": (b"a\n1\n", ["--header", "x,x"]),
    "key": (b"a\n1\n", ["--primary-keys", "b"]),
    "no time": (b"a\n1\n", ["--verify-timeout", "inf"]),
    "one file": (b"a\n1\n", ["--journal", "x", "--dead-letter", "x"]),
    "archive": (b"PK\x03\x04" + b"x" * 100, []),
}


@pytest.mark.parametrize("name", FILES)
def test_the_command_never_speaks_python(name: str, command: Command, tmp_path: Path) -> None:
    text, options = FILES[name]
    path = tmp_path / "in"
    path.write_bytes(text)
    done = command("dataset", "ingest", "x", path, "--dry-run", *options)
    assert done.code == 2
    assert not for_programs(done.err.replace(str(path), "file")), done.err
    document = command("dataset", "ingest", "x", path, "--dry-run", "--json", *options).json
    assert not for_programs(document["message"])


@pytest.mark.parametrize("name", [name for name, (_, options) in FILES.items() if not options])
def test_python_never_speaks_of_options(name: str) -> None:
    with pytest.raises(DataboxError) as caught:
        list(read_records(io.BytesIO(FILES[name][0])))
    assert not _IN_SHELL.search(str(caught.value))


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": [1]}],
        [{"id": {"a": 1}}],
        [{"id": None}],
        [{"x": 1}],
        [{}],
    ],
)
def test_rows_that_cannot_be_sent_are_counted_from_1_by_the_command(rows: list[Any], command: Command) -> None:
    given = json.dumps([{"id": 1}, *rows])
    done = command("dataset", "ingest", "x", "--dry-run", "--records", given, "--primary-keys", "id")
    assert done.code == 1
    assert "Row 2" in done.out
    assert not for_programs(done.out)


def test_what_is_noted_of_columns_and_files(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("day;price;größe;kind\n20251231;5 €;1;n/a\n20260101;6 €;2;n/a\n".encode("cp1252"))
    done = command("dataset", "ingest", "x", path, "--dry-run")
    assert not for_programs(done.err)
    assert "--encoding" in done.err
    assert "--column" in done.err
    assert "--null" in done.err
    with read_records(path) as records:
        notes = [*records.notes, *(column.note for column in records.columns)]
    assert not any(map(_IN_SHELL.search, notes))
    assert "columns={'day': 'date:%Y%m%d'}" in records.columns[0].note
    document = command("dataset", "ingest", "x", path, "--dry-run", "--json").json
    assert not for_programs(json.dumps([document["files"], [each["note"] for each in document["columns"]]]))


@pytest.mark.parametrize("name", [*PROVOKED, *OUTCOMES])
def test_errors_of_the_library_in_both_spellings(name: str, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DATABOX_API_KEY", "DATABOX_API_URL"):
        monkeypatch.delenv(variable, raising=False)
    provoke = PROVOKED.get(name) or ends_as(name)
    with (
        Databox(box.api_key, box.url, rate_limit=None, max_retries=0, timeout=5) as client,
        pytest.raises(DataboxError) as caught,
    ):
        provoke(client, box)
    assert not _IN_SHELL.search(str(caught.value))
    report = getattr(caught.value, "report", None)
    told = [batch.error for batch in report.batches if batch.error] if report else [caught.value]
    assert told
    for error in told:
        assert not for_programs(words(error)), words(error)


@pytest.mark.parametrize("environ", [{}, {"DATABOX_API_KEY": "https://x.org"}, {"DATABOX_API_KEY": "two words"}])
def test_a_key_that_is_missing_or_none(
    environ: dict[str, str], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    done = command("account", "list")
    assert done.code == 2
    assert not for_programs(done.err)
    with pytest.raises((DataboxError, Misuse)) as caught:
        Databox()
    assert not _IN_SHELL.search(str(caught.value))


def test_a_message_is_made_of_parts_and_keeps_both_spellings() -> None:
    said = message("Use ", setting("nulls", ["-", "n/a"]), " or ", setting("columns", {"a b": "text"}), ".")
    assert said == "Use nulls=['-', 'n/a'] or columns={'a b': 'text'}."
    assert for_command(said) == "Use --null='-' --null n/a or --column 'a b=text'."
    assert for_command(message(setting("dayfirst", True), setting("dayfirst", False))) == "--dayfirst--no-dayfirst"
    assert (row_at(1234), for_command(row_at(1234))) == ("row 1234", "row 1,235")
    assert for_command("plain") == "plain"


def test_both_spellings_travel_between_processes() -> None:
    import pickle

    with pytest.raises(DataboxError) as caught:
        list(read_records(io.BytesIO(b"id\n")))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), words(again)) == (str(caught.value), words(caught.value))
    assert isinstance(words_of(again), Message)
