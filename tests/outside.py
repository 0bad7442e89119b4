"""Text as it may come from outside, and how to check that it had no effect."""

import unicodedata
from typing import Any

PIECES = [
    "\x1b[2J\x1b[5;95mred",
    "\x1b]0;title\x07\x1b]8;;http://x\x1b\\link",
    "\x9b2J\x9d0;t\x9c\x85",
    "line\nERROR forged\r\x0b\x0c\x1c\x1e",
    "\u2028\u2029",
    "\u202etxt.exe\u2066\u2067\u2069\u200e\u061c",
    "a\u200bb\u200d\u2060\ufeff\u00ad\u180e\U000e0041",
    "\x00\x08\x08\x7f\ttab",
    "[bold]d[/bold][/x][link=http://x]:warning: [red",
]
"""One example of each kind."""
TEXT = "".join(PIECES)


def wild(text: str, *, lines: bool = False) -> str:
    """Return the characters of a text that have an effect, or hide; `lines` says that it may have several lines."""
    return "".join(character for character in text if not _is_tame(character) and not (lines and character == "\n"))


def _is_tame(character: str) -> bool:
    return unicodedata.category(character) == "Zs" or character.isprintable()


def answer_with(text: str, *, dataset_id: str | None = None) -> dict[str, Any]:
    """Return an answer to any operation, with a text wherever one can be."""
    entry = {"code": text, "message": text, "field": text, "type": text}
    thing = {"id": 1, "name": text, "title": text, "accountType": text, "timezone": text, "offset": text, "key": text}
    ingestion = {"ingestionId": text, "timestamp": "2025-01-01T00:00:00Z", "status": text}
    counts = {f"{kind}RecordsCount": 1 for kind in ("received", "rejected")}
    counts |= {f"{kind}RecordsCount": 0 for kind in ("appended", "overwritten")}
    named = {text: text, "new": {text: [text]}}
    return {
        **(thing | ingestion),
        "requestId": text,
        "status": "success",
        "message": text,
        "accounts": [thing | named],
        "dataSources": [thing | named],
        "timezones": [thing | named],
        "datasets": [thing | {"id": dataset_id or text} | named],
        "ingestions": [ingestion | named],
        "pagination": {"page": 1, "pageSize": 100, "totalItems": 1},
        "metrics": {"ingestionMetrics": counts},
        "errors": [entry],
        **named,
    }


def refusal_with(text: str) -> dict[str, Any]:
    """Return a refusal with a text wherever one can be."""
    return answer_with(text) | {"status": "error"}
