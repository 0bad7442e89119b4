"""What is asked of a JSON document before it is read: parsers take the depth of one in memory, or its square.

Some also end the whole process at a number of thousands of digits, or take minutes for it.
"""

import re
from itertools import accumulate

__all__ = ["DEEPEST", "LONGEST_TEXT", "Guard", "Unreadable", "check"]

DEEPEST = 100
"""Levels. Neither a row nor an answer of the API has more than a handful."""
LONGEST_TEXT = 16_000_000
"""Bytes. A request holds a sixteenth of that."""

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_OF_NUMBERS = b"-+0123456789.eE"
_TOO_LONG = re.compile(rb"(?<![-+0-9.eE])[-+0-9.eE]{1001}|[eE][-+]?[0-9]{5}")
"""What may be a number, and which nothing holds."""


_BLOCK = 1 << 16


class Unreadable(ValueError):
    """A document that is better not read; the message says what it has, and `remedy` what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class Guard:
    """Looks at a JSON document, block by block, in time that its length alone decides."""

    def __init__(self) -> None:
        self.depth = 0
        self.text = 0
        """Bytes of the text in whose middle the last block ended; 0 for none."""
        self._carried = b""
        """What the next block has to be read with: half of an escape, or the beginning of a number."""

    def check(self, block: bytes) -> None:
        """Do nothing when what follows can be read.

        Raises:
            Unreadable: it cannot, and what may come after it neither.
        """
        block, self._carried = self._carried + block, b""
        if b"\\" in block:
            if (len(block) - len(block.rstrip(b"\\"))) % 2:
                block, self._carried = block[:-1], b"\\"
            block = block.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        # Now each quote begins a text or ends one.
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
    """Do nothing when a whole document can be read. It surely can where it has no more than `DEEPEST` brackets.

    Raises:
        Unreadable: it cannot.
    """
    guard = Guard()
    for start in range(0, len(document), _BLOCK):
        guard.check(document[start : start + _BLOCK])
