"""Makes server messages safe to show: without the key, printable, on one line and not too long.

A server may send anything, so nothing here raises, and everything runs in linear time.
"""

import re
from typing import Any, cast
from urllib.parse import quote

from databox.display import one_line
from databox.forks import undivided
from databox.secret import Secret

__all__ = ["Redactor"]

LONGEST = 300
"""The maximum number of characters in a quotation."""
LOOKED_AT = 20_000
"""The number of characters that are examined to find them."""

_MARKUP_CHARACTERS = frozenset("&<>\"'")
# An unclosed tag is read to its end or kept as it is: both keep the search from starting again at every "<".
_MARKUP = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)|<[^<>]*>", flags=re.DOTALL | re.IGNORECASE)
# html.unescape passes all digits of a reference to int(), which refuses thousands of them. No character needs eight.
_DIGITS = re.compile(r"(?<=&#)0*([0-9]{1,8})[0-9]*|(?<=&#[xX])0*([0-9a-fA-F]{1,8})[0-9a-fA-F]*")


class Redactor:
    """Removes the key from anything that a server sent before anyone sees it."""

    def __init__(self, key: Secret[str]) -> None:
        forms = {key.reveal(), quote(key.reveal(), safe=""), _as_html(key.reveal())}
        self._forms = tuple(map(Secret, sorted(forms, key=len, reverse=True)))
        self._encoded = tuple(Secret(form.reveal().encode()) for form in self._forms)
        # A key of a few letters is from a test; removing it from titles would falsify data.
        self._distinct = len(key.reveal()) >= 8

    def text(self, value: str) -> str:
        """Return the text without the key."""
        for form in self._forms:
            value = value.replace(form.reveal(), "***")
        return value

    def document(self, value: Any, source: bytes) -> Any:
        """Return a JSON document without the key in any string or name; `source` is what it was read from."""
        hidden = b"\\" in source  # an escape may represent any letter of the key
        if self._distinct and (hidden or any(form.reveal() in source for form in self._encoded)):
            return self._data(value)
        return value

    def line(self, words: str, *, more: bool = False) -> str:
        """Return the first words of a text as one line; `more` says that the text was longer."""
        line = self.text(one_line(words[:LOOKED_AT]))
        if more or len(words) > LOOKED_AT:
            line = self._without_half_a_key(line)
        return line if len(line) <= LONGEST else line[:LONGEST] + "…"

    def excerpt(self, body: bytes) -> str:
        """Return the first words of a body that is not JSON, without its markup."""
        words = one_line(body[:LOOKED_AT].decode("utf-8", "replace"))
        if words.lstrip("\ufffd ").startswith("<"):  # after the remains of a byte order mark
            words = _MARKUP.sub(" ", words)
        if "&" in words:
            with undivided:
                import html  # slow to import, and rarely needed

            words = html.unescape(_DIGITS.sub(r"\1\2", words))
        return self.line(words, more=len(body) > LOOKED_AT)

    def _data(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._data(item) for item in cast("list[object]", value)]
        if isinstance(value, dict):
            pairs = cast("dict[str, Any]", value).items()
            return {self.text(name): self._data(item) for name, item in pairs}
        return value

    def _without_half_a_key(self, line: str) -> str:
        """A line that was cut off, perhaps in the middle of the key."""
        for size in range(len(self._forms[0].reveal()) - 1, 0, -1):
            if any(form.reveal().startswith(line[-size:]) for form in self._forms):
                return line[:-size]
        return line


def _as_html(value: str) -> str:
    """The value as HTML source writes it."""
    if _MARKUP_CHARACTERS.isdisjoint(value):
        return value
    with undivided:
        import html

    return html.escape(value)
