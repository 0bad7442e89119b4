"""Answers that the reference does not describe: the documented error, never a bare KeyError or JSONDecodeError."""

import gzip
import pickle
import sys
import time
from typing import Any

import attrs
import pytest

from databox import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ServerError,
)
from tests.drive import Driver
from tests.ports import Port
from tests.scripted import ScriptedServer, Step, answer, drip, drop, head, reset, silence, wire

EVERY_CONNECTION = True

JSON = {"content-type": "application/json"}
HTML = "<html><head><style>b{}</style><title>Oops</title></head><body><h1>502 Bad&nbsp;Gateway</h1></body></html>"
OK = {"requestId": "r-1", "status": "success"}


def refused(status: int, code: str | None, **more: Any) -> Step:
    """Answer with the documented error envelope."""
    entry = {"code": code, "message": "No.", "field": "datasetId", "type": "validation"} | more
    return answer(status, {"requestId": "r-9", "status": "error", "errors": [entry]})


def page(text: str, *, encoding: str = "utf-8", charset: str = "utf-8") -> Step:
    """Answer 503 with an HTML page."""
    return answer(503, f"<html>{text}".encode(encoding), {"content-type": f"text/html; charset={charset}"})


@attrs.frozen
class Hostile:
    """An answer to GET /v1/accounts, the error that it must raise, and texts in its message."""

    name: str
    step: Step
    error: type[APIError]
    words: str = ""
    status: int | None = None
    code: str | None = None


CASES = [
    # Statuses with the envelope
    Hostile("400", refused(400, "invalid_input"), BadRequestError, "No.", 400, "invalid_input"),
    Hostile("401", refused(401, "invalid_api_key"), AuthenticationError, "Check the key", 401, "invalid_api_key"),
    Hostile("403", refused(403, "forbidden"), PermissionDeniedError, "r-9", 403, "forbidden"),
    Hostile("404", refused(404, "not_found"), NotFoundError, "Check the id", 404, "not_found"),
    Hostile("405", refused(405, "method_not_allowed"), APIStatusError, "", 405, "method_not_allowed"),
    Hostile("409", refused(409, "duplicate_record"), ConflictError, "", 409, "duplicate_record"),
    Hostile("413", refused(413, "request_too_large"), RequestTooLargeError, "lower the batch size", 413),
    Hostile("415", refused(415, "unsupported_media_type"), APIStatusError, "", 415),
    Hostile("429", refused(429, "rate_limited"), RateLimitError, "10 requests a second", 429),
    Hostile("500", refused(500, "internal_error"), ServerError, "", 500, "internal_error"),
    Hostile("503", refused(503, "service_unavailable"), ServerError, "", 503),
    Hostile("the status decides, not the code", refused(400, "not_found"), BadRequestError, "", 400, "not_found"),
    Hostile("new code", refused(422, "brand_new"), APIStatusError, "brand_new", 422, "brand_new"),
    Hostile("code null", refused(400, None), BadRequestError, "No.", 400),
    # Statuses without it
    Hostile("HTML 502", answer(502, HTML, {"content-type": "text/html"}), ServerError, "502 Bad Gateway", 502),
    Hostile("empty 500", answer(500), ServerError, "without an explanation", 500),
    Hostile("status 520", answer(520, "origin error"), ServerError, "origin error", 520),
    Hostile("status 599", answer(599), ServerError, "", 599),
    Hostile("status 418", answer(418, "teapot"), APIStatusError, "teapot", 418),
    Hostile("HTML 404", answer(404, HTML, {"content-type": "text/html"}), NotFoundError, "Check the base URL too", 404),
    Hostile("bare 413", answer(413, ""), RequestTooLargeError, "", 413),
    Hostile("bare 429", answer(429, "slow down"), RateLimitError, "slow down", 429),
    Hostile("JSON list as error", answer(400, ["no"]), BadRequestError, "", 400),
    Hostile("JSON string as error", answer(401, '"Unauthorized"'), AuthenticationError, "Unauthorized", 401),
    Hostile("errors is null", answer(400, {"errors": None}), BadRequestError, "", 400),
    Hostile("errors is text", answer(400, {"errors": "bad"}), BadRequestError, "bad", 400),
    Hostile("errors holds nulls", answer(400, {"errors": [None, "bad", 7]}), BadRequestError, "bad", 400),
    Hostile("errors of odd types", answer(400, {"errors": [{"code": 7, "message": ["x"]}]}), BadRequestError, "7", 400),
    Hostile(
        "ASP.NET problem",
        answer(400, {"title": "Invalid", "status": 400, "errors": {"title": ["is required"]}}),
        BadRequestError,
        "is required [field title]",
        400,
    ),
    Hostile("problem without errors", answer(400, {"title": "Invalid model"}), BadRequestError, "Invalid model", 400),
    Hostile("error body cut off", wire(head(400, JSON | {"content-length": "90"}), close=True), BadRequestError),
    Hostile("error body not UTF-8", answer(500, b"\xff\xfe\x00"), ServerError, "", 500),
    # Error pages that are hard to read
    Hostile("reference of 4,400 digits", page(f"&#{'9' * 4400};Busy"), ServerError, ": �Busy.", 503),
    Hostile("reference of 4,400 hexadecimal digits", page(f"&#x{'f' * 4400} Busy"), ServerError, "� Busy", 503),
    Hostile(
        "reference of 4,400 zeros", page(f"&#{'0' * 4400}66;usy, &#x{'0' * 40}4a;im"), ServerError, "Busy, Jim", 503
    ),
    Hostile("references to what is no character", page("&#0;&#xD800;&#1114112;&#7;Busy"), ServerError, "Busy", 503),
    Hostile("only opening brackets", page("<" * 60_000), ServerError, "", 503),
    Hostile("scripts that never end", page("Busy" + "<script>" * 60_000), ServerError, ": Busy.", 503),
    Hostile("a comment around a tag", page("<!-- <b>no</b> > -->Busy<!-- "), ServerError, ": Busy.", 503),
    Hostile("mark and control characters", page("\x1b[2J\0Bu\u200bsy\u202e"), ServerError, "Busy", 503),
    Hostile("UTF-16", page("Busy", encoding="utf-16"), ServerError, "Busy", 503),
    Hostile("a charset that there is not", page("Busy", charset="utf-\xff; rot13"), ServerError, "Busy", 503),
    Hostile("a page of megabytes", page("Busy " * 1_000_000), ServerError, "Busy Busy", 503),
    Hostile("nested errors", answer(400, b'{"errors":' + b"[" * 1000 + b"]" * 1001), BadRequestError, "…", 400),
    Hostile("nested fields", answer(400, {"errors": {"title": {"is": [True, None]}}}), BadRequestError, "[true,null]"),
    Hostile(
        "a million errors", answer(400, b'{"errors":[%s1]}' % (b"1," * 1_000_000)), BadRequestError, "1; 1; 1", 400
    ),
    Hostile("an endless request id", answer(503, {"requestId": "r\n" * 5000}), ServerError, "(request id r r", 503),
    Hostile("a forged line", answer(503, {"requestId": "r\nERROR all is lost"}), ServerError, "id r ERROR all", 503),
    Hostile("a number beyond all floats", answer(503, b'{"errors": 1e400}'), ServerError, "1e400", 503),
    Hostile("half a surrogate", answer(503, b'{"message": "\\ud800"}'), ServerError, "ud800", 503),
    # Refusals in a 2xx
    Hostile("200 rate_limited", refused(200, "rate_limited"), RateLimitError, "", 200, "rate_limited"),
    Hostile("200 invalid_api_key", refused(200, "invalid_api_key"), AuthenticationError, "", 200),
    Hostile("200 not_found", refused(200, "not_found"), NotFoundError, "", 200),
    Hostile("200 forbidden", refused(200, "forbidden"), PermissionDeniedError, "", 200),
    Hostile("200 internal_error", refused(200, "internal_error"), ServerError, "", 200),
    Hostile("200 processing_failed", refused(200, "processing_failed"), APIStatusError, "", 200, "processing_failed"),
    Hostile("200 error without errors", answer(200, {"status": "error"}), APIStatusError, "", 200),
    Hostile("200 ERROR in capitals", answer(200, {"status": "ERROR"}), APIStatusError, "", 200),
    Hostile("200 errors without status", answer(200, {"errors": [{"code": "not_found"}]}), NotFoundError, "", 200),
    # 2xx that is not what the API promises
    Hostile("200 HTML", answer(200, HTML, {"content-type": "text/html"}), InvalidResponseError, "not JSON", 200),
    Hostile("200 empty", answer(200), InvalidResponseError, "empty", 200),
    Hostile("204", wire(head(204, {})), InvalidResponseError, "empty", 204),
    Hostile("200 truncated JSON", answer(200, '{"accounts": [{"id": 1'), InvalidResponseError, "not JSON", 200),
    Hostile("200 not UTF-8", answer(200, b'{"accounts": "\xff"}'), InvalidResponseError, "not JSON", 200),
    Hostile("200 NaN", answer(200, b'{"accounts": NaN}'), InvalidResponseError, "not JSON", 200),
    Hostile("200 null", answer(200, "null"), InvalidResponseError, "not a JSON object", 200),
    Hostile("200 list", answer(200, "[]"), InvalidResponseError, "not a JSON object", 200),
    Hostile("200 empty object", answer(200, "{}"), InvalidResponseError, "'accounts' is missing", 200),
    Hostile("list is null", answer(200, OK | {"accounts": None}), InvalidResponseError, "r-1", 200),
    Hostile("list is an object", answer(200, OK | {"accounts": {}}), InvalidResponseError, "an object", 200),
    Hostile("item is null", answer(200, OK | {"accounts": [None]}), InvalidResponseError, "accounts[0]", 200),
    Hostile("item is a number", answer(200, OK | {"accounts": [1]}), InvalidResponseError, "a number", 200),
    Hostile("id missing", answer(200, OK | {"accounts": [{"name": "x"}]}), InvalidResponseError, "'id'", 200),
    Hostile("id null", answer(200, OK | {"accounts": [{"id": None}]}), InvalidResponseError, "'id'", 200),
    Hostile("id true", answer(200, OK | {"accounts": [{"id": True}]}), InvalidResponseError, "'id'", 200),
    Hostile("id words", answer(200, OK | {"accounts": [{"id": "abc"}]}), InvalidResponseError, "'id'", 200),
    Hostile(
        "id beyond 64 bits", answer(200, b'{"accounts": [{"id": 123456789012345678901}]}'), InvalidResponseError, "'id'"
    ),
    Hostile("deeply nested", answer(200, b"[" * 5000 + b"]" * 5000), InvalidResponseError, "not readable JSON", 200),
    Hostile("broken gzip", answer(200, b"no", {"content-encoding": "gzip"}), InvalidResponseError, "damaged", 200),
    # Redirects
    Hostile("301", answer(301, "", {"location": "https://example.org/"}), APIStatusError, "Redirects are not", 301),
    Hostile("307", answer(307, "", {"location": "/v1/other"}), APIStatusError, "Check the base URL", 307),
    Hostile("304", wire(head(304, {})), APIStatusError, "", 304),
    # Connections
    Hostile("dropped", drop, APIConnectionError, "may have taken effect"),
    Hostile("reset", reset, APIConnectionError),
    Hostile("not HTTP", wire(b"SSH-2.0-OpenSSH_9\r\n", close=True), APIConnectionError),
    Hostile("head cut off", wire(b"HTTP/1.1 200 OK\r\ncontent-le", close=True), APIConnectionError),
    Hostile("body cut off", wire(head(200, JSON | {"content-length": "9"}) + b"{}", close=True), APIConnectionError),
    Hostile(
        "chunks cut off",
        wire(head(200, JSON | {"transfer-encoding": "chunked"}) + b"5\r\n{", close=True),
        APIConnectionError,
    ),
    Hostile("silence", silence, APITimeoutError, "0.4 seconds"),
    Hostile("slow drip of the head", drip(head(200, JSON), 0.5), APITimeoutError, "0.4 seconds"),
    Hostile(
        "slow drip of the body", drip(head(200, JSON | {"content-length": "9999"}) + b" " * 9999, 0.1), APITimeoutError
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_answer(driver: Driver, server: ScriptedServer, case: Hostile) -> None:
    server.will(case.step)
    client = driver.client(base_url=server.url, timeout=0.4 if case.error is APITimeoutError else 50.0)
    started = time.monotonic()

    with pytest.raises(APIError) as caught:
        client.accounts.list()

    error = caught.value
    assert type(error) is case.error
    assert case.words in str(error)
    assert "GET /v1/accounts" in str(error)
    # Nothing of httpx, whose objects contain the key; the exception being handled here is not the test's.
    assert error.__context__ is sys.exc_info()[1]
    if case.status is not None:
        assert error.status_code == case.status  # type: ignore[attr-defined]
    if case.code is not None:
        assert error.code == case.code  # type: ignore[attr-defined]
    if case.error is APITimeoutError:
        assert time.monotonic() - started < 20
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert {name: value for name, value in vars(again).items() if name != "__notes__"} == vars(error)


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("text", [f"&#{'9' * 4400}", "<" * 60_000, "<script" * 10_000])
def test_an_error_page_does_not_end_an_ingest(
    driver: Driver, server: ScriptedServer, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)
    taken = answer(200, OK | {"ingestionId": "i"})
    server.will(page(text), page(text), taken)
    client = driver.client(base_url=server.url, max_retries=2)
    report = client.datasets.ingest("d", driver.source([{"n": 1}]), verify=None)
    assert (report.rows, report.accepted) == (1, 1)
    assert len(server.requests) == 3


YEAR = 365 * 86_400.0


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("9" * 400, YEAR),
        ("9" * 5000, YEAR),
        ("31536001", YEAR),
        ("Fri, 31 Dec 9999 23:59:59 GMT", YEAR),
        ("Fri, 31 Dec 9999 23:59:59 -2359", YEAR),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2035 99999999999999999999:00:00 GMT", None),
        (f"Mon, 01 Jan 2035 00:00:00 +{'9' * 30}", None),
        (f"Mon, {'9' * 5000} Jan 2035 00:00:00 GMT", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("\xff", None),
    ],
)
def test_absurd_waits(driver: Driver, server: ScriptedServer, written: str, told: float | None) -> None:
    server.will(answer(503, "", {"retry-after": written}))
    with pytest.raises(ServerError) as caught:
        driver.client(base_url=server.url).accounts.list()
    assert caught.value.retry_after == told


@pytest.mark.parametrize(
    ("group", "call", "args", "body"),
    [
        ("auth", "validate_key", (), {}),
        ("datasets", "delete", ("d",), {}),
        ("datasets", "purge", ("d",), []),
        ("data_sources", "create", ("t",), OK | {"title": "t"}),
        ("data_sources", "create", ("t",), OK | {"id": None}),
        ("datasets", "create_ingestion", ("d", [{"a": 1}]), OK),
        ("datasets", "create_ingestion", ("d", [{"a": 1}]), OK | {"ingestionId": ""}),
        ("datasets", "get_ingestion", ("d", "i"), OK | {"metrics": {}}),
        ("datasets", "list_ingestions", ("d",), OK | {"ingestions": [{"status": "success"}]}),
        ("accounts", "list_timezones", (), OK | {"timezones": ["UTC"]}),
    ],
)
def test_what_must_be_there_is_demanded(
    driver: Driver, server: ScriptedServer, group: str, call: str, args: tuple[Any, ...], body: Any
) -> None:
    server.will(answer(200, body))
    with pytest.raises(InvalidResponseError):
        getattr(getattr(driver.client(base_url=server.url), group), call)(*args)


def test_a_failed_ingestion_is_an_outcome(driver: Driver, server: ScriptedServer) -> None:
    errors = [{"code": "processing_failed", "message": "Broken."}]
    server.will(answer(200, {"requestId": "r", "status": "error", "ingestionId": "i", "errors": errors}))

    ingestion = driver.client(base_url=server.url).datasets.get_ingestion("d", "i")

    assert (ingestion.status, ingestion.errors[0].code) == ("error", "processing_failed")


def test_an_outcome_has_all_its_errors_and_a_refusal_the_first(driver: Driver, server: ScriptedServer) -> None:
    """However many errors a refusal has, they must not take minutes; an outcome's say which rows were rejected."""
    errors = [{"code": f"c{number}"} for number in range(20_000)]
    server.will(answer(200, OK | {"ingestionId": "i", "errors": errors}), answer(400, {"errors": errors}))
    datasets = driver.client(base_url=server.url).datasets
    assert [each.code for each in datasets.get_ingestion("d", "i").errors] == [each["code"] for each in errors]
    with pytest.raises(BadRequestError) as caught:
        datasets.get_ingestion("d", "i")
    assert [each.code for each in caught.value.errors] == [each["code"] for each in errors[:10_000]]


@pytest.mark.parametrize("metrics", [None, [], "none", {"ingestionMetrics": None}, {"ingestionMetrics": [1]}])
def test_odd_metrics_are_unknown(driver: Driver, server: ScriptedServer, metrics: Any) -> None:
    server.will(answer(200, OK | {"ingestionId": "i", "metrics": metrics}))
    ingestion = driver.client(base_url=server.url).datasets.get_ingestion("d", "i")
    assert (ingestion.received, ingestion.dataset_metrics) == (None, None)


def test_no_content_is_good_enough_for_a_delete(driver: Driver, server: ScriptedServer) -> None:
    server.will(wire(head(204, {})))
    driver.client(base_url=server.url).datasets.delete("d")


def test_compressed_answers_are_read(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(200, gzip.compress(b'{"accounts": []}'), {"content-encoding": "gzip"}))
    assert driver.client(base_url=server.url).accounts.list().items == ()


def test_a_byte_order_mark_is_passed_over(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(200, b'\xef\xbb\xbf{"accounts": []}'))
    assert driver.client(base_url=server.url).accounts.list().items == ()


def test_nobody_listens(driver: Driver, closed_port: Port) -> None:
    with pytest.raises(APIConnectionError, match="Nothing was sent") as caught:
        driver.client(base_url=closed_port.url).accounts.list()
    assert caught.value.request_sent is False


def test_no_such_host(driver: Driver) -> None:
    with pytest.raises(APIConnectionError) as caught:
        driver.client(base_url="https://nowhere.invalid").accounts.list()
    assert caught.value.request_sent is False


def test_a_timeout_is_a_timeout_error(driver: Driver, server: ScriptedServer) -> None:
    server.will(silence)
    with pytest.raises(TimeoutError):
        driver.client(base_url=server.url, timeout=0.1).accounts.list()
