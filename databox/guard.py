"""Checks a JSON document before it is parsed: a parser's memory may grow with the depth, or with its square.

Some parsers also crash the process on a number of thousands of digits, or take minutes for it.
"""

import re
from itertools import accumulate

__all__ = ["DEEPEST", "LONGEST_TEXT", "Guard", "Unreadable", "check"]

DEEPEST = 100
"""Levels. Rows and answers of the API have only a handful."""
LONGEST_TEXT = 16_000_000
"""Bytes. The body of a request is limited to a sixteenth of that."""

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_OF_NUMBERS = b"-+0123456789.eE"
_TOO_LONG = re.compile(rb"(?<![-+0-9.eE])[-+0-9.eE]{1001}|[eE][-+]?[0-9]{5}")
"""A possible number that is too long for any type."""


_BLOCK = 1 << 16


class Unreadable(ValueError):
    """A document that is not safe to parse; the message says why, and `remedy` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class Guard:
    """Checks a JSON document block by block, in linear time."""

    def __init__(self) -> None:
        self.depth = 0
        self.text = 0
        """Bytes of the string in which the last block ended; 0 if it ended outside a string."""
        self._carried = b""
        """The end of the last block that belongs to the next: half of an escape, or the beginning of a number."""

    def check(self, block: bytes) -> None:
        """Check the next block.

        Raises:
            Unreadable: it is not safe to parse, and neither is anything after it.
        """
        block, self._carried = self._carried + block, b""
        if b"\\" in block:
            if (len(block) - len(block.rstrip(b"\\"))) % 2:
                block, self._carried = block[:-1], b"\\"
            block = block.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        # Now each quote begins or ends a string.
        parts = block.split(b'"')
        within = self.text > 0
        outside = b"".join(parts[within::2])
        if within is (len(parts) % 2 == 1):
            self.text = (self.text if len(parts) == 1 else 1) + len(parts[-1])
        else:
            self.text = 0
            self._carried = outside[len(outside.rstrip(_OF_NUMBERS)) :]
        if self.text > LONGEST_TEXT:
            raise Unreadable(f"a text of more than {LONGEST_TEXT:,} bytes", "Is a quote missing?")
        if _TOO_LONG.search(outside):
            raise Unreadable("a number with too many digits", "If it is an identifier, put it in quotes.")
        brackets = outside.translate(None, _NO_BRACKETS)
        if brackets:
            depths = [*accumulate(map(_STEPS.__getitem__, brackets), initial=self.depth)]
            self.depth = depths[-1]
            if max(depths) > DEEPEST:
                raise Unreadable(
                    f"values nested more than {DEEPEST} levels deep",
                    "Nested values cannot be sent: make them columns of their own, or text.",
                )


def check(document: bytes) -> None:
    """Check a whole document. One with no more than `DEEPEST` brackets is always safe.

    Raises:
        Unreadable: it is not safe to parse.
    """
    guard = Guard()
    for start in range(0, len(document), _BLOCK):
        guard.check(document[start : start + _BLOCK])
