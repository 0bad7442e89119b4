"""Whatever the text of servers, rows and callers contains, messages and logs show it, and it has no effect."""

import ast
import logging
import os
import pickle
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databox import DataboxError, IngestError, InvalidRecordError
from databox.display import for_shell, logger, one_line, visible, visible_lines
from tests.drive import Driver
from tests.outside import PIECES, TEXT, answer_with, refusal_with, wild
from tests.scripted import ScriptedServer, answer

PACKAGE = Path(__file__).parent.parent / "databox"


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
@example(TEXT)
@example("\ud800\udfff")
def test_a_visible_text_is_one_line_that_does_nothing(text: str) -> None:
    shown = visible(text)
    assert wild(shown) == ""
    assert visible(shown) == shown
    shown.encode()
    assert one_line(text).isprintable()
    assert visible_lines(text).count("\n") == text.count("\n")


@given(
    st.text(
        st.characters(categories=["L", "N", "P", "S", "Zs", "Mc"], exclude_characters="\u115f\u1160\u3164\uffa0\u2800")
    )
)
@example("naïve Größe 名前 ключ 🙂 ❤️ 1\xa0234 'quoted' \\x1b [bold]")
def test_what_shows_anyway_is_left_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("a\r\nb", r"a\r\nb"),
        ("\x9b", r"\x9b"),
        ("\u202e", r"\u202e"),
        ("\ud800", r"\ud800"),
        ("\u3164", r"\u3164"),
        ("\U000e0101", r"\U000e0101"),
    ],
)
def test_what_does_not_show_is_written_as_python_writes_it(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    "word", [*(piece.replace("\0", "") for piece in PIECES), "plain", "a b'c", "\udcff\\x", "", "$x'\x1b"]
)
def test_a_word_can_be_copied_to_a_shell(word: str) -> None:
    line = for_shell(word)
    assert wild(line) == ""
    program = [sys.executable, "-c", "import os, sys; sys.stdout.buffer.write(os.fsencode(sys.argv[1]))"]
    done = subprocess.run(["bash", "-c", f"{shlex.join(program)} {line}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(word)


@given(st.text())
def test_an_error_has_one_line_however_it_came_about(text: str) -> None:
    error = DataboxError(text)
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == visible(text)


CALLS: list[Callable[[Any], Any]] = [
    lambda client: client.accounts.list(),
    lambda client: client.accounts.list_data_sources(1),
    lambda client: client.accounts.list_timezones(),
    lambda client: client.auth.validate_key(),
    lambda client: client.data_sources.create(TEXT),
    lambda client: client.data_sources.ensure(TEXT, account_id=1, timezone="Europe/Berlin"),
    lambda client: client.data_sources.delete(1),
    lambda client: client.data_sources.list_datasets(1),
    lambda client: client.datasets.create(TEXT, data_source=1, primary_keys=[TEXT]),
    lambda client: client.datasets.create(TEXT, data_source=1, primary_keys=[TEXT, TEXT]),
    lambda client: client.datasets.ensure(TEXT, data_source=1),
    lambda client: client.datasets.delete("d"),
    lambda client: client.datasets.purge(TEXT),
    lambda client: client.datasets.create_ingestion("d", [{TEXT: TEXT}]),
    lambda client: client.datasets.create_ingestion("d", [{TEXT: [TEXT]}]),
    lambda client: client.datasets.list_ingestions("d"),
    lambda client: client.datasets.get_ingestion("d", "i"),
    lambda client: client.datasets.wait_for_ingestion("d", "i", timeout=0),
    lambda client: client.datasets.ingest("d", [{TEXT: TEXT}], patience=0, verify_timeout=0),
    lambda client: client.datasets.ingest("d", [{TEXT: TEXT}], patience=0, verify_timeout=0, verify="status"),
    lambda client: client.datasets.ingest(
        "d", [{TEXT: {TEXT}}, {"a": 1}], primary_keys=[TEXT], verify=None, patience=0
    ),
    lambda client: client.datasets.ingest("d", failing(), patience=0),
    lambda client: client.request("GET", f"/{TEXT}"),
    lambda client: client.request(TEXT, "/v1/x"),
]
ANSWERS: dict[str, tuple[int, Any]] = {
    "success": (200, answer_with(TEXT)),
    "refusal in a 200": (200, refusal_with(TEXT)),
    **{str(status): (status, refusal_with(TEXT)) for status in (302, 400, 401, 404, 413, 429, 500)},
    "no JSON": (200, TEXT),
    "a wrong type": (200, {"requestId": TEXT, "accounts": TEXT, "ingestionId": [TEXT]}),
    "half a pair": (200, '{"requestId": "\\ud800"}'),
}


def failing() -> Iterator[dict[str, str]]:
    yield {TEXT: TEXT}
    raise LookupError(TEXT)


@pytest.mark.parametrize("said", ANSWERS)
def test_no_message_and_no_log_passes_on_what_the_server_says(
    driver: Driver, server: ScriptedServer, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    caplog.set_level(logging.DEBUG, "databox")
    server.will(answer(*ANSWERS[said], {"x-request-id": "\x9b2J\x85id"}))
    client = driver.client(base_url=server.url, timeout=5)
    for call in CALLS:
        shown: list[object] = []
        try:
            shown.append(call(client))
        except (DataboxError, ValueError, TypeError, LookupError) as error:
            report = getattr(error, "report", None)
            assert "\n" not in str(error) or isinstance(error, IngestError)
            shown += [error, report, *getattr(report, "batches", ()), *getattr(error, "__notes__", ())]
            shown.append(getattr(error, "request_id", None))
        assert [text for item in shown for text in (str(item), repr(item)) if wild(text, lines=True)] == []
    assert [record.getMessage() for record in caplog.records if wild(record.getMessage())] == []
    assert len(caplog.records) >= len(CALLS) - 8


def test_records_of_others_by_name_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    logger("databox").warning("%(rows)d rows", {"rows": 5})
    assert caplog.messages == ["5 rows"]


def test_a_log_keeps_its_numbers(caplog: pytest.LogCaptureFixture) -> None:
    log = logger("databox")
    assert logger("databox") is log
    log.warning("%d of %s in %.1f ms, %s", 3, f"\x1b{TEXT}", 2.25, InvalidRecordError(TEXT))
    (record,) = caplog.records
    assert record.getMessage().startswith(r"3 of \x1b\x1b[2J")
    assert wild(record.getMessage()) == ""


# So that new code cannot forget it.

SCREEN = {"cli/terminal.py", "cli/__init__.py", "integrations/spark.py"}
WRITERS = {"print", "input", "echo", "secho", "prompt", "confirm", "style", "write", "writelines"}
LOGS = {f"log.{level}" for level in ("debug", "info", "warning", "error", "exception", "critical", "log")}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
OURS = {
    # Names of arguments, the library's own words, and numbers.
    *("name", "kind", "kind.__name__", "expected", "attribute.name", "place", "what", "wrong", "shown"),
    *("source.place", "dataset.place", "self.place", "self.rows", "self.outcome", "shared", "low", "high", "account"),
    # Numbers, because they were checked or compared.
    *("value", "batch_size", "max_batch_bytes", "self.concurrency", "self.max_retries"),
    *("processing_delay", "processing_polls", "seconds"),
    *(
        "self.total",
        "self._value[-4:]",
        "total",
        "self._number",
        "len(self.items)",
        "len(self.columns)",
        "fields",
        "field.name",
        "self.url",
    ),
    *("found", "remedy", "error.name"),
    # What Python or SQLite say, without the text that it is about.
    "error",
}


def sources() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8"))


def test_one_module_writes_to_the_terminal_and_none_reads_markup() -> None:
    found = []
    for name, tree in sources():
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=names) if any(each.name.partition(".")[0] == "rich" for each in names):
                    found.append(f"{name}:{node.lineno} imports rich")
                case ast.ImportFrom(module=str(module)) if module.partition(".")[0] == "rich":
                    found.append(f"{name}:{node.lineno} imports rich")
                case ast.Call(func=ast.Name(id=called)) if called in {"print", "input"}:
                    found.append(f"{name}:{node.lineno} calls {called}")
                case ast.Call(func=ast.Attribute(value=ast.Name(id="typer" | "click"), attr=called)) if (
                    called in WRITERS
                ):
                    found.append(f"{name}:{node.lineno} calls typer's {called}")
                case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=stream), attr=called)) if (
                    stream in STREAMS and called in WRITERS
                ):
                    found.append(f"{name}:{node.lineno} writes to {stream}")
                case ast.Attribute(value=ast.Name(id="typer"), attr="rich_utils"):
                    found.append(f"{name}:{node.lineno} uses typer's own printing")
    assert {place.partition(":")[0] for place in found} == SCREEN, found


def test_every_log_is_one_that_shows_what_it_is_about() -> None:
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in {"getLogger", "LoggerAdapter"}:
                assert name == "display.py", f"{name}:{node.lineno}: databox.display.logger makes them"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in LOGS:
                assert isinstance(node.args[0], ast.Constant), f"{name}:{node.lineno}: values are arguments of a log"


def test_no_message_of_a_builtin_error_and_no_repr_has_text_as_it_came() -> None:
    """Our errors handle this themselves."""
    builtin = {"ValueError", "TypeError", "LookupError", "KeyError", "RuntimeError", "ImportError", "OSError"}
    found = []
    for name, tree in sources():
        raised = (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call))
        for call in raised:
            if ast.unparse(call.func) in builtin:
                parts = [part for each in call.args for part in ast.walk(each) if isinstance(part, ast.FormattedValue)]
                found += [f"{name}:{call.lineno}: {ast.unparse(part.value)}" for part in parts if not _is_safe(part)]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in {"__repr__", "__str__"} and name != "report.py":
                parts = [part for part in ast.walk(node) if isinstance(part, ast.FormattedValue)]
                found += [f"{name}:{node.lineno}: {ast.unparse(part.value)}" for part in parts if not _is_safe(part)]
    assert found == [], "write {…!r}, or visible(…)"


def _is_safe(part: ast.FormattedValue) -> bool:
    words = ast.unparse(part.value)
    called = words.startswith(("visible(", "for_shell(", "_kind(", "type(")) or "map(repr, " in words
    constant = words.removeprefix("', '.join(").strip("_)").isupper()
    return part.conversion == ord("r") or called or constant or words in OURS
