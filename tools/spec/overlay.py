"""Applies an OpenAPI Overlay to a description in the plain form.

Source: OpenAPI Overlay Specification 1.0.0. The JSONPath is python-jsonpath's (RFC 9535).
"""

import copy
from typing import Any

import jsonpath

from tools.spec.document import Report, SpecError, at

__all__ = ["apply"]


def apply(overlay: dict[str, Any], document: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the document with the overlay's actions applied, in order, each to the result of those before.

    Args:
        overlay: an Overlay 1.0 document.
        document: the description; it is not modified.
        report: receives what was corrected.

    Raises:
        SpecError: an action is malformed, or one that must match found nothing.
    """
    patched = copy.deepcopy(document)
    for number, action in enumerate(overlay.get("actions", []), start=1):
        target = action.get("target")
        removes = action.get("remove") is True
        if not isinstance(target, str) or (not removes and "update" not in action):
            raise SpecError(f"Overlay action {number} needs a target, and an update or remove: true.")
        try:
            matches = list(jsonpath.finditer(target, patched))
        except jsonpath.JSONPathError as error:
            raise SpecError(f"Overlay action {number}: {target} is not JSONPath: {error}") from None
        if matches:
            report(f"corrected: {at(*matches[0].parts)}: {_reason(action)} (overlay action {number})")
        elif not action.get("x-optional"):
            found_nothing = f"Overlay action {number} found nothing at {target} ({_reason(action)})"
            raise SpecError(f"{found_nothing}. Is this the description of another API, or did a path change?")
        # Deepest and last first, each once: changes in one place do not move the next.
        for place in sorted({match.parts for match in matches}, key=_depth_and_position, reverse=True):
            patched = _removed(patched, place) if removes else _updated(patched, place, action["update"])
    return patched


def _depth_and_position(place: tuple[Any, ...]) -> tuple[int, tuple[int, ...]]:
    return len(place), tuple(part if isinstance(part, int) else 0 for part in place)


def _reason(action: dict[str, Any]) -> str:
    return " ".join(str(action.get("description", "no reason given")).split())


def _removed(document: Any, place: tuple[Any, ...]) -> Any:
    if not place:
        raise SpecError("An overlay cannot remove the whole document.")
    parent = _at(document, place[:-1])
    del parent[place[-1]]
    return document


def _updated(document: Any, place: tuple[Any, ...], update: Any) -> Any:
    node = _at(document, place)
    merged = _merged(node, update)
    if not place:
        return merged
    _at(document, place[:-1])[place[-1]] = merged
    return document


def _merged(node: Any, update: Any) -> Any:
    """Merge as specified: objects key by key, a list gets another entry, anything else is replaced."""
    if isinstance(node, dict) and isinstance(update, dict):
        return {**node, **{key: _merged(node.get(key), value) for key, value in update.items()}}
    if isinstance(node, list):
        return [*node, *copy.deepcopy(update if isinstance(update, list) else [update])]
    return copy.deepcopy(update)


def _at(document: Any, place: tuple[Any, ...]) -> Any:
    for part in place:
        document = document[part]
    return document
