"""Arguments that cannot be right: built-in exceptions that the command can tell from a fault of ours."""

__all__ = ["ArgumentLookupError", "ArgumentTypeError", "ArgumentValueError", "Misuse"]


class Misuse(Exception):
    """The caller's mistake, found before anything was done."""


class ArgumentValueError(Misuse, ValueError):
    """A value that is out of bounds, or that there is not."""


class ArgumentTypeError(Misuse, TypeError):
    """A value of another type."""


class ArgumentLookupError(Misuse, LookupError):
    """A name that nothing has."""
