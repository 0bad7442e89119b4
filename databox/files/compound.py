"""The streams of an old Office document, which is a file system of sectors within a file."""

import struct
from collections.abc import Collection, Iterator

__all__ = ["MAGIC", "streams_of"]

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_END = 0xFFFFFFFA
"""Numbers from here on are no sectors."""
_STREAM, _ROOT = 2, 5
_SMALL = 64
"""Bytes of the sectors of small streams."""


def streams_of(data: bytes, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the streams of some names, with their names.

    Raises:
        ValueError, IndexError, struct.error: it is damaged. Each of its chains of sectors is followed, as in a damaged
            document they may go round in circles, or be longer than it is.
    """
    (version, _, shift) = struct.unpack_from("<HHH", data, 26)
    size = 1 << shift
    if shift not in (9, 12):
        raise ValueError(shift)
    directory, limit, first_small, smalls, next_list = (_at(data, place) for place in (48, 56, 60, 64, 68))
    if smalls > len(data) // size:
        raise ValueError(smalls)
    table = _numbers(b"".join(_sector(data, number, size) for number in _tables(data, next_list, size)))
    small_table = _numbers(_joined(data, _chain(table, first_small), size))
    entries = _joined(data, _chain(table, directory), size)
    small = b""
    for place in range(0, len(entries) - 127, 128):
        entry = entries[place : place + 128]
        start, length = _at(entry, 116), _at(entry, 120)
        if entry[66] not in (_STREAM, _ROOT):
            continue
        if length > len(data) or (version == 4 and _at(entry, 124)):
            raise ValueError(length)
        if entry[66] == _STREAM and length < limit:
            found = b"".join(small[_SMALL * n : _SMALL * (n + 1)] for n in _chain(small_table, start))
        else:
            found = _joined(data, _chain(table, start), size)
        if entry[66] == _ROOT:
            small = found
        elif (name := entry[: max(0, entry[64] - 2)].decode("utf-16-le", "replace")) in names:
            yield name, found[:length]


def _tables(data: bytes, next_list: int, size: int) -> list[int]:
    """The sectors with the tables of chains: the first are listed in the header, more in sectors of their own."""
    listed, lists = _numbers(data[76:512]), 0
    while next_list < _END:
        *more, next_list = _numbers(_sector(data, next_list, size))
        listed += more
        lists += 1
        if lists > len(data) // size:
            raise ValueError("a list in a circle")
    return [number for number in listed if number < _END]


def _chain(table: list[int], number: int) -> list[int]:
    found: list[int] = []
    while number < _END:
        found.append(number)
        if len(found) > len(table):
            raise ValueError("a chain in a circle")
        number = table[number]
    return found


def _joined(data: bytes, numbers: list[int], size: int) -> bytes:
    return b"".join(_sector(data, number, size) for number in numbers)


def _sector(data: bytes, number: int, size: int) -> bytes:
    return data[size * (number + 1) : size * (number + 2)]


def _numbers(data: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4]))


def _at(data: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])
