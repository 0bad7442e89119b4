"""Describe how two descriptions of the API differ on the wire, and which differences affect the facade.

    python -m tools.spec.diff [OLD [NEW]]

Without arguments, the last commit's description is compared with the work tree's. The exit status is 0 if nothing
that the facade relies on is gone or changed, 1 if something is, and 2 if the two cannot be compared. Both are
compared as published: after the overlay, the pins would hide what matters.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from tools.spec.document import SpecError, content_of, operations
from tools.spec.facade import Reliance, fits, is_expected, of_the_client
from tools.spec.normalise import plain
from tools.spec.pins import blank
from tools.spec.project import Project
from tools.spec.validity import published
from tools.spec.wire import Fact, Wire, facts_of

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
    """Method and path, and the facade's method, if there is one."""
    what: str
    weight: Weight
    """Whether the facade relies on it, it does not, or it is only described more or less narrowly."""

    def __str__(self) -> str:
        return f"{self.operation}: {self.what}"


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return how a published description differs from an older one, as the client sees it.

    Raises:
        SpecError: one of them cannot be converted to the plain form.
    """
    before, after = plain(old), plain(new)
    return list(changes(facts_of(before), facts_of(after), of_the_client(), _titles(after) | _titles(before)))


def changes(old: Wire, new: Wire, relied: Mapping[str, Reliance], names: Mapping[str, str]) -> Iterator[Change]:
    """Yield the differences between two wires, operation by operation."""
    for key in sorted(old.keys() | new.keys()):
        ours = relied.get(key)
        title = ours.title if ours else names.get(key, key)
        if ours and ours.broken:
            yield Change(title, f"the client cannot build this request any more: {ours.broken}", "breaks")
        if key not in new:
            yield Change(title, "the operation is gone", "breaks" if ours else "harmless")
        elif key not in old:
            yield Change(title, "the operation is new", "harmless")
        else:
            yield from _within(title, old[key], new[key], ours)


def _within(title: str, old: Mapping[str, Fact], new: Mapping[str, Fact], ours: Reliance | None) -> Iterator[Change]:
    relied = ours.places if ours else {}
    # If the facade relies on nothing, nothing is missing.
    sent = ours.always_sent if ours and not ours.broken else old.keys() | new.keys()
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
    """Return the place that contains another, so that its change is reported once; None if there is none."""
    word, _, path = place.partition(" field ")
    if not path:
        return None
    above = path[: max(path.rfind("."), path.rfind("["))] if path.endswith("[]") or "." in path else ""
    return f"{word} field {above}" if above else f"JSON {word}"


def _weight_of_loss(place: str, new: Mapping[str, Fact], relied: Mapping[str, str | None]) -> Weight:
    # An error that is not described any more is still answered, and a key asked for where nothing is said of keys.
    return "described" if not is_expected(place, new) else "breaks" if place in relied else "harmless"


def _weight_of_kinds(place: str, was: Fact, now: Fact, relied: Mapping[str, str | None]) -> Weight:
    if not (was.kinds and now.kinds):
        return "described"
    return "breaks" if place in relied and not fits(place, relied[place], now) else "harmless"


def _retyped(place: str, was: Fact, now: Fact) -> str:
    return f"{place} was {_either(was.kinds)}, and is {_either(now.kinds)}"


def _either(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds)) or "of any type"


def _redescribed(place: str, was: Fact, now: Fact) -> str:
    new = [f"says {detail}" for detail in sorted(now.details - was.details)]
    gone = [f"does not say {detail} any more" for detail in sorted(was.details - now.details)]
    return f"{place} {', and '.join(new + gone)}"


def in_words(found: list[Change], most: int | None = None) -> str:
    """Return the changes as a text for people, the most important first; of harmless ones, only a few of each kind."""
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


def _titles(document: dict[str, Any]) -> dict[str, str]:
    """The operations of a plain document as written, by their identity on the wire."""
    return {f"{method.upper()} {blank(path)}": f"{method.upper()} {path}" for path, method, _ in operations(document)}


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


def main(arguments: list[str] | None = None, project: Project | None = None) -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Say in words how two descriptions of the API differ on the wire.")
    parser.add_argument("old", nargs="?", type=Path, help="the older description; the last commit's without")
    parser.add_argument("new", nargs="?", type=Path, help="the newer one; the work tree's without")
    project = project or Project()
    given = parser.parse_args(arguments)
    newer = given.new or project.description
    try:
        both = [
            published(content_of(given.old), str(given.old)) if given.old else published(_committed(project), "HEAD"),
            published(content_of(newer), str(newer)),
        ]
        found = compare(both[0].document, both[1].document)
    except SpecError as error:
        print(f"Nothing was compared. {error}", file=sys.stderr)
        return 2
    for each in both:
        each.warn(lambda line: print(line, file=sys.stderr))
    print(in_words(found))
    return 1 if any(change.weight == "breaks" for change in found) else 0


if __name__ == "__main__":
    sys.exit(main())
