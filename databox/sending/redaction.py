"""What a server said, fit to be shown: without the key, printable, on one line and not too long.

A server may say anything, so nothing here raises, and all of it takes time in proportion to what it looks at.
"""

import re
from typing import Any, cast
from urllib.parse import quote

from databox.display import one_line
from databox.secret import Secret

__all__ = ["Redactor"]

LONGEST = 300
"""Characters of a quotation."""
LOOKED_AT = 20_000
"""Characters that are looked at to find that many."""

_MARKUP_CHARACTERS = frozenset("&<>\"'")
# What is not closed is read to its end or stands as it is: both keep the search from starting again at every "<".
_MARKUP = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)|<[^<>]*>", flags=re.DOTALL | re.IGNORECASE)
# html.unescape hands all digits of a reference to int(), which refuses thousands of them. No character needs eight.
_DIGITS = re.compile(r"(?<=&#)0*([0-9]{1,8})[0-9]*|(?<=&#[xX])0*([0-9a-fA-F]{1,8})[0-9a-fA-F]*")


class Redactor:
    """Takes the key out of whatever a server sent before anybody sees it."""

    def __init__(self, key: Secret[str]) -> None:
        forms = {key.reveal(), quote(key.reveal(), safe=""), _as_html(key.reveal())}
        self._forms = tuple(map(Secret, sorted(forms, key=len, reverse=True)))
        self._encoded = tuple(Secret(form.reveal().encode()) for form in self._forms)
        # A key of a few letters is a test's; taking it out of titles would falsify data.
        self._distinct = len(key.reveal()) >= 8

    def text(self, value: str) -> str:
        """Return the text without the key."""
        for form in self._forms:
            value = value.replace(form.reveal(), "***")
        return value

    def document(self, value: Any, source: bytes) -> Any:
        """Return a JSON document without the key in any string or name; `source` is what it was read from."""
        hidden = b"\\" in source  # an escape may stand for any letter of the key
        if self._distinct and (hidden or any(form.reveal() in source for form in self._encoded)):
            return self._data(value)
        return value

    def line(self, words: str, *, more: bool = False) -> str:
        """Return the first words of a text as one line; `more` says that they were cut off a longer text."""
        line = self.text(one_line(words[:LOOKED_AT]))
        if more or len(words) > LOOKED_AT:
            line = self._without_half_a_key(line)
        return line if len(line) <= LONGEST else line[:LONGEST] + "…"

    def excerpt(self, body: bytes) -> str:
        """Return the first words of a body that is not JSON, without its markup."""
        words = one_line(body[:LOOKED_AT].decode("utf-8", "replace"))
        if words.lstrip("\ufffd ").startswith("<"):  # behind what a byte order mark leaves
            words = _MARKUP.sub(" ", words)
        if "&" in words:
            import html  # slow to import, and hardly ever needed

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
        """A line that was cut off somewhere, which may have been in the middle of the key."""
        for size in range(len(self._forms[0].reveal()) - 1, 0, -1):
            if any(form.reveal().startswith(line[-size:]) for form in self._forms):
                return line[:-size]
        return line


def _as_html(value: str) -> str:
    """The value as an HTML page shows it."""
    if _MARKUP_CHARACTERS.isdisjoint(value):
        return value
    import html

    return html.escape(value)
