"""Undoes content codings in small steps: a few kilobytes can stand for gigabytes, and take their time.

We ask for answers as they are (`accept-encoding: identity`), yet some servers and proxies compress all the same.
"""

import zlib
from collections.abc import Iterable, Iterator

import httpx

__all__ = ["decoded"]

MOST_CODINGS = 5
_PIECE = 16_384
"""Bytes that are decompressed at once, and at most given at once."""
_GZIP, _ZLIB, _RAW = 31, 15, -15
"""The formats as zlib knows them (`wbits`)."""


def decoded(coding: str, body: bytes) -> Iterator[bytes]:
    """Return the parts of a body without its codings (RFC 9110, section 8.4), one after the other.

    Args:
        coding: the header `content-encoding`; "" when there was none.
        body: as it was sent.

    Raises:
        httpx.DecodingError: on the way, when the body is damaged or the coding is none that we know.
    """
    names = [name.strip().lower() for name in coding.split(",")]
    if len(names) > MOST_CODINGS:
        raise httpx.DecodingError(f"it has {len(names)} content codings, more than the {MOST_CODINGS} allowed")
    parts: Iterator[bytes] = (body[start : start + _PIECE] for start in range(0, len(body), _PIECE))
    for name in reversed(names):
        if name in ("gzip", "x-gzip"):
            parts = _inflated(parts, _GZIP)
        elif name == "deflate":
            parts = _inflated(parts, None)
        elif name not in ("", "identity"):
            raise httpx.DecodingError(f"its content coding {name[:40]!r} was not requested")
    return parts


def _inflated(parts: Iterable[bytes], wbits: int | None) -> Iterator[bytes]:
    inflater = None
    padded = False
    try:
        for part in parts:
            rest, given = part.lstrip(b"\0") if padded and inflater is None else part, b""
            while rest or len(given) == _PIECE:  # as much as was allowed: there may be more to come of the same input
                inflater = inflater or zlib.decompressobj(wbits or _deflate(rest))
                yield (given := inflater.decompress(rest, _PIECE))
                rest = inflater.unconsumed_tail
                if inflater.eof:
                    # Gzipped data may be followed by another one, or by padding.
                    rest, given = inflater.unused_data.lstrip(b"\0"), b""
                    inflater, padded = None, True
        if inflater is not None:
            raise httpx.DecodingError("it ends in the middle of its compressed data")
    except zlib.error as error:
        raise httpx.DecodingError(f"its compressed data is damaged: {error}") from None


def _deflate(start: bytes) -> int:
    """The format of what is called deflate: zlib's, as it should be, or raw; the first two bytes tell."""
    is_zlib = len(start) > 1 and start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return _ZLIB if is_zlib else _RAW
