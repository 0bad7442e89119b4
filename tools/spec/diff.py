"""Say in words how two descriptions of the API differ on the wire, and what of it the facade relies on.

    python -m tools.spec.diff [OLD [NEW]]

Without arguments the last commit's description is compared with the work tree's. The exit status is 0 when nothing
that the facade relies on is gone or changed, 1 when something is, and 2 when the two cannot be compared. Both are
compared as published: after the overlay, the pins would hide what matters.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from tools.spec.document import SpecError, load, operations, parse, resolve_path_items, wire_path
from tools.spec.overlay import apply, only_pinned, pins, with_our_templates
from tools.spec.project import Project
from tools.spec.reliance import Reliance, reliance
from tools.spec.validity import fault
from tools.spec.wire import NUMBERS, Fact, Wire, blank, wire_of

__all__ = ["Change", "changes", "compare", "in_words"]


Weight = Literal["breaks", "harmless", "described"]
_HEADINGS: Mapping[Weight, str] = {
    "breaks": "The client relies on what is gone or changed here:",
    "harmless": "Changed, and the client does not rely on it:",
    "described": "Only described more or less narrowly than before:",
}


@attrs.frozen
class Change:
    """One difference."""

    operation: str
    """Method and path, and the facade's method where there is one."""
    what: str
    weight: Weight
    """Whether the facade relies on it, it does not, or it is only described more or less narrowly."""

    def __str__(self) -> str:
        return f"{self.operation}: {self.what}"


def compare(project: Project, old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return how a description differs from an older one, as the facade sees it."""
    overlay = load(project.overlay)
    wanted = pins(overlay)
    ours = only_pinned(apply(overlay, with_our_templates(_ours(project), wanted), _silent), _silent)
    names = _titles(new) | _titles(old) | _titles(ours)
    try:
        relied = reliance(wanted, wire_of(ours))
    except Exception as error:  # noqa: BLE001 - code that is being edited can raise anything
        raise SpecError(f"The client's code does not run: {type(error).__name__}: {error}. Mend it first.") from None
    return list(changes(wire_of(old), wire_of(new), relied, names))


def changes(old: Wire, new: Wire, relied: Mapping[str, Reliance], names: Mapping[str, str]) -> Iterator[Change]:
    """Yield the differences between two wires, operation by operation."""
    for key in sorted(old.keys() | new.keys()):
        ours = relied.get(key)
        title = names.get(key, key) + (f" ({ours.facade})" if ours else "")
        if key not in new:
            yield Change(title, "the operation is gone", "breaks" if ours else "harmless")
        elif key not in old:
            yield Change(title, "the operation is new", "harmless")
        else:
            yield from _within(title, old[key], new[key], ours)


def _within(title: str, old: Mapping[str, Fact], new: Mapping[str, Fact], ours: Reliance | None) -> Iterator[Change]:
    relied = ours.places if ours else {}
    sent = ours.always_sent if ours else old.keys() | new.keys()  # where nothing is relied on, nothing is missed
    for place in sorted(old.keys() | new.keys()):
        was, now = old.get(place), new.get(place)
        if was and now:
            if was.kinds != now.kinds:
                yield Change(title, _retyped(place, was, now), _weight_of_kinds(place, was, now, relied))
            if now.required and not was.required:
                yield Change(title, f"{place} is required now", "harmless" if place in sent else "breaks")
            elif was.required and not now.required:
                yield Change(title, f"{place} is not required any more", "harmless")
            if was.details != now.details:
                yield Change(title, _redescribed(place, was, now), "described")
        elif was and _parent(place) in new.keys() | {None}:
            yield Change(title, f"{place} is gone", _weight_of_loss(place, new, relied))
        elif now and _parent(place) in old.keys() | {None}:
            missed = now.required and place not in sent
            yield Change(title, f"{place} is new{', and required' * missed}", "breaks" if missed else "harmless")


def _parent(place: str) -> str | None:
    """Return the place that holds another, whose coming and going is told once; None when none does."""
    word, _, path = place.partition(" field ")
    if not path:
        return None
    above = path[: max(path.rfind("."), path.rfind("["))] if path.endswith("[]") or "." in path else ""
    return f"{word} field {above}" if above else f"JSON {word}"


def _weight_of_loss(place: str, new: Mapping[str, Fact], relied: Mapping[str, frozenset[str]]) -> Weight:
    # An error that is not described any more is still answered; a field that is gone from one is gone.
    only_described = place == "JSON error"
    # Nor does a key stop being asked for because nothing is said of keys, or the header is told as a parameter.
    if place.startswith("key "):
        only_described = not any(other.startswith("key ") for other in new)
    return "described" if only_described else "breaks" if place in relied else "harmless"


def _weight_of_kinds(place: str, was: Fact, now: Fact, relied: Mapping[str, frozenset[str]]) -> Weight:
    if not (was.kinds and now.kinds):
        return "described"
    if place not in relied:
        return "harmless"
    ours = relied[place]
    given, taken = (ours, now.kinds) if place.startswith(("request", "query", "header")) else (now.kinds, ours)
    return "harmless" if given <= taken | (NUMBERS if "number" in taken else set()) else "breaks"


def _retyped(place: str, was: Fact, now: Fact) -> str:
    return f"{place} was {_either(was.kinds)}, and is {_either(now.kinds)}"


def _either(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds)) or "of any type"


def _redescribed(place: str, was: Fact, now: Fact) -> str:
    new = [f"says {detail}" for detail in sorted(now.details - was.details)]
    gone = [f"does not say {detail} any more" for detail in sorted(was.details - now.details)]
    return f"{place} {', and '.join(new + gone)}"


def in_words(found: list[Change], most: int | None = None) -> str:
    """Return the changes as a text for people, what matters first; of what breaks nothing, only so many of a kind."""
    if not found:
        return "The wire is the same."
    parts: list[str] = []
    for weight, heading in _HEADINGS.items():
        lines = [f"- {change}" for change in found if change.weight == weight]
        if most is not None and weight != "breaks" and len(lines) > most:
            lines[most:] = [f"- and {len(lines) - most} more"]
        if lines:
            parts.append("\n".join([heading, "", *lines]))
    if not any(change.weight == "breaks" for change in found):
        parts.insert(0, "Nothing that the client relies on is gone or changed.")
    return "\n\n".join(parts)


def _ours(project: Project) -> dict[str, Any]:
    return resolve_path_items(load(project.description))


def _silent(line: str) -> None:
    """Nobody wants to know here what the overlay leaves out."""


def _titles(document: dict[str, Any]) -> dict[str, str]:
    """The operations as a description writes them, by their place on the wire."""
    whole = resolve_path_items(document)
    named = [(method.upper(), wire_path(whole, path)) for path, method, _ in operations(whole)]
    return {f"{method} {blank(path)}": f"{method} {path}" for method, path in named}


def _usable(content: bytes, name: str) -> dict[str, Any]:
    document = parse(content, name)
    found = fault(document)
    if found:
        raise SpecError(f"{name} {found}")
    return document


def _committed(project: Project) -> bytes:
    """Return the description in the last commit."""
    where = project.description.relative_to(project.root).as_posix()
    command = ["git", "-C", str(project.root), "show", f"HEAD:./{where}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise SpecError(f"git cannot be run: {error.strerror}. Name the older description: OLD=file.") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise SpecError(f"There is no committed description ({said}). Name the older one: OLD=file.")
    return done.stdout


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"Cannot read {path}: {error.strerror}.") from None


def main(arguments: list[str] | None = None, project: Project | None = None) -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Say in words how two descriptions of the API differ on the wire.")
    parser.add_argument("old", nargs="?", type=Path, help="the older description; the last commit's without")
    parser.add_argument("new", nargs="?", type=Path, help="the newer one; the work tree's without")
    project = project or Project()
    given = parser.parse_args(arguments)
    newer = given.new or project.description
    try:
        old = _usable(_bytes(given.old), str(given.old)) if given.old else _usable(_committed(project), "HEAD")
        found = compare(project, old, _usable(_bytes(newer), str(newer)))
    except SpecError as error:
        print(f"Nothing was compared. {error}", file=sys.stderr)
        return 2
    print(in_words(found))
    return 1 if any(change.weight == "breaks" for change in found) else 0


if __name__ == "__main__":
    sys.exit(main())
