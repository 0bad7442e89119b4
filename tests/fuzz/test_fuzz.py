"""The fuzzers find planted mistakes, and nothing else in a few cases; `make fuzz` tries as many as time allows."""

from random import Random
from typing import Any

import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.run import TARGETS, fuzz

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CASES = 30
PLANTED: dict[str, tuple[str, Any, str]] = {
    "answers": ("databox.sending.redaction.Redactor.text", lambda _, text: text, "the key shows"),
    "files": ("databox.errors.visible", lambda text: text, "does something"),
    "requests": ("databox.sandbox.strict.shown_body", lambda body: body.decode(), "requests"),
    "arguments": ("databox.cli.root.is_foreseen", lambda _: False, "Traceback"),
    "journal": ("databox.ingest.journal.Journal.sending", lambda *_, **__: None, "a row is stored twice"),
}
"""Something that each would let through, and what the fuzzer says of it."""


@pytest.mark.parametrize("target", TARGETS)
def test_a_few_cases_find_nothing(target: str) -> None:
    done = fuzz(target, seconds=500, seed=0, most=CASES)
    assert (done.cases, done.first) == (CASES, {})


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_planted_is_found(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, planted, words = PLANTED[target]
    monkeypatch.setattr(place, planted)
    with TARGETS[target]() as case:
        for seed in range(500):
            try:
                case(Random(seed))
            except AssertionError as error:
                if words in str(error):
                    return
    pytest.fail("it was not found")


def test_it_says_how_many_cases_there_were(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--targets", "files", "--minutes", "0", "--seed", "7"]) == 0
    assert capsys.readouterr().out.startswith("files            1 cases in ")
    with pytest.raises(SystemExit):
        main(["--targets", "nothing"])
    assert "there is no target 'nothing'" in capsys.readouterr().err
