"""A description in one plain form, which keeps its content, but not its organisation.

    published ─ resolved ─ named ─ json_only ─ inlined ─ unburdened ─┬─ what is compared
                                                                     └─ corrected ─┬─ what is checked, given to others
          what the generator reads ─ with_classes ─ distinct ─ pruned ─ loosened ──┘

Names depend only on our names of the operations and those on the wire, so two descriptions of the same API
give the same result, and different APIs give different ones.
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
    """Return a published description in the plain form, with everything that it says about the wire.

    Args:
        document: the description as read.
        report: receives what was left out on the way.

    Raises:
        SpecError: a part of it is missing, refers to itself, or is of the wrong kind.
    """
    return unburdened(inlined(json_only(named(resolved(document)), report), report))


def corrected(document: dict[str, Any], overlay: dict[str, Any], report: Report = silent) -> dict[str, Any]:
    """Return a published description in the plain form, with our corrections. Raises SpecError as `plain` does."""
    return apply(overlay, plain(document, report), report)


def for_the_generator(document: dict[str, Any], report: Report = silent) -> dict[str, Any]:
    """Return a corrected description as input for the generator."""
    return with_classes(distinct(pruned(loosened(document), report), report), report)
