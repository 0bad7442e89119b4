"""The version of this library; the distribution's is read from here."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
