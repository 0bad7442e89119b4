"""Decodes bytes to text: detects the encoding, and reads line by line."""

import codecs
import io
import re
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from databox.errors import InvalidRecordError
from databox.files.source import BLOCK, Source
from databox.misuse import ArgumentLookupError
from databox.wording import message, setting

__all__ = ["Encoding", "blocks", "find_encoding", "head_text", "lines", "zero_byte"]

LONGEST_LINE = 16_000_000
"""Characters. A request is limited to a sixteenth of that, so a longer line is not a row."""

_END = re.compile(r"[\r\n\0]")
"""The end of a line, or a character that does not belong in text."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_NO_FILE = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "unicode-escape"})
_GUESS = message("a guess: it is not UTF-8. If letters look wrong, set ", setting("encoding"))
_BY_ZEROS = message("detected by its zero bytes. If that is wrong, set ", setting("encoding"))
_STRAY = re.compile(r"[\udc80-\udcff]")
"""A byte that could not be decoded, as Python represents it in text."""
_SEVEN_BITS = re.compile(rb"\x1b\$[@ABC()]")
"""The escape sequences that start Japanese, Chinese and Korean text in seven-bit encodings."""
_WORD = re.compile(r"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f\s]+")
"""Consecutive letters, digits and symbols beyond ASCII."""
_SIGN = "¡¢£¤¥¦¨©«¬®¯±´¶¸»¿¼½¾¹³‚ƒ„…†‡ˆ‰‹‘“”•˜™›"
_ODD = re.compile(
    rf"[A-Za-zÀ-ÿ][{_SIGN}][a-zß-ÿ]"  # a symbol within a word
    r"|[a-z][ŸŒŽŠÀ-ÖØ-ÞÐ]"  # a capital after a small letter
    r"|[À-ÖØ-öø-ÿŠŒŽšœžŸ]{3}"  # a word of accented letters alone
    rf"|[{_SIGN}]{{2}}[A-Za-zÀ-ÿ{_SIGN}]|[Ÿ]|[A-Za-z][¤¦¨¬¯¶¸]|[¤¦¨¬¯¶¸][A-Za-z]|^[£¥¢][a-zß-ÿ]|[a-zß-ÿ]¿"
)
"""Sequences of letters and symbols that occur in no language that uses Windows-1252."""

Encoding = tuple[str, str | None]
"""The codec's name, and a note on how it was detected, if any."""


def find_encoding(source: Source, given: str | None) -> Encoding:
    """Return the given encoding, or detect it.

    A byte order mark decides; then UTF-8, which other text rarely is by chance; otherwise it is Windows-1252, which
    includes Latin-1.

    Raises:
        LookupError: the given encoding does not exist.
        InvalidRecordError: it is not text.
    """
    if source.is_text:
        return "utf-8", None
    if given is not None:
        return _given(given), None
    head = source.head
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, None
    if source.is_whole and head.endswith(b"\0") and b"\0" not in (kept := head.rstrip(b"\0")):
        raise InvalidRecordError(
            f"{source.name} ends in {len(head) - len(kept)} zero bytes, as if writing it was interrupted. Create it "
            "again; or, if nothing is missing before them, remove them."
        )
    if b"\0" in head:
        return _without_mark(source), _BY_ZEROS
    if escape := _SEVEN_BITS.search(head):
        line = head.count(b"\n", 0, escape.start()) + 1
        raise InvalidRecordError(
            message(
                f"{source.name}, line {line:,} has escape sequences, as in ISO-2022. Set the encoding, such as ",
                setting("encoding", "iso2022_jp"),
                "; or, if they are text, use ",
                setting("encoding", "utf-8"),
                ".",
            )
        )
    scan = _Scan()
    scan.take(head, final=source.is_whole)
    source.check_rest(scan.take)
    if not scan.strays:
        return "utf-8", None
    if scan.letters > scan.strays / 20:
        raise InvalidRecordError(
            message(
                f"{source.name}, line {scan.line:,}: byte 0x{scan.byte:02X} is not UTF-8, as the rest is. Correct it; "
                "or, if letters before it are not UTF-8 either, set the file's encoding, such as ",
                setting("encoding", "windows-1252"),
                ".",
            )
        )
    text = head.decode("cp1252", "replace")
    odd = next(filter(_is_odd, _WORD.findall(text)), None)
    if "\ufffd" in text or odd:
        what = f"not UTF-8, and as Windows-1252 it would read {odd!r}" if odd else "neither UTF-8 nor Windows-1252"
        raise InvalidRecordError(
            message(
                f"{source.name}, line {scan.line:,}: byte 0x{scan.byte:02X} is {what}. Set ",
                setting("encoding"),
                " to, for example, windows-1252, windows-1250, windows-1251, mac_roman, shift_jis or gb18030.",
            )
        )
    return "cp1252", _GUESS


def _given(name: str) -> str:
    try:
        found = codecs.lookup(name).name
        io.TextIOWrapper(io.BytesIO(), found)  # refuses codecs that are not for text, such as base64
    except (LookupError, ValueError):  # or what no name can have: a null character, half of a surrogate pair
        raise ArgumentLookupError(
            f"There is no text encoding {name!r}. Common ones are utf-8, windows-1252, utf-16."
        ) from None
    if found in _NO_FILE:
        raise ArgumentLookupError(f"{name!r} is not an encoding of files. Common ones are utf-8, windows-1252, utf-16.")
    return "utf-8-sig" if found == "utf-8" else found


class _Scan:
    """How much of the bytes is UTF-8, and where the first invalid byte is."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.letters = self.strays = 0
        """Characters beyond ASCII, and bytes that are not part of any character."""
        self.line, self.byte = 1, 0

    def take(self, block: bytes, *, final: bool = False) -> None:
        """Process the next bytes."""
        text = self._decoder.decode(block, final)
        stray = None if text.isascii() else _STRAY.search(text)
        if not self.strays:
            self.line += text.count("\n", 0, stray.start() if stray else len(text))
            self.byte = ord(stray[0]) - 0xDC00 if stray else 0
        valid = text.encode("utf-8", "ignore").decode() if stray else text
        self.strays += len(text) - len(valid)
        self.letters += len(valid) - len(valid.encode("ascii", "ignore"))


def _is_odd(word: str) -> bool:
    """Whether a word looks as if it was decoded with the wrong encoding."""
    return _ODD.search(word) is not None and not word.isascii()


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
    """Yield line by line, including the unchanged line ends.

    Raises:
        InvalidRecordError: a line cannot be decoded, is too long, or contains a zero byte.
    """
    return chain.from_iterable(blocks(source, stream, encoding))


def blocks(source: Source, stream: BinaryIO, encoding: str) -> Iterator[list[str]]:
    """Yield several lines at a time: as many as are available, so that a pipe is passed on as data arrives.

    Raises:
        InvalidRecordError: as `lines` does.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    number = 0
    left: list[str] = []
    """The parts of a line whose end has not arrived yet; each part is joined only once."""
    length = 0
    read = getattr(stream, "read1", stream.read)
    while True:
        data = read(BLOCK)
        try:
            part = decoder.decode(data, not data)
        except UnicodeError as error:
            raise _undecodable(source.name, encoding, error, number + _lines_before(error)) from None
        left.append(part)
        length += len(part)
        if data and length < LONGEST_LINE and _END.search(part) is None:
            continue
        text = "".join(left)
        block = list(io.StringIO(text, newline=""))
        # The last line may continue in the next block, and so may its line end.
        left = [block.pop()] if data and block and not block[-1].endswith("\n") else []
        length = len(left[0]) if left else 0
        if length >= LONGEST_LINE or any(len(line) >= LONGEST_LINE for line in block[:1]):
            number += 1 if block else 0
            raise InvalidRecordError(
                f"{source.name}, line {number + 1:,} is longer than {LONGEST_LINE:,} characters. Is this the "
                "right format?"
            )
        if "\0" in text:
            at = next((place for place, line in enumerate(block) if "\0" in line), len(block))
            yield block[:at]
            raise zero_byte(source.name, number + at + 1, encoding)
        number += len(block)
        if block:
            yield block
        if not data:
            return


def zero_byte(name: str, line: int, encoding: str) -> InvalidRecordError:
    """Return the error for a line with a zero byte."""
    return InvalidRecordError(
        message(
            f"{name}, line {line:,} holds a zero byte, so it is not text, or not in "
            f"{encoding.removesuffix('-sig')}. Set the encoding, such as ",
            setting("encoding", "utf-16"),
            ".",
        )
    )


def _without_mark(source: Source) -> str:
    """UTF-16 without a byte order mark: western text in it has a zero in every other byte."""
    zeros = [source.head[start::2].count(0) for start in (0, 1)]
    pairs = len(source.head) // 2
    for place, name in enumerate(("utf-16-be", "utf-16-le")):
        if zeros[place] > pairs * 0.6 and zeros[1 - place] < pairs * 0.1:
            return name
    raise InvalidRecordError(
        message(
            f"{source.name} holds zero bytes, so it is not text, or its encoding has to be set, such as ",
            setting("encoding", "utf-16-le"),
            ".",
        )
    )


def _lines_before(error: UnicodeError) -> int:
    """How many line ends the block has before the byte that cannot be decoded."""
    return error.object.count(b"\n", 0, error.start) if isinstance(error, UnicodeDecodeError) else 0


def _undecodable(name: str, encoding: str, error: UnicodeError, line: int | None) -> InvalidRecordError:
    where = "its beginning" if line is None else f"something near line {line + 1:,}"
    byte = f" (byte 0x{error.object[error.start]:02X})" if isinstance(error, UnicodeDecodeError) else ""
    other = "windows-1252" if encoding.startswith("utf-8") else "utf-8"
    return InvalidRecordError(
        message(
            f"{name}: {where} is not {encoding.removesuffix('-sig')}{byte}. Set the encoding, such as ",
            setting("encoding", other),
            ".",
        )
    )
