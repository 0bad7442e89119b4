"""A description in one plain form: what it says is kept, how it is organised is not.

    published ─ resolved ─ named ─ json_only ─ inlined ─ unburdened ─┬─ what is compared
                                                                     └─ corrected ─┬─ what is checked, given to others
          what the generator reads ─ with_classes ─ distinct ─ pruned ─ loosened ──┘

Names depend on nothing but our names of the operations and those on the wire, so the same API described in two ways
comes out as the same, and another API as another.
"""

from typing import Any

from tools.spec.classes import with_classes
from tools.spec.distinct import distinct
from tools.spec.document import Report, silent
from tools.spec.inline import inlined
from tools.spec.loosen import loosened
from tools.spec.media import json_only
from tools.spec.overlay import apply
from tools.spec.prune import pruned
from tools.spec.resolve import named, resolved
from tools.spec.unburden import unburdened

__all__ = ["corrected", "for_the_generator", "plain"]


def plain(document: dict[str, Any], report: Report = silent) -> dict[str, Any]:
    """Return a published description in the plain form, with everything that it says of the wire.

    Args:
        document: the description, as it was read.
        report: told of what was left out on the way.

    Raises:
        SpecError: a part of it is missing, refers to itself, or is not of the kind that belongs there.
    """
    return unburdened(inlined(json_only(named(resolved(document)), report), report))


def corrected(document: dict[str, Any], overlay: dict[str, Any], report: Report = silent) -> dict[str, Any]:
    """Return a published description in the plain form, with our corrections. Raises SpecError as `plain` does."""
    return apply(overlay, plain(document, report), report)


def for_the_generator(document: dict[str, Any], report: Report = silent) -> dict[str, Any]:
    """Return a corrected description as the generator is to read it."""
    return with_classes(distinct(pruned(loosened(document), report), report), report)
