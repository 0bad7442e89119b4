"""The first words of a summary, for every possible outcome of the rows."""

import re
from pathlib import Path
from typing import Any

import pytest

from databox import IngestReport
from databox.cli.inputs import Inputs
from databox.cli.summary import Ending
from databox.cli.terminal import console
from databox.report import BatchOutcome, Outcome


def said(
    capsys: pytest.CaptureFixture[str],
    *batches: tuple[Outcome, dict[str, int]],
    complete: bool = True,
    **more: Any,
) -> str:
    """Return what is shown about an ingest of batches of ten rows."""
    outcomes = [
        BatchOutcome(index=n, first_row=n * 10, rows=10, outcome=outcome, **shares)  # type: ignore[arg-type]
        for n, (outcome, shares) in enumerate(batches)
    ]
    report = IngestReport.of(outcomes, verify="counts", requests=1, seconds=1.0, complete=complete)
    Path("a.csv").write_text("id\n1\n")
    inputs = Inputs(["a.csv"], {"columns": {}, "encoding": None, "pad": False})
    about: dict[str, Any] = {"problem": None, "interrupted": False, "dead_letter": None, "resume": None}
    Ending(report=report, inputs=inputs, dataset_id="x", **(about | more)).show(console())
    inputs.close()
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Return where the input file is."""
    monkeypatch.chdir(tmp_path)


STORED: tuple[Outcome, dict[str, int]] = ("accepted", {"appended": 10})
REJECTED: tuple[Outcome, dict[str, int]] = ("accepted", {"rejected": 10})
UNKNOWN: tuple[Outcome, dict[str, int]] = ("accepted", {"unverified": 10})
LOST: tuple[Outcome, dict[str, int]] = ("ambiguous", {})
FAILED: tuple[Outcome, dict[str, int]] = ("failed", {})


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([STORED], "Done."),
        ([STORED, FAILED], "Not every row is stored."),
        ([STORED, FAILED, LOST], "Not every row is stored."),
        ([FAILED], "None of the rows is stored."),
        ([REJECTED, FAILED], "None of the rows is stored."),
        ([STORED, UNKNOWN], "It is not known of every row whether it is stored."),
        ([UNKNOWN], "It is not known whether any row is stored."),
        ([LOST, FAILED], "It is not known whether any row is stored."),
    ],
)
def test_the_first_words_say_how_much_is_stored(
    capsys: pytest.CaptureFixture[str], batches: list[tuple[Outcome, dict[str, int]]], words: str
) -> None:
    assert said(capsys, *batches).startswith(words)
    if words != "Done.":
        assert said(capsys, *batches, interrupted=True).startswith(f"Interrupted. {words}")


def test_after_a_stop_it_says_where_and_claims_no_failures(capsys: pytest.CaptureFixture[str]) -> None:
    for more in ({"problem": "a.csv, line 22: no."}, {"interrupted": True}):
        shown = said(capsys, STORED, STORED, complete=False, **more)
        assert "Reading stopped after row 20; the rest was not read." in shown
        assert "Not every row is stored." in shown
        assert not re.search("^  failed", shown, re.MULTILINE)


def test_where_nothing_was_accepted_the_same_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert "run the same command again." in said(capsys, FAILED, interrupted=True, complete=False)
    assert "the same command" not in said(capsys, LOST, interrupted=True, complete=False)
