"""Applying an OpenAPI Overlay, and what ours pins.

Source: OpenAPI Overlay Specification 1.0.0. The JSONPath is python-jsonpath's (RFC 9535).
"""

import copy
import re
from collections.abc import Callable
from typing import Any

import attrs
import jsonpath

from tools.spec.document import SpecError, operations, wire_path

__all__ = ["Pin", "apply", "only_pinned", "pins", "with_our_templates"]

FACADE = "x-facade"
"""Marks an operation as one to keep, and names the facade's method for it."""


@attrs.frozen
class Pin:
    """An operation that the facade relies on."""

    path: str
    method: str
    name: str
    tag: str
    facade: str


def pins(overlay: dict[str, Any]) -> list[Pin]:
    """Return the operations that an overlay pins."""
    found: list[Pin] = []
    for action in overlay.get("actions", []):
        match = re.fullmatch(r"\$\.paths\['([^']+)'\]\.(\w+)", action.get("target", ""))
        update = action.get("update")
        if match and isinstance(update, dict) and FACADE in update:
            found.append(Pin(match[1], match[2], update["operationId"], update["tags"][0], update[FACADE]))
    return found


def apply(overlay: dict[str, Any], document: dict[str, Any], report: Callable[[str], None]) -> dict[str, Any]:
    """Return the document with the overlay's actions applied, in order, each to the result of those before.

    Args:
        overlay: an Overlay 1.0 document.
        document: the description; it is left as it is.
        report: told of optional actions that found nothing.

    Raises:
        SpecError: an action is not well formed, or one that must match found nothing.
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
        if not matches:
            found_nothing = f"Overlay action {number} found nothing at {target} ({_reason(action)})"
            if not action.get("x-optional"):
                raise SpecError(f"{found_nothing}. Is this the description of another API, or did a path change?")
            report(found_nothing)
        # Deepest and last first, each once: whatever is done to one place, the next is still where it was found.
        for place in sorted({match.parts for match in matches}, key=_depth_and_position, reverse=True):
            patched = _removed(patched, place) if removes else _updated(patched, place, action["update"])
    return patched


def with_our_templates(document: dict[str, Any], wanted: list[Pin]) -> dict[str, Any]:
    """Return the document with its paths written as ours are: `/a/{id}` is `/a/{accountId}`.

    What the servers' addresses have of it (`https://host/v1`) belongs to it. Where several templates stand for one
    path, as not every publisher minds, their operations are put together.
    """
    pinned = {_blank(pin.path): pin.path for pin in wanted}
    paths = document.get("paths")
    if not isinstance(paths, dict):
        raise SpecError("The description has no paths.")
    renamed: dict[str, Any] = {}
    for path, item in paths.items():
        whole = wire_path(document, str(path))
        ours = pinned.get(_blank(whole), whole)
        both = isinstance(item, dict) and isinstance(renamed.get(ours), dict)
        renamed[ours] = {**item, **renamed[ours]} if both else item
    return {**document, "paths": renamed}


def only_pinned(document: dict[str, Any], report: Callable[[str], None]) -> dict[str, Any]:
    """Return the document with the pinned operations and nothing else that a generator could stumble over.

    The pins refer to no components, so these go as well, and webhooks and path-level parameters with them.
    Security at the top of a description has no effect on the code.
    """
    kept: dict[str, dict[str, Any]] = {}
    for path, method, operation in operations(document):
        if FACADE in operation:
            plain = {key: value for key, value in operation.items() if key == FACADE or not key.startswith("x-")}
            kept.setdefault(path, {})[method] = plain
        else:
            report(f"left out: {method.upper()} {path}, which the facade does not use")
    if document.get("webhooks"):
        report(f"left out: webhooks ({', '.join(map(str, document['webhooks']))})")
    components = [kind for kind in (document.get("components") or {}).values() if isinstance(kind, dict)]
    if any(components):
        report(f"left out: {sum(map(len, components))} components, as the pinned operations refer to none")
    return {"openapi": document.get("openapi"), "info": document.get("info"), "paths": kept}


def _depth_and_position(place: tuple[Any, ...]) -> tuple[int, tuple[int, ...]]:
    return len(place), tuple(part if isinstance(part, int) else 0 for part in place)


def _blank(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


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
    """Merge as the specification says: objects key by key, a list gets another entry, anything else is replaced."""
    if isinstance(node, dict) and isinstance(update, dict):
        return {**node, **{key: _merged(node.get(key), value) for key, value in update.items()}}
    if isinstance(node, list):
        return [*node, *copy.deepcopy(update if isinstance(update, list) else [update])]
    return copy.deepcopy(update)


def _at(document: Any, place: tuple[Any, ...]) -> Any:
    for part in place:
        document = document[part]
    return document
