"""The installed version of this library."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["VERSION"]

try:
    VERSION = version("databox-sdk")
except PackageNotFoundError:  # run from a copy of the sources
    VERSION = "0"
