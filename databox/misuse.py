"""Exceptions for invalid arguments: built-in types that the command can distinguish from our bugs."""

__all__ = ["ArgumentLookupError", "ArgumentTypeError", "ArgumentValueError", "Misuse"]


class Misuse(Exception):
    """A mistake of the caller's, found before anything was done."""


class ArgumentValueError(Misuse, ValueError):
    """A value that is out of range, or does not exist."""


class ArgumentTypeError(Misuse, TypeError):
    """A value of the wrong type."""


class ArgumentLookupError(Misuse, LookupError):
    """A name that does not exist."""
