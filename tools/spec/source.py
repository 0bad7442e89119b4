"""The description that everything is made of: in the plain form, corrected, with all operations of ours."""

from pathlib import Path
from typing import Any

from tools.spec.document import Report, SpecError, load
from tools.spec.normalise import corrected
from tools.spec.pins import PINS, missing
from tools.spec.project import Project
from tools.spec.validity import read

__all__ = ["needed"]


def needed(project: Project, description: Path, report: Report) -> dict[str, Any]:
    """Return a description in the plain form, corrected, with all of our operations.

    Args:
        project: where the overlay is.
        description: the description to start from.
        report: told what is odd about it, what was left out, and what was corrected.

    Raises:
        SpecError: the description, or the overlay for it, cannot be used, or it lacks an operation of ours.
    """
    published = read(description)
    published.warn(report)
    document = corrected(published.document, load(project.overlay), report)
    lacking = missing(document)
    if lacking:
        names = ", ".join(pin.title for pin in lacking)
        raise SpecError(f"{description.name} lacks {len(lacking)} of our {len(PINS)} operations: {names}.")
    return document
