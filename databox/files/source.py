"""The source of the bytes: a path, an open file or standard input; decompressed, with a preview of the beginning."""

import gzip
import importlib
import io
import os
import sys
import tempfile
import zlib
from collections.abc import Callable
from os import PathLike, fspath
from typing import IO, Any, BinaryIO, cast

from databox.errors import InvalidRecordError
from databox.misuse import ArgumentTypeError
from databox.wording import message, setting

__all__ = ["BLOCK", "Encoded", "Source", "missing"]

BLOCK = 1 << 16
HEAD = 1 << 20
"""The number of bytes that determine the format, the encoding and the columns."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_FOREIGN = {
    b"PK\x03\x04": message("a ZIP archive. Unpack it, or, if it is a workbook, use ", setting("format", "excel")),
    b"\xd0\xcf\x11\xe0": message("an old Office document. If it is a workbook, use ", setting("format", "excel")),
    b"BZh": "packed with bzip2. Unpack it, or pack it with gzip or zstd",
    b"\xfd7zXZ": "packed with xz. Unpack it, or pack it with gzip or zstd",
    b"%PDF": "a PDF. Export the table as CSV",
}


def missing(name: str, extra: str, what: str) -> ImportError:
    """Return the error for a library that is not installed."""
    return ImportError(f'Reading {what} needs {name}: pip install "databox-sdk[{extra}]"', name=name)


class _Replayed(io.RawIOBase):
    """A stream whose first bytes have been previewed, and are returned again."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = memoryview(head)
        # A pipe is passed on as data arrives.
        self._read: Callable[[int], bytes] = getattr(rest, "read1", rest.read)
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] if self._head else self._read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        self.taken += len(data)
        return len(data)


class Encoded(io.RawIOBase):
    """Text as UTF-8 bytes.

    Raises:
        InvalidRecordError: it contains half of a surrogate pair, as in undecoded bytes.
    """

    def __init__(self, text: IO[str], name: str) -> None:
        self._text = text
        self._name = name
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._left or self._text.read(BLOCK).encode()
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            raise InvalidRecordError(
                f"{self._name} holds {half!r}, half of a character, as where bytes could not be decoded: open it with "
                "the encoding that it has, or for reading bytes."
            ) from None
        self._left = data[len(buffer) :]
        data = data[: len(buffer)]
        buffer[: len(data)] = data
        return len(data)


class _Unpacked(io.RawIOBase):
    """The bytes of a compressed stream.

    Raises:
        InvalidRecordError: the compressed data is damaged or truncated.
    """

    def __init__(self, packed: "gzip.GzipFile | _Frames", what: str) -> None:
        self._packed = packed
        self._what = what

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._packed.read1(len(buffer))
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise InvalidRecordError(f"{self._what} cannot be unpacked to its end: {error}.") from None
        buffer[: len(data)] = data
        return len(data)


class _Frames:
    """The bytes of a zstd stream; unlike the library's own reader, it detects a truncated last frame."""

    def __init__(self, stream: IO[bytes]) -> None:
        try:
            self._zstandard: Any = importlib.import_module("zstandard")
        except ImportError:
            raise missing("zstandard", "files", "zstd files") from None
        self._stream = stream
        self._frame: Any = None
        self._left = memoryview(b"")

    def read1(self, count: int) -> "bytes | memoryview":
        while not self._left:
            rest: bytes = self._frame.unused_data if self._frame and self._frame.eof else b""
            # A little at a time, because a kilobyte may expand to many megabytes.
            packed = rest or self._stream.read(256)
            if not packed:
                if self._frame and not self._frame.eof:
                    raise EOFError("it ends in the middle")
                break
            if self._frame is None or self._frame.eof:
                self._frame = self._zstandard.ZstdDecompressor().decompressobj()
            try:
                self._left = memoryview(self._frame.decompress(packed))
            except self._zstandard.ZstdError as error:
                raise ValueError(error) from None
        data, self._left = self._left[:count], self._left[count:]
        return data


class Source:
    """An open input.

    Args:
        source: a path, `-` for standard input, or a file open for reading.

    Raises:
        OSError: it cannot be opened.
        InvalidRecordError: its compression or format cannot be read.
        ImportError: it is compressed with zstd, and the library is not installed.
        TypeError: it is none of these.
    """

    def __init__(self, source: str | PathLike[str] | IO[bytes] | IO[str]) -> None:
        self.is_text = False
        """Whether it is already text, so that its encoding is known."""
        self._closes = False
        self._spooled: IO[bytes] | None = None
        raw = self._raw = self._opened(source)
        try:
            self._look(raw)
        except BaseException:
            self.close()
            raise

    def _look(self, raw: IO[bytes]) -> None:
        size = _size(raw)
        start = bytes(_read_up_to(raw, 8))
        counter = _Replayed(start, raw)
        self._counter, self._size = counter, size
        self.packed: str | None = None
        """`gzip`, `zstd` or None."""
        self._stream: IO[bytes] = io.BufferedReader(counter, BLOCK)
        if start.startswith(_GZIP):
            self.packed = "gzip"
            self._stream = self._unpacked(gzip.GzipFile(fileobj=self._stream))
        elif start.startswith(_ZSTD):
            self.packed = "zstd"
            self._stream = self._unpacked(_Frames(self._stream))
        self.head = bytes(_read_up_to(self._stream, HEAD))
        self.is_whole = len(self.head) < HEAD
        """Whether `head` is the whole input."""

    def refuse_foreign(self) -> None:
        """Refuse input that is not text, by its first bytes.

        Raises:
            InvalidRecordError: its compression or format cannot be read.
        """
        for magic, what in _FOREIGN.items():
            if self.head.startswith(magic):
                raise InvalidRecordError(message(f"{self.name} is ", what, "."))

    @property
    def fraction(self) -> float | None:
        """How much of it has been read, 0 to 1; None if its size is unknown."""
        if not self._size or self.is_text:
            return None
        return min(1.0, self._counter.taken / self._size)

    def stream(self) -> BinaryIO:
        """Return the decompressed bytes from the beginning; once."""
        replayed = _Replayed(self.head, self._stream)
        if self.packed is None:
            self._counter = replayed  # the preview does not count
        return cast("BinaryIO", io.BufferedReader(replayed, BLOCK // 4))

    def seekable(self) -> BinaryIO:
        """Return the decompressed bytes as a seekable file, kept on disk if necessary."""
        if self.packed is None and self._size is not None and not self.is_text:
            self._raw.seek(self._beginning)
            return cast("BinaryIO", self._raw)
        self._spooled = spooled = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
        stream = self.stream()
        while block := stream.read(BLOCK):
            spooled.write(block)
        spooled.seek(0)
        return cast("BinaryIO", spooled)

    def check_rest(self, check: Callable[[bytes], object]) -> None:
        """Pass what follows the head to `check`, block by block, if that is cheap: on disk and not compressed."""
        if self.packed or self._size is None or self.is_whole or self.is_text:
            return
        here = self._raw.tell()
        self._raw.seek(self._beginning + len(self.head))
        try:
            for _ in range(31):
                check(self._raw.read(HEAD))
        finally:
            self._raw.seek(here)

    def close(self) -> None:
        """Close it, if it was opened here."""
        if self._spooled:
            self._spooled.close()
        if self._closes:
            self._raw.close()

    def _unpacked(self, packed: gzip.GzipFile | _Frames) -> IO[bytes]:
        return cast("IO[bytes]", io.BufferedReader(_Unpacked(packed, f"{self.name} ({self.packed})"), BLOCK))

    def _opened(self, source: Any) -> IO[bytes]:
        self._beginning = 0
        if source == "-" or source is sys.stdin:
            self.name = "standard input"
            return sys.stdin.buffer
        if isinstance(source, str | PathLike):
            self.name = os.fsdecode(fspath(cast("str", source)))
            self._closes = True
            return open(self.name, "rb")
        if not hasattr(source, "read"):
            kind = type(source).__name__
            raise ArgumentTypeError(f'read_records takes a path, "-" or a file open for reading, not {kind}.')
        names = (getattr(source, "name", None), getattr(source, "path", None))  # the latter, of object stores
        self.name = next((name for name in names if isinstance(name, str)), "the file")
        if isinstance(source, io.TextIOBase) or isinstance(source.read(0), str):
            self.is_text = True
            return cast("IO[bytes]", io.BufferedReader(Encoded(cast("IO[str]", source), self.name), BLOCK))
        stream = cast("IO[bytes]", source)
        if _can_seek(stream):
            self._beginning = stream.tell()
        return stream


def _read_up_to(stream: IO[bytes], count: int) -> bytearray:
    """The first bytes, up to a number."""
    found = bytearray()
    while len(found) < count and (block := stream.read(count - len(found))):
        found += block
    return found


def _can_seek(stream: IO[bytes]) -> bool:
    return bool(hasattr(stream, "seekable") and stream.seekable())


def _size(stream: IO[bytes]) -> int | None:
    """The number of bytes from here to the end, or None if it is unknown."""
    if not _can_seek(stream):
        return None
    here = stream.tell()
    stream.seek(0, os.SEEK_END)
    end = stream.tell()
    stream.seek(here)
    return end - here
