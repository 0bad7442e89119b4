"""Hides the key: the object that holds it, and its form on the way into a header."""

from collections.abc import Callable
from typing import Generic, Never, Self, SupportsIndex, TypeVar, cast

__all__ = ["Secret", "Veiled", "secret_of"]

T = TypeVar("T")


class Veiled(str):
    """Text that works like any other, but whose repr hides it: a store's password, a key in a header."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return bytes whose repr hides them, too."""
        return _VeiledBytes(super().encode(encoding, errors))


class _VeiledBytes(bytes):
    """Bytes of a header. HTTP libraries pass on the same object until they write it to the wire."""

    def __repr__(self) -> str:
        return "b'…'"

    def __bytes__(self) -> bytes:
        return self

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return Veiled(super().decode(encoding, errors))


class Secret(Generic[T]):
    """Holds a value where nothing shows it: no repr, no locals of a traceback, no dump of attributes, no pickle.

    Args:
        value: a key; or something that may contain one, such as an argument that has not been checked yet.
    """

    __slots__ = ("reveal",)

    reveal: Callable[[], T]
    """Return the value, for use in an expression. A variable would show it wherever local variables are shown."""

    def __init__(self, value: T) -> None:
        hidden = cast("T", Veiled(value) if isinstance(value, str) else value)
        self.reveal = lambda: hidden  # in a closure, since attributes are what dumpers dump

    def __repr__(self) -> str:
        # A short key would be half given away by its last four characters.
        is_long = isinstance(self.reveal(), str) and len(str(self.reveal())) >= 16 and str(self.reveal()).isprintable()
        return "…" + str(self.reveal())[-4:] if is_long else "…"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Never:
        raise TypeError("A key cannot be pickled. Let the other process read DATABOX_API_KEY and make its own client.")


def secret_of(value: T | Secret[T] | None) -> Secret[T] | None:
    """Return a secret as it is, None for None, and anything else as a secret."""
    if value is None:
        return None
    return cast("Secret[T]", value) if isinstance(value, Secret) else Secret(value)
