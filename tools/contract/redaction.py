"""Redacts recordings: the key, account ids, and anything personal.

Only the API's own texts and ours are kept; everything else becomes a placeholder, the same for
the same value in all recordings. So an unexpected field reveals nothing.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import attrs

from tools.contract.recording import ABSENT, Message, Recording

__all__ = ["redacted"]

_OF_THE_API = {
    *("requestId", "status", "created", "timestamp", "timezone", "offset", "key", "code", "message", "field", "type"),
    *("accountType", "ingestionId", "id", "detail", "traceId"),
}
"""Fields whose texts are the API's own, or ids that are useless without the key."""
_FREE_TEXT = {"message", "detail"}
_COUNT = re.compile(r"\w*(Count|MB)|page|pageSize|totalItems|status")

_KEYS = re.compile(r"pak_\w+")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{0,4}"
)


def redacted(recordings: Iterable[Recording], *, key: str, title: str, account_id: Any) -> list[Recording]:
    """Return the recordings without the key, numeric ids, names, addresses, and other people's entries.

    Args:
        recordings: of one walk, together, so that one value gets one placeholder.
        key: the key that was used.
        title: of the data source that the walk made; lists are cut to it.
        account_id: the account that it was made in; lists are cut to it.
    """
    cut = [
        attrs.evolve(item, response=attrs.evolve(item.response, body=_cut(item.response.body, title, account_id)))
        for item in recordings
    ]
    values = _Values(key, {text for item in cut for text in _texts(item.request.body)})
    values.number(account_id)
    for item in cut:
        values.learn(item.response.body)
    return [
        attrs.evolve(
            item,
            path=values.text(item.path),
            request=values.message(item.request, ours=True),
            response=values.message(item.response, ours=False),
        )
        for item in cut
    ]


def _cut(body: Any, title: str, account_id: Any) -> Any:
    """Return an answer with only the accounts and data sources that the walk used."""
    if not isinstance(body, dict):
        return body
    ours = {"accounts": ("id", account_id), "dataSources": ("title", title)}
    kept = {
        name: [item for item in body[name] if isinstance(item, dict) and item.get(field) == value]
        for name, (field, value) in ours.items()
        if isinstance(body.get(name), list)
    }
    return body | kept


class _Values:
    """The placeholders."""

    def __init__(self, key: str, ours: set[str]) -> None:
        self._keys = sorted({key, quote(key, safe="")}, key=len, reverse=True)
        self._ours = ours
        self._numbers: dict[str, int] = {}
        self._texts: dict[str, str] = {}
        self._mails: dict[str, str] = {}

    def learn(self, value: Any, field: str = "") -> None:
        """Find the ids and the texts to replace."""
        if isinstance(value, dict):
            for name, item in value.items():
                self.learn(item, name)
        elif isinstance(value, list):
            for item in value:
                self.learn(item, field)
        elif field.lower().endswith("id") and re.fullmatch(r"\d+", str(value)):
            self.number(value)
        elif isinstance(value, str) and value and field not in _OF_THE_API and value not in self._ours:
            self._texts.setdefault(value, f"Redacted {len(self._texts) + 1}")

    def number(self, value: Any) -> int:
        """Return the placeholder of a numeric id."""
        return self._numbers.setdefault(str(value), 100_001 + len(self._numbers))

    def message(self, message: Message, *, ours: bool) -> Message:
        """Return a request's or an answer's headers and body, redacted."""
        body = message.body
        return Message(
            headers={name: self.text(value) for name, value in message.headers.items()},
            body=body if body is ABSENT else self.value(body, ours=ours),
            text=None if message.text is None else self.free(message.text),
        )

    def value(self, value: Any, field: str = "", *, ours: bool) -> Any:
        """Return a redacted JSON value; in our own values, only known ones are replaced."""
        if isinstance(value, dict):
            return {name: self.value(item, name, ours=ours) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, field, ours=ours) for item in value]
        if isinstance(value, str):
            if value in self._texts and field not in _OF_THE_API:
                return self._texts[value]
            return self.free(value) if field in _FREE_TEXT else self.text(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or _COUNT.fullmatch(field):
            return value
        return self._numbers.get(str(value), value if ours else 0)

    def free(self, text: str) -> str:
        """Return a message for people, also without names."""
        for value in sorted(self._texts, key=len, reverse=True):
            text = text.replace(value, self._texts[value])
        return self.text(text)

    def text(self, text: str) -> str:
        """Return a text without key, mail and network addresses, and numeric ids."""
        for key in self._keys:
            text = text.replace(key, "***")
        text = _KEYS.sub("***", text)
        text = _MAIL.sub(
            lambda match: self._mails.setdefault(match[0], f"person{len(self._mails) + 1}@example.com"), text
        )
        text = _ADDRESS.sub("192.0.2.1", text)
        for number, placeholder in self._numbers.items():
            text = re.sub(rf"(?<![\w-]){re.escape(number)}(?![\w-])", str(placeholder), text)
        return text


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
