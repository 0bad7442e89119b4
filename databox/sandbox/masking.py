"""Removes keys from recorded requests: someone may send a real one, or in the wrong place."""

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

__all__ = ["Mask"]

MASK = "***"
_SENSITIVE = re.compile(r"api[-_]?key|authorization|cookie|token|secret|passw|credential|^(auth|key)$", re.IGNORECASE)
"""Names of headers and parameters whose values are never shown."""
_REAL = re.compile(rb"pak_[0-9A-Za-z_-]+")
_DISTINCT = 8
"""The minimum length of a key that is removed everywhere. A shorter one is from a test, and may occur by chance."""


class Mask:
    """Removes keys from one request: the sandbox's key, those that the request presents, and all real ones.

    Args:
        key: the sandbox's.
        headers: of the request, by lower-case name.
        query: of the request.
    """

    def __init__(self, key: str, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
        found = {key, *(part.partition("=")[2].strip() for part in headers.get("cookie", "").split(";"))}
        for name, value in (*headers.items(), *query.items()):
            if _SENSITIVE.search(name):
                found.add(value.rpartition(" ")[2])  # after a scheme such as Bearer
        kept = {value for value in found if len(value) >= _DISTINCT}
        forms = {form for value in kept for form in _forms(value)}
        self._forms = sorted((form.encode("utf-8", "replace") for form in forms), key=len, reverse=True)

    def raw(self, data: bytes) -> bytes:
        """Return bytes without keys."""
        for form in self._forms:
            data = data.replace(form, MASK.encode())
        return _REAL.sub(MASK.encode(), data) if b"pak_" in data else data

    def text(self, text: str) -> str:
        """Return a text without keys."""
        return self.raw(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def named(self, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return headers or parameters without keys, and without the values of those that are meant for keys."""
        return {self.text(name): MASK if _SENSITIVE.search(name) else self.text(value) for name, value in pairs}


def _forms(value: str) -> tuple[str, ...]:
    """The forms of a value in a path, in a form and in JSON."""
    return value, quote(value, safe=""), unquote(value), json.dumps(value)[1:-1]
