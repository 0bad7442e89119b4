"""Content codings are undone exactly, in small steps, or refused."""

import gzip
import zlib
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox.sending.decoding import decoded


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
}
bodies = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda piece, times: piece * times, st.binary(max_size=5), st.integers(0, 30_000)),
    st.builds(lambda size: b"x" * size, st.sampled_from([16_383, 16_384, 16_385, 32_768, 65_536, 100_000])),
)


@given(bodies, st.lists(st.sampled_from(list(CODINGS)), max_size=3))
def test_any_body_comes_back(body: bytes, names: list[str]) -> None:
    encoded = body
    for name in names:
        encoded = CODINGS[name](encoded)
    parts = list(decoded(", ".join(names).upper(), encoded))
    assert b"".join(parts) == body
    assert max(map(len, parts), default=0) <= 16_384


@given(st.lists(bodies, min_size=1, max_size=4), st.integers(0, 3))
def test_several_members_and_padding(members: list[bytes], padding: int) -> None:
    encoded = b"".join(map(gzip.compress, members)) + b"\0" * padding
    assert b"".join(decoded("gzip", encoded)) == b"".join(members)


@given(bodies)
def test_raw_deflate(body: bytes) -> None:
    assert b"".join(decoded("deflate", raw_deflate(body))) == body


@given(bodies, st.data())
def test_what_is_cut_is_refused(body: bytes, data: st.DataObject) -> None:
    encoded = gzip.compress(body)
    place = data.draw(st.integers(1, len(encoded) - 1))
    with pytest.raises(httpx.DecodingError):
        list(decoded("gzip", encoded[:place]))


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "deflate, gzip"]))
def test_nonsense_is_decoded_or_refused(body: bytes, coding: str) -> None:
    try:
        list(decoded(coding, body))
    except httpx.DecodingError as error:
        assert str(error)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br", "x" * 5000])
def test_codings_that_nobody_asked_for(coding: str) -> None:
    with pytest.raises(httpx.DecodingError, match="not requested"):
        list(decoded(coding, b"x"))
