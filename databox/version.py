"""The installed version of this library."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["VERSION"]


def _installed() -> str:
    try:
        return version("databox-sdk")
    except PackageNotFoundError:  # run from a copy of the sources
        return "0"


VERSION = _installed()
