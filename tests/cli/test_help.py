"""Help at any width, and what the command shows before it sends anything."""

import datetime
import decimal
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlwt

from tests.cli.conftest import Command

COMMANDS = [
    "",
    "auth",
    "auth login",
    "auth validate",
    "account",
    "account list",
    "account timezones",
    "account data-sources",
    "data-source",
    "data-source create",
    "data-source datasets",
    "data-source delete",
    "dataset",
    "dataset create",
    "dataset ingest",
    "dataset ingestions",
    "dataset ingestion",
    "dataset purge",
    "dataset delete",
    "doctor",
    "demo",
    "sandbox",
]
_OPTION = re.compile(r"--[a-z][a-z-]*")


@pytest.mark.parametrize("words", COMMANDS)
def test_help_is_readable_at_any_width(words: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[set[str]] = []
    for width in (60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        done = command(*words.split(), "--help")
        assert done.code == 0
        assert "…" not in done.out
        assert "..." not in re.sub(r"\[(ARGS|FILE)\]\.\.\.", "", done.out)
        assert not re.search(r"<(bool|str|int|float|path|int range)>", done.out)
        assert max(map(len, done.out.splitlines())) <= width
        assert re.search(r"^  [A-Z].*", done.out, re.MULTILINE)  # it says what it does
        named.append(set(_OPTION.findall(done.out)))
    assert named[0] == named[1] == named[2]
    assert "--help" in named[0]


def test_the_list_of_commands_fits_a_screen(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (60, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        assert len(command("--help").out.splitlines()) <= 24
        assert len(command("dataset", "--help").out.splitlines()) <= 24


def test_options_stand_in_groups(command: Command) -> None:
    lines = command("dataset", "ingest", "--help").out.splitlines()
    groups = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert groups == ["Arguments:", "Options:", "Reading files:"]


@pytest.mark.parametrize("words", [[], ["dataset"]])
def test_a_group_without_a_command_shows_its_help(words: list[str], command: Command) -> None:
    done = command(*words)
    said = done.out + done.err
    assert done.code == 2
    assert "Error" not in said
    assert said.splitlines() == command(*words, "--help").out.splitlines()


def test_a_preview_shows_notes_and_the_first_columns_of_many(command: Command, tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for column in range(42):
        sheet.write(0, column, f"c{column}")
        sheet.write(1, column, 7, xlwt.easyxf(num_format_str="000"))
    book.save(str(tmp_path / "a.xls"))
    said = command("dataset", "ingest", "x", tmp_path / "a.xls", "--dry-run").err
    assert "number formats with leading zeros" in said
    assert re.findall(r"^c(\d+) +number +7", said, re.MULTILINE) == [str(n) for n in range(40)]
    assert "  and 2 more columns\n" in said


def test_previews_show_the_same_of_every_format(command: Command, tmp_path: Path) -> None:
    day, amount = datetime.date(2025, 12, 31), decimal.Decimal("1234.50")
    table = pa.table({
        "id": [1], "day": [day], "amount": [amount], "share": [0.5], "flag": [True], "name": ["Ann"],
        "none": pa.array([None], pa.string()),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    row = {"id": 1, "amount": 1234.5, "share": 0.5, "flag": True, "name": "Ann", "none": None}
    (tmp_path / "a.json").write_text(json.dumps([row]))
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    (tmp_path / "a.csv").write_text("id,day,amount,share,flag,name,none\n1,2025-12-31,1234.50,0.5,true,Ann,\n")
    found = {}
    for kind, called in {"csv": "CSV", "parquet": "Parquet", "json": "JSON", "jsonl": "JSON Lines"}.items():
        arguments = ("dataset", "ingest", "x", tmp_path / f"a.{kind}", "--dry-run", "--column", "flag=boolean")
        columns = command(*arguments, "--json").json["columns"]
        found[kind] = {each["name"]: (each["type"], each["example"]) for each in columns}
        notes = {each["name"]: each["note"] for each in columns}
        assert notes == dict.fromkeys(notes, "") | {"flag": "declared", "none": "no value in the sample"}
        assert f"a.{kind}: {called}" in command(*arguments).err
    assert found["csv"]["flag"] == found["parquet"]["flag"] == ("boolean", "true")
    assert found["csv"]["day"] == found["parquet"]["day"] == ("date", "2025-12-31")
    assert found["parquet"]["amount"] == ("number", "1234.50")
    found["parquet"]["amount"] = found["csv"]["amount"]
    assert found["parquet"].pop("none") == ("text", "")  # as the file describes it
    assert found["csv"].pop("none") == found["json"].pop("none") == found["jsonl"].pop("none") == ("empty", "")
    assert found["csv"] == found["parquet"]
    assert found["json"] == found["jsonl"] == {name: value for name, value in found["csv"].items() if name != "day"}
