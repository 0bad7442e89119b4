"""What a server says is shown without the key, in one short line, and in a bounded time."""

import html
import pickle
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from databox import APIError
from databox.api import operations
from databox.api.operations import Operation
from databox.secret import Secret
from databox.sending.redaction import LONGEST, Redactor
from databox.sending.verdict import Response, read

KEY = "k3y+with&signs<9876543210"
REDACTOR = Redactor(Secret(KEY))
OPERATIONS: list[Operation[object]] = [
    operations.accounts_list(),
    operations.auth_validate_key(),
    operations.datasets_delete("d"),
    operations.datasets_create_ingestion("d", b"{}", repeatable=True),
    operations.datasets_list_ingestions("d", page=1, page_size=None),
    operations.datasets_get_ingestion("d", "i"),
    operations.raw("GET", "/v1/x", params=None, json=None),
]
PIECES = [
    *[
        "<",
        ">",
        "</",
        "<script",
        "</script>",
        "<style>",
        "<!--",
        "-->",
        "&",
        "&#",
        "&#x",
        "9",
        "0",
        "9" * 4400,
        ";",
        "x",
    ],
    *[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        "\\",
        "null",
        "1e400",
        '"errors"',
        '"code"',
        '"message"',
        '"requestId"',
        '"id"',
    ],
    *['"status"', '"error"', '"accounts"', '"ingestions"', '"ingestionId"', '"timestamp":"2020-01-01T00:00:00+99:99"'],
    *[
        "[" * 600,
        "]" * 600,
        '{"a":' * 300,
        "}" * 300,
        "\\ud800",
        "\\u0000",
        "\0",
        "\x1b",
        "\u200b",
        "\u2028",
        "\xa0",
        " " * 300,
    ],
    *[KEY, KEY[:12], html.escape(KEY), quote(KEY, safe=""), "".join(f"&#{ord(letter)};" for letter in KEY)],
]
NASTY = st.lists(
    st.sampled_from([piece.encode() for piece in PIECES] + [b"\xff", b"\xed\xa0\x80", KEY.encode("utf-16")])
    | st.binary(max_size=20)
).map(b"".join)


@given(body=NASTY | st.binary(), status=st.integers(100, 999), operation=st.sampled_from(OPERATIONS))
@example(body=b"<html>&#" + b"9" * 4400, status=503, operation=OPERATIONS[3])
@example(body=b'{"errors":' + b"[" * 1000 + b"]" * 1000 + b"}", status=503, operation=OPERATIONS[3])
def test_every_answer_ends_in_a_result_or_an_error_of_ours(
    body: bytes, status: int, operation: Operation[object]
) -> None:
    headers = {"x-request-id": body.decode("latin-1")}
    try:
        read(operation, Response(status, headers, body), REDACTOR)
    except APIError as error:
        message = str(error)
        assert KEY not in repr((message, vars(error)))
        assert message.isprintable()
        assert len(message) < 3000
        assert str(pickle.loads(pickle.dumps(error))) == message


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_a_line_is_short_printable_and_without_the_key(words: str) -> None:
    for line in (REDACTOR.line(words), REDACTOR.excerpt(words.encode("utf-8", "replace"))):
        assert line.isprintable()
        assert len(line) <= LONGEST + 1
        assert KEY not in line


@given(st.text(st.characters(exclude_characters="<&", exclude_categories=["C", "Z"]), max_size=LONGEST))
def test_plain_words_are_left_alone(words: str) -> None:
    assert Redactor(Secret("k" * 400)).excerpt(words.encode()) == words


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a",
        "<a ",
        "<script",
        "<script>",
        "<style></styl",
        "<script></script ",
        "<!--",
        "<!-->",
        "&",
        "&#",
        "&#0",
        "&#x",
    ],
)
def test_the_time_grows_with_the_length_and_no_faster(monkeypatch: pytest.MonkeyPatch, piece: str) -> None:
    """At this length, anything quadratic takes minutes and times out; anything linear takes no time."""
    monkeypatch.setattr("databox.sending.redaction.LOOKED_AT", 500_000)
    assert len(REDACTOR.excerpt(b"<p>" + piece.encode() * (500_000 // len(piece)))) <= LONGEST + 1
