"""The public API as text: a line for each name with its signature, so that a change shows in review.

`make public` renews it. A line that is removed or changed is a breaking change, and belongs in the CHANGELOG.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path

import griffe

import databox
import databox.sandbox

__all__ = ["SNAPSHOT", "surface"]

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = ROOT / "tests" / "public.txt"
_SHOWN = {"__init__", "__iter__", "__aiter__", "__enter__", "__aenter__"}
_MADE_FOR_YOU = {"Page", "AsyncPage", "Resource", "AsyncResource"}
"""Classes whose constructors only we call."""


def surface() -> str:
    """Return the public API, in the order of its exports."""
    package = griffe.load("databox", search_paths=[ROOT], resolve_aliases=True)
    assert isinstance(package, griffe.Module)
    lines: list[str] = []
    for module in (databox, databox.sandbox):
        for name in module.__all__:
            lines += _lines(f"{module.__name__}.{name}", _found(package, getattr(module, name), name))
    for client in (databox.Databox, databox.AsyncDatabox):
        for group, made in vars(client("some-key-0123456789", rate_limit=None)).items():
            if not group.startswith("_"):
                lines += _lines(f"databox.{client.__name__}().{group}", _found(package, type(made), ""))
    return "\n".join(lines) + "\n"


def _found(package: griffe.Module, value: object, name: str) -> griffe.Object:
    """Return what griffe knows about a class or function; for a constant, its name."""
    where = f"{value.__module__}.{value.__qualname__}" if inspect.isclass(value) or inspect.isfunction(value) else name
    return _target(package[where.removeprefix("databox.")])


def _target(found: griffe.Object | griffe.Alias) -> griffe.Object:
    target = found.final_target if isinstance(found, griffe.Alias) else found
    assert isinstance(target, griffe.Object)
    return target


def _lines(path: str, thing: griffe.Object) -> Iterator[str]:
    if isinstance(thing, griffe.Function):
        text = str(thing.signature())
        yield f"{'async ' if 'async' in thing.labels else ''}{path}{text[text.index('(') :]}"
    elif isinstance(thing, griffe.Class):
        yield f"class {path}({', '.join(map(str, thing.bases))})"
        for name, member in sorted(thing.all_members.items()):
            if _is_public(thing, name, _target(member)):
                yield from (f"    {line}" for line in _lines(name, _target(member)))
    elif isinstance(thing, griffe.Attribute):
        default = " = …" if thing.annotation and _has_default(thing) else ""
        yield path + (f": {thing.annotation}" if thing.annotation else "") + default


def _is_public(owner: griffe.Class, name: str, member: griffe.Object) -> bool:
    """Whether a member is public, and not already listed with an exported class that it comes from."""
    source = member.parent.name if member.parent else owner.name
    if source != owner.name and source in databox.__all__:
        return False
    if name == "__init__" and source in _MADE_FOR_YOU:
        return False
    return name in _SHOWN or not name.startswith("_")


def _has_default(attribute: griffe.Attribute) -> bool:
    if attribute.value is None or "property" in attribute.labels:
        return False
    value = str(attribute.value)
    return not value.startswith("attrs.field(") or "default=" in value or "factory=" in value


if __name__ == "__main__":
    SNAPSHOT.write_text(surface(), "utf-8")
