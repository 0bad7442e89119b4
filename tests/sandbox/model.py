"""A model of the types of columns in the sandbox, written independently of it."""

from typing import Any


class Columns:
    """The columns of one dataset: a column whose first value was a number takes numbers only."""

    def __init__(self) -> None:
        self._first: dict[str, Any] = {}

    def take(self, record: dict[str, Any]) -> bool:
        """Return whether a record fits, and remember it if it does."""
        fits = all(is_number(value) for name, value in record.items() if value is not None and self._wants_number(name))
        if fits:
            for name, value in record.items():
                if value is not None:
                    self._first.setdefault(name, value)
        return fits

    def _wants_number(self, name: str) -> bool:
        return name in self._first and is_number(self._first[name])


def is_number(value: Any) -> bool:
    """In JSON, true is no number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
