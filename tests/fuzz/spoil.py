"""How valid input is corrupted, and what must hold for every message about it."""

import copy
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from databox import DataboxError, IngestError
from databox.misuse import Misuse
from tests.outside import PIECES, TEXT, wild

KEY = "fuzzed-key-0123456789abcdef"
"""Which nothing that is said or written may have."""
Case = Callable[[Random], None]
"""One try, which a seed decides; it raises when it found something."""

TOKENS = [
    *(b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r\n", b"\n", b"\r", b'"', b"'", b",", b";", b"\t", b"\\"),
    *(b"{", b"}", b"[", b"]", b":", b"null", b"NaN", b"-Infinity", b"1e999", b"9" * 320, b"-0", b"0x1", b"\\ud800"),
    *(b"%", b"&#", b"<", b">", b"/", b"=", b"--", b"\x1b[2J", b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"2025-02-30"),
    TEXT.encode(),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 1e308, float("nan"), float("-inf")),
    *("", " ", "0", "null", "\ud800", "x" * 5000, "2025-13-45T99:99:99Z", "9999-12-31T23:59:59-23:59", KEY, TEXT),
    *([], {}, [[]], [None], {"": None}, [[[[[[]]]]]], {"a": {"b": {"c": 1}}}),
]


def spoiled(chance: Random, good: bytes, tokens: Sequence[bytes] = TOKENS) -> bytes:
    """Return bytes with some of them changed, doubled, moved, missing, or others among them."""
    data = good
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        first, last = sorted(chance.randrange(len(data) + 1) for _ in "ab")
        if chance.random() < 0.6:
            last = min(last, first + chance.choice([1, 1, 4, 30]))
        part, token = data[first:last], chance.choice(tokens)
        match chance.randrange(8):
            case 0:
                part = bytes(each ^ (1 << chance.randrange(8)) for each in part)
            case 1:
                part = token
            case 2:
                part += token
            case 3:
                part *= chance.choice([0, 2, 3, 100]) if len(part) < 1000 else 2
            case 4:
                part = token * chance.choice([1, 2, 200, 5000]) if len(token) < 30 else token
            case 5:
                return data[:last]
            case 6:
                part = b""
            case _:
                part = part[::-1]
        data = data[:first] + part + data[last:]
    return data


def spoiled_document(chance: Random, good: Any) -> Any:
    """Return a JSON document with other values in some places, and names missing or too many."""
    document = copy.deepcopy({"": good})
    for _ in range(chance.choice([1, 1, 2, 5])):
        holder, place = chance.choice(list(_places(document)))
        match chance.randrange(6):
            case 0:
                del holder[place]
            case 1 if isinstance(holder, dict):
                holder[chance.choice([*PIECES, KEY, "\udfff", "", "x" * 500])] = copy.deepcopy(chance.choice(VALUES))
            case 2 if isinstance(holder, list) and len(list(_places(holder))) < 100:
                holder *= chance.choice([2, 50])
            case _:
                holder[place] = copy.deepcopy(chance.choice(VALUES))
        if not document:
            return None
    return document.get("")


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    found = [(document, place) for place in (document if isinstance(document, dict) else range(len(document)))]
    for holder, place in found:
        yield holder, place
        if isinstance(holder[place], dict | list):
            yield from _places(holder[place])


def assert_tame(said: str, *, lines: bool = False) -> None:
    """Nothing in a text does anything to a terminal, forges a line, or is the key."""
    assert KEY not in said, "the key shows"
    assert wild(said, lines=lines) == "", f"{said!r} does something"


def assert_foreseen(error: Exception, *others: type[Exception]) -> None:
    """It is an error that is documented, it can be shown and pickled, and no way to show it has the key."""
    if not isinstance(error, (DataboxError, Misuse, *others)):
        raise error
    assert_tame(str(error), lines=isinstance(error, IngestError))
    shown = "".join(traceback.format_exception(error, chain=True)) + repr(error) + repr(vars(error))
    assert KEY not in shown, "the key shows"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@contextmanager
def tame_log() -> Iterator[list[logging.LogRecord]]:
    """What is logged, which is looked at in the end."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[assignment, method-assign]
    logger = logging.getLogger("databox")
    level, logger.level = logger.level, logging.DEBUG
    logger.addHandler(handler)
    try:
        yield records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    for record in records:
        assert_tame(record.getMessage())
        assert KEY not in logging.Formatter().format(record), "the key shows"
