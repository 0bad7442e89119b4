"""Step 3: one media type for each body and answer."""

from collections import Counter
from typing import Any

from tools.spec.document import Report, at, each_operation, mapping

__all__ = ["json_only"]

_JSON = ("application/json", "text/json", "application/*+json", "application/*", "*/*")
"""Names of media types for plain JSON, the most specific first."""


def json_only(document: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the document with only JSON wherever a body or an answer may be JSON.

    Of several media types, generators use the first, or the last, or create a class for each.
    """
    dropped = Counter[str]()

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        place = at("paths", path, method)
        answers = operation["responses"].items()
        whole = {
            "responses": {status: _json_of(each, f"{place}.responses.{status}", dropped) for status, each in answers}
        }
        if "requestBody" in operation:
            whole["requestBody"] = _json_of(operation["requestBody"], f"{place}.requestBody", dropped)
        return {**operation, **whole}

    found = each_operation(document, changed)
    for kind, count in dropped.items():
        report(f"left out: {kind}, which {count} bodies and answers can have beside JSON")
    return found


def _json_of(part: dict[str, Any], place: str, dropped: Counter[str]) -> dict[str, Any]:
    content = mapping(part.get("content") or {}, f"{place}.content")
    plain = [kind for name in _JSON for kind in content if _bare(kind) == name]
    also = [kind for kind in content if _bare(kind).endswith("+json")]
    best = next(iter([*plain, *also]), None)
    if best is None:
        return part
    dropped.update(_bare(kind) for kind in content if kind != best)
    return {**part, "content": {"application/json" if plain else _bare(best): content[best]}}


def _bare(media_type: str) -> str:
    """Return a media type without its parameters, such as a character set."""
    return media_type.partition(";")[0].strip().lower()
