"""The message when the vendor's older distribution is installed too, because each overwrites files of the other.

This module is imported when something is already wrong, so it imports none of our modules, which may be the cause.
"""

import importlib.metadata

__all__ = ["REMEDY", "explain", "is_there"]

REMEDY = (
    "Two distributions conflict: databox, the client for Databox's older push API, and databox-sdk, this one. Both "
    "install a package named databox, and each overwrites files of the other. Uninstall both and reinstall the one you "
    "want: pip uninstall -y databox databox-sdk, then pip install databox-sdk. If you need both, install them in "
    "separate environments."
)


def is_there() -> bool:
    """Return whether the vendor's distribution is installed."""
    return any(importlib.metadata.distributions(name="databox"))


def explain(problem: ImportError) -> None:  # pragma: no cover - tested with both in an environment of their own
    """Explain a failed import, if this is the reason.

    Raises:
        ImportError: both distributions are installed.
    """
    if is_there():
        raise ImportError(REMEDY) from problem
