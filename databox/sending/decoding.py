"""Decodes content codings in small steps: a few kilobytes can expand to gigabytes, and take a long time.

The client asks for unencoded answers (`accept-encoding: identity`), but some servers and proxies compress anyway.
"""

import zlib
from collections.abc import Iterable, Iterator

import httpx

from databox.sending.exchange import LARGEST_ANSWER

__all__ = ["decoded"]

MOST_CODINGS = 5
_PIECE = 16_384
"""Bytes that are decompressed, and at most returned, in one step."""
_GZIP, _ZLIB, _RAW = 31, 15, -15
"""The formats in zlib's terms (`wbits`)."""


def decoded(coding: str, body: bytes) -> Iterator[bytes]:
    """Yield the parts of a body without its codings (RFC 9110, section 8.4).

    Args:
        coding: the header `content-encoding`; "" if there was none.
        body: the body as received.

    Raises:
        httpx.DecodingError: during iteration, if the body is damaged or the coding is unknown.
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
    padded, size = False, 0
    try:
        for part in parts:
            rest, given = part.lstrip(b"\0") if padded and inflater is None else part, b""
            if not rest:
                yield rest  # for the caller to look at the clock: there may be gigabytes of padding
            while rest or len(given) == _PIECE:  # the allowed maximum: the same input may yield more
                inflater = inflater or zlib.decompressobj(wbits or _deflate(rest))
                given = inflater.decompress(rest, _PIECE)
                size += len(given)
                if size > LARGEST_ANSWER:
                    raise httpx.DecodingError("the answer is larger than 64 MiB")
                yield given
                rest = inflater.unconsumed_tail
                if inflater.eof:
                    # Gzipped data may be followed by more gzipped data, or by padding.
                    rest, given = inflater.unused_data.lstrip(b"\0"), b""
                    inflater, padded = None, True
        if inflater is not None:
            raise httpx.DecodingError("it ends in the middle of its compressed data")
    except zlib.error as error:
        raise httpx.DecodingError(f"its compressed data is damaged: {error}") from None


def _deflate(start: bytes) -> int:
    """The format of `deflate`: zlib's, as it should be, or raw; the first two bytes show which."""
    is_zlib = len(start) > 1 and start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return _ZLIB if is_zlib else _RAW
