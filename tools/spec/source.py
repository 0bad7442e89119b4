"""The description that everything is generated from: in the plain form, corrected, with all our operations."""

from pathlib import Path
from typing import Any

from tools.spec.document import Report, SpecError, load
from tools.spec.normalise import corrected
from tools.spec.pins import PINS, missing
from tools.spec.project import Project
from tools.spec.validity import read

__all__ = ["needed"]


def needed(project: Project, description: Path, report: Report) -> dict[str, Any]:
    """Return a description in the plain form, corrected, with all our operations.

    Args:
        project: the project with the overlay.
        description: the description to start from.
        report: receives its irregularities, what was left out, and what was corrected.

    Raises:
        SpecError: the description or the overlay cannot be used, or one of our operations is missing.
    """
    published = read(description)
    published.warn(report)
    document = corrected(published.document, load(project.overlay), report)
    lacking = missing(document)
    if lacking:
        names = ", ".join(pin.title for pin in lacking)
        raise SpecError(f"{description.name} lacks {len(lacking)} of our {len(PINS)} operations: {names}.")
    return document
