"""Text from outside is shown and has no effect: every command, with servers and files that contain such text."""

import io
import json
import logging
import os
import re
import sys
from pathlib import Path

import orjson
import pytest

from databox.cli import main
from databox.cli.terminal import LogFormatter
from databox.sandbox import Sandbox
from tests.cli.conftest import Command, Done
from tests.outside import PIECES, TEXT, answer_with, refusal_with, wild
from tests.scripted import ScriptedServer, answer

TYPED = TEXT.replace("\0", "")
"""Return the text as it can be an argument."""
KEY = "some-key-0123456789"
COMMANDS = [
    ["auth", "validate"],
    ["account", "list"],
    ["account", "timezones"],
    ["account", "data-sources", "1"],
    ["data-source", "create", "--title", TYPED],
    ["data-source", "datasets", "1"],
    ["data-source", "delete", "1", "--force"],
    ["dataset", "create", "--title", "T", "--data-source-id", "1", "--primary-keys", TYPED],
    ["dataset", "ingestions", "d"],
    ["dataset", "ingestion", "d", "i"],
    ["dataset", "purge", "d", "--force"],
    ["dataset", "delete", "d", "--force"],
    ["dataset", "ingest", "d", "--records", json.dumps([{"id": 1}]), "--patience", "0", "--verify-timeout", "0"],
    ["doctor"],
]
ANSWERS: dict[str, tuple[int, object]] = {
    "success": (200, answer_with(TEXT)),
    "refusal in a 200": (200, refusal_with(TEXT)),
    **{str(status): (status, refusal_with(TEXT)) for status in (302, 400, 403, 404, 429, 500)},
    "no JSON": (200, TEXT),
    "no JSON either": (503, TEXT),
    "half a pair": (200, '{"requestId": "\\ud800", "accounts": [{"id": 1, "name": "\\udfff"}]}'),
}


@pytest.fixture
def scripted(command: Command, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run the command against a server that answers what a test says."""
    monkeypatch.setenv("DATABOX_API_KEY", KEY)
    monkeypatch.setenv("DATABOX_API_URL", server.url)
    monkeypatch.setattr("databox._sync.transport.wait_before_retry", lambda *_, **__: None)
    monkeypatch.setattr("databox.limit.shared._logs.known", {})
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return command


def assert_tame(done: Done) -> None:
    """Check that nothing from outside had an effect, and that nothing was interpreted as markup."""
    assert wild(done.out, lines=True) == ""
    assert wild(done.err, lines=True) == ""
    assert not re.search(r"^(\\n)?ERROR forged", done.out + done.err, re.MULTILINE)
    assert "⚠" not in done.out + done.err


@pytest.mark.parametrize("said", ANSWERS)
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_every_command_shows_whatever_the_server_says(
    scripted: Command, server: ScriptedServer, arguments: list[str], said: str
) -> None:
    server.will(answer(*ANSWERS[said], {"x-request-id": "\x9b2J\x85id", "retry-after": "\x9b1"}))
    assert_tame(scripted(*arguments))
    done = scripted(*arguments, "--json")
    assert_tame(done)
    orjson.loads(done.out)


@pytest.mark.parametrize("piece", PIECES)
def test_a_table_shows_all_of_a_title(scripted: Command, server: ScriptedServer, piece: str) -> None:
    server.will(answer(200, {"requestId": "r", "accounts": [{"id": 1, "name": piece}, {"id": 2, "name": "plain"}]}))
    done = scripted("account", "list")
    assert_tame(done)
    head, odd, plain = done.out.splitlines()
    assert {len(line.rstrip()) for line in (odd, plain)} == {len(plain.rstrip())}
    assert odd.index(" -") == plain.index(" -") == head.index("Account type") - 1
    for word in ("bold", "ERROR forged", "txt.exe", "red"):
        assert (word in odd) == (word in piece)
    (shown_as_json, _) = scripted("account", "list", "--json").json
    assert shown_as_json["name"] == piece


@pytest.mark.parametrize("piece", PIECES)
def test_the_id_that_a_confirmation_names_is_the_one(scripted: Command, server: ScriptedServer, piece: str) -> None:
    given = "".join(character for character in piece if not wild(character))
    done = scripted("dataset", "purge", given, stdin=b"n\n")
    assert_tame(done)
    assert f"Remove all rows of dataset {given}, for good? [y/N] " in done.err
    assert not server.requests


def test_a_key_is_stored_though_the_server_speaks_in_markup(
    command: Command, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABOX_API_URL", server.url)
    server.will(answer(403, {"status": "error", "errors": [{"code": "forbidden", "message": "IP not allowed [/x]"}]}))
    done = command("auth", "login", stdin=KEY.encode())
    assert (done.code, "IP not allowed [/x]" in done.err) == (0, True)
    assert json.loads(Path(os.environ["HOME"], ".config", "databox-cli", "config.json").read_text())["apiKey"] == KEY


def odd_files(directory: Path) -> list[Path]:
    """Files with odd text in each place that has text."""
    quoted = TYPED.replace('"', "")
    name = quoted.replace("/", "")[:60]
    made = {
        "csv": f'id,"{quoted}","{quoted[:9]}"\n1,"{quoted}",x\n2,"y",z\n',
        "misfit.csv": "id,n\n" + "".join(f"{n},{n}\n" for n in range(2000)) + f'9,"{quoted}"\n',
        "doubled.csv": f'"{quoted}","{quoted}"\n1,2\n',
        "ragged.csv": f'id,"{quoted}"\n1,2,3,4\n"{quoted}\n',
        "json": json.dumps([{"id": 1, TEXT: TEXT, "b": [TEXT]}]),
        "broken.json": json.dumps([{"id": 1, TEXT: TEXT}])[:-9],
        "jsonl": json.dumps({"id": 1, TEXT: TEXT}) + "\n" + json.dumps({"id": 2, TEXT: 5}) + "\n",
        "pairs.jsonl": '{"id": 1, "\\ud800": "\\udfff"}\n{"id": 2, "a": "\\udfff"}\n',
        "other": TEXT,
        "parquet": f"PAR1{TEXT}PAR1",
    }
    for ending, text in made.items():
        (directory / f"{name}.{ending}").write_text(text, encoding="utf-8", newline="")
    (directory / os.fsdecode(b"\xff\x9b.csv")).write_text("id\n1\n")
    return [*directory.iterdir(), directory / f"{name}.missing"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--dry-run"],
        ["--misfits", "null"],
        ["--primary-keys", TYPED],
        ["--column", f"{TYPED}=number"],
        ["--column", TYPED],
        ["--date-format", TYPED],
        ["--encoding", TYPED],
    ],
    ids=lambda words: " ".join(words[:1]),
)
def test_files_of_odd_text(
    databox: Command, dataset_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for path in odd_files(tmp_path):
        arguments = ["dataset", "ingest", dataset_id, str(path), "--dead-letter", f"{path}.dead", *more]
        assert_tame(databox(*arguments))
        done = databox(*arguments, "--json")
        assert_tame(done)
        orjson.loads(done.out)


@pytest.mark.parametrize("option", ["--title", "--timezone"])
def test_an_argument_that_is_no_text(scripted: Command, server: ScriptedServer, option: str) -> None:
    given = {"--title": "T", "--timezone": "UTC"} | {option: os.fsdecode(b"\xff")}
    done = scripted("data-source", "create", *[word for pair in given.items() for word in pair])
    assert (done.code, "half of a surrogate pair" in done.err, server.requests) == (2, True, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--records", '[{"a": "\udcff"}]'], "--records is not UTF-8"),
        (["--database", "sqlite://", "--query", "select '\udcff' as a"], "The query cannot be run by sqlite://"),
        (["--database", "sqlite://", "--query", "select :x as a", "--param", "x=\udcff"], "The query cannot be run"),
    ],
)
def test_rows_that_are_no_text(databox: Command, dataset_id: str, box: Sandbox, words: list[str], said: str) -> None:
    """A shell with another encoding passes on bytes that are not UTF-8."""
    done = databox("dataset", "ingest", dataset_id, *words)
    assert (done.code, said in done.err, box.rows(dataset_id)) == (2, True, [])
    assert_tame(done)


def test_an_answer_that_is_no_text_is_no(scripted: Command, server: ScriptedServer) -> None:
    done = scripted("dataset", "purge", "d", stdin=b"\xff\n")
    assert (done.code, "Nothing was done." in done.err, server.requests) == (1, True, [])


def test_json_on_a_terminal_that_is_not_unicode(
    scripted: Command, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.will(answer(200, {"requestId": "r", "accounts": [{"id": 1, "name": "é 名 😀 \U000e0041"}]}))
    said = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", said)
    scripted("account", "list", "--json")
    said.seek(0)
    raw = said.read()
    assert raw.isascii()
    assert json.loads(raw)[0]["name"] == "é 名 😀 \U000e0041"


def test_a_fault_of_the_program_is_told_and_steers_nothing(
    scripted: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(TEXT)

    monkeypatch.setattr("databox.cli.account.Databox", broken)
    monkeypatch.setattr("databox.cli.ingest.Databox", broken)
    for words in (["account", "list"], ["dataset", "ingest", "x", "--log-json"]):
        with pytest.raises(SystemExit) as leaving:
            main(words)
        said = capsys.readouterr()
        assert leaving.value.code == 1
        assert "RuntimeError" in said.err
        assert wild(said.out, lines=True) + wild(said.err, lines=True) == ""
    summary = json.loads(said.out)
    assert (summary["event"], summary["status"], summary["message"]) == ("summary", "error", f"RuntimeError: {TEXT}")


def test_a_record_of_another_library_that_names_its_values() -> None:
    """Instead of a tuple, the values of a record may be a dict."""
    named = {"what": TEXT, "name": "x"}
    record = logging.LogRecord("other", logging.WARNING, "", 0, "%(what)s of %(name)s", (named,), None)
    said = LogFormatter("%(message)s").format(record)
    assert said.endswith(" of x")
    assert wild(said, lines=True) == ""
