"""Prose is plain, technical English: it contains no phrase that CONTRIBUTING, "Words", rejects."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
STILTED = [
    "found without",
    "tells so",
    "in vain",
    "at all events",
    "is not such a",
    "it is no text",
    "is no number",
    "nobody to ask",
    "no whole answer",
    "goes before what",
    "everything is that is not",
    "no other date in it tells",
    r"mend(?:ed|s|ing)?",
    "(?:it|what) is none(?! of)",
    "is none that",
    "is passed over",
    "are passed over",
    "surely",
    "of whom",
    "there already",
    "begin anew",
]
PHRASE = re.compile(rf"\b(?:{'|'.join(STILTED)})\b", re.IGNORECASE)
PAGES = [
    *(ROOT / name for name in ("README.md", "conformance/README.md", "conformance/GUIDE.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
ROOMS = ["conformance", "databox", "examples", "tools"]
KIT = ROOT / "conformance"
TEXTS = {"about", "description", "mistake", "rule", "why"}
"""The members of the conformance kit's JSON that people read."""


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def stilted(text: str) -> list[str]:
    return [" ".join(found[0].split()) for found in PHRASE.finditer(" ".join(text.split()))]


def prose(module: Path) -> list[str]:
    """Return the docstrings, messages and comments of a module."""
    source = module.read_text("utf-8")
    texts = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [*texts, *re.findall(r"(?:^|\s)# (.*)$", source, re.MULTILINE)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: name(page))
def test_no_page_is_stilted(page: Path) -> None:
    assert not stilted(page.read_text("utf-8"))


@pytest.mark.parametrize("room", ROOMS)
def test_no_docstring_message_or_comment_is_stilted(room: str) -> None:
    found = {
        name(module): phrases
        for module in (ROOT / room).rglob("*.py")
        if (phrases := [phrase for text in prose(module) for phrase in stilted(text)])
    }
    assert not found


def read_by_people(document: Any) -> Iterator[str]:
    """Yield the reasons and descriptions in a JSON document."""
    if isinstance(document, list):
        for each in document:
            yield from read_by_people(each)
    elif isinstance(document, dict):
        for member, value in document.items():
            if member in TEXTS and isinstance(value, str):
                yield value
            else:
                yield from read_by_people(value)


def test_no_text_of_the_conformance_kit_is_stilted() -> None:
    texts = [text for file in KIT.rglob("*.json") for text in read_by_people(json.loads(file.read_text("utf-8")))]
    assert len(texts) > 1000
    comments = [file.read_text("utf-8") for file in KIT.rglob("*.mjs")]
    assert not [phrase for text in (*texts, *comments) for phrase in stilted(text)]


def test_stilted_phrases_are_found_over_line_breaks() -> None:
    assert stilted("A delimiter, found\n    without. Recommended amendments. Mend it.") == ["found without", "Mend"]
