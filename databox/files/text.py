"""Bytes to text: in which encoding, and line by line."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from databox.errors import InvalidRecordError
from databox.files.source import Source

__all__ = ["Encoding", "find_encoding", "head_text", "lines"]

LONGEST_LINE = 16_000_000
"""Characters. A request holds a sixteenth of that, so a longer line is no row."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

Encoding = tuple[str, str | None]
"""The codec's name, and what to tell about how it was found, if anything."""


def find_encoding(source: Source, given: str | None) -> Encoding:
    """Return the encoding that was given, or else found.

    A byte order mark decides; then UTF-8, which hardly any other text happens to be; else it is Windows-1252, which
    includes Latin-1.

    Raises:
        LookupError: the one given does not exist.
        InvalidRecordError: it is no text.
    """
    if source.is_text:
        return "utf-8", None
    if given is not None:
        try:
            name = codecs.lookup(given).name
            b"".decode(name)
        except LookupError:
            raise LookupError(f"There is no encoding {given!r}. Usual ones are utf-8, windows-1252, utf-16.") from None
        return ("utf-8-sig" if name == "utf-8" else name), None
    head = source.head
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, None
    if b"\0" in head:
        return _without_mark(source), "found by its zero bytes"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head, final=source.is_whole)
        source.check_rest(decoder.decode)
    except UnicodeDecodeError:
        return "cp1252", "a guess: it is not UTF-8. If letters look wrong, say which encoding it is"
    return "utf-8", None


def head_text(source: Source, encoding: str) -> str:
    """Return the beginning as text.

    Raises:
        InvalidRecordError: it is not in this encoding.
    """
    try:
        return codecs.getincrementaldecoder(encoding)().decode(source.head, final=source.is_whole)
    except UnicodeError as error:
        raise _undecodable(source.name, encoding, error, None) from None


def lines(source: Source, stream: BinaryIO, encoding: str) -> Iterator[str]:
    """Yield line by line, line ends included and as they are.

    Raises:
        InvalidRecordError: a line cannot be decoded, is endless, or holds a zero byte.
    """
    text = io.TextIOWrapper(stream, encoding, newline="")
    number = 0
    while True:
        try:
            line = text.readline(LONGEST_LINE)
        except UnicodeError as error:
            raise _undecodable(source.name, encoding, error, number) from None
        if not line:
            return
        number += 1
        if len(line) >= LONGEST_LINE:
            raise InvalidRecordError(
                f"{source.name}, line {number:,} is longer than {LONGEST_LINE:,} characters. Is this the right format?"
            )
        if "\0" in line:
            raise InvalidRecordError(
                f"{source.name}, line {number:,} holds a zero byte, so it is no text, or in another encoding than "
                f"{encoding}. Say which with encoding= (--encoding), such as utf-16."
            )
        yield line


def _without_mark(source: Source) -> str:
    """UTF-16 that does not say so: western text in it has a zero in every other byte."""
    zeros = [source.head[start::2].count(0) for start in (0, 1)]
    pairs = len(source.head) // 2
    for place, name in enumerate(("utf-16-be", "utf-16-le")):
        if zeros[place] > pairs * 0.6 and zeros[1 - place] < pairs * 0.1:
            return name
    raise InvalidRecordError(
        f"{source.name} holds zero bytes, so it is no text, or in an encoding that must be said: encoding= "
        "(--encoding), such as utf-16-le."
    )


def _undecodable(name: str, encoding: str, error: UnicodeError, line: int | None) -> InvalidRecordError:
    where = "its beginning" if line is None else f"something after line {line:,}"
    byte = f" (byte 0x{error.object[error.start]:02X})" if isinstance(error, UnicodeDecodeError) else ""
    other = "windows-1252" if encoding.startswith("utf-8") else "utf-8"
    return InvalidRecordError(
        f"{name}: {where} is not {encoding}{byte}. Say which encoding it is with encoding= (--encoding), "
        f"such as {other}."
    )
