"""What the sandbox accepted can be shown: the log, the faults and the world stay readable, whatever they contain."""

import json
import logging
import math
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databox.sandbox import Fault, Sandbox
from tests.outside import TEXT
from tests.sandbox.http import ask, client, dataset_in, get
from tests.sandbox.test_hostile import spoken

JSON = {"content-type": "application/json"}
BODIES = {
    "a NaN": b'{"records": [{"id": NaN}]}',
    "an infinity": b"[Infinity, -Infinity]",
    "too large a number": b'{"id": 1e999}',
    "too large a whole number": b"[1" + b"0" * 400 + b"]",
    "digits": b"9" * 5000,
    "half a pair": b'{"id": "\\ud800"}',
    "half a pair as a name": b'{"\\udfff": 1}',
    "half a pair in bytes": b'"\xed\xa0\x80"',
    "no UTF-8": b"\xff\xfe\x00{",
    "UTF-16": '{"id": 1}'.encode("utf-16"),
    "a mark": b'\xef\xbb\xbf{"id": 1}',
    "controls": json.dumps(TEXT).encode(),
    "raw controls": TEXT.encode(),
    "deep": b"[" * 5000 + b"]" * 5000,
    "deeper": b'{"a":' * 100_000,
    "a little deep": b"[" * 70 + b"]" * 70,
    "nothing much": b"\0",
}


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """None of this may be a bug of the sandbox's."""
    yield
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def strict(answer: Any, status: int = 200) -> Any:
    """What a parser makes of an answer that takes no NaN, no half pair, and no number that is none."""
    assert answer.status_code == status, answer.text
    json.loads(answer.content.decode(), parse_constant=lambda name: pytest.fail(name))
    return orjson.loads(answer.content)


def all_is_readable(box: Sandbox) -> list[dict[str, Any]]:
    for path in ("overview", "state", "faults", "clock", "requests?bodies=false"):
        strict(get(box, f"/_sandbox/{path}"))
    found: list[dict[str, Any]] = strict(get(box, "/_sandbox/requests"))["requests"]
    return found


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/v1/data-sources", "/v1/nothing", "/v1/datasets/d/data"])
def test_after_any_body(box: Sandbox, path: str, body: bytes) -> None:
    ask(box, "POST", path, headers=JSON, content=body)
    (request, *_) = [one for one in all_is_readable(box) if one["path"] == path]
    assert request["bytes"] == len(body)
    assert request["body"] is not None


def test_a_body_that_is_json_is_shown_as_it_is(box: Sandbox) -> None:
    sent = {"a": [1, 2.5, None, True, "é 🙂 \0 \u2028", {"": 2**53}]}
    ask(box, "POST", "/v1/nothing", json=sent)
    assert all_is_readable(box)[0]["body"] == sent


def test_one_that_is_not_is_shown_as_text_and_no_byte_is_lost(box: Sandbox) -> None:
    ask(box, "POST", "/v1/nothing", headers=JSON, content=b'{"id": NaN, "b": "\xff\xc3\xa9"}')
    assert all_is_readable(box)[0]["body"] == '{"id": NaN, "b": "\\xff\u00e9"}'


@pytest.mark.parametrize(
    "path",
    [
        "/v1/%ff%00%ed%a0%80",
        "/v1/x?a=%ff&%ed%a0%80=%00&a=2",
        "/v1/\udcff",
        "/v1/" + "x" * 50_000,
        "/v1/%",
        "/v1/a?" + "b=&" * 9000,
    ],
    ids=range(6),
)
def test_after_any_path(box: Sandbox, path: str) -> None:
    raw = path.encode("utf-8", "surrogateescape")
    spoken(box, b"GET " + raw + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    all_is_readable(box)


HOSTS = [
    b"[::1",
    b"[",
    b"]",
    b"[::1]:x",
    b"[::ffff:7f00:1]",
    b"127.0.0.1:99999999",
    b"\xe2\x84\x80",
    b"\xff",
    b"a@b",
    b"//",
    b"",
]


@pytest.mark.slow
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", [b"/_sandbox/overview", b"/v1/accounts", b"/_sandbox/rows/%ff%00%ed%a0%80"])
def test_after_any_host(box: Sandbox, host: bytes, path: bytes) -> None:
    for header in (b"Host: " + host, b"Host: 127.0.0.1\r\nOrigin: http://" + host):
        answer = spoken(box, b"GET " + path + b" HTTP/1.1\r\n" + header + b"\r\nConnection: close\r\n\r\n")
        assert answer.split(b" ", 2)[1] in (b"200", b"400", b"401", b"403", b"404")
        all_is_readable(box)


def test_after_any_header(box: Sandbox) -> None:
    odd = b"X-A: \x80\x9b2J\xff\r\nX-A: again\r\nX-B:\r\nUser-Agent: \x1b[2J\r\n"
    spoken(box, b"GET /v1/accounts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + odd + b"\r\n")
    assert all_is_readable(box)[0]["headers"]["x-a"] in ("\x80\x9b2J\xff", "again")


FAULTS: list[dict[str, Any]] = [
    {"body": {"x": math.nan}},
    {"body": [math.inf, -math.inf]},
    {"body": {"x": "\ud800", "\udfff": 1}},
    {"body": "\ud800"},
    {"body": TEXT},
    {"body": b"\xff\0"},
    {"body": 10**400},
    {"body": [10**400]},
    {"body": object()},
    {"body": json.loads("[" * 200 + "]" * 200)},
    {"headers": {"x-odd": "\x80\x9b2J\xff"}},
    {"status": 400, "when": {"column": "\ud800", "value": math.nan}},
    {"status": 400, "when": {"column": TEXT, "value": [object]}},
    {"status": 400, "when": lambda record: True},
]


@pytest.mark.parametrize("fault", FAULTS, ids=range(len(FAULTS)))
def test_after_any_fault(box: Sandbox, fault: dict[str, Any]) -> None:
    dataset = dataset_in(box)
    box.inject(Fault("*", **fault))
    (listed,) = strict(get(box, "/_sandbox/faults"))["faults"]
    assert "object at" not in json.dumps(listed["when"])
    with client(box) as http:
        assert http.post(f"/v1/datasets/{dataset}/data", json={"records": [{"id": 1}]}).content
    all_is_readable(box)


CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"body": {"x": object()}}, "body"),
        ({"body": CIRCULAR}, "body"),
        ({"body": [{1, 2}]}, "body"),
        ({"headers": ["x"]}, "headers"),
        ({"headers": {"x": 1}}, "headers"),
        ({"headers": {"x y": "a"}}, "headers"),
        ({"headers": {"": "a"}}, "headers"),
        ({"headers": {"x": "a\r\nb: c"}}, "headers"),
        ({"headers": {"x": "\u20ac"}}, "headers"),
        ({"headers": {"x": " a "}}, "headers"),
        ({"headers": {"x": "\ud800"}}, "headers"),
    ],
)
def test_a_fault_that_could_not_be_answered_is_refused(fault: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Fault("*", **fault)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "sent",
    [
        b'{"operation": "*", "body": {"x": NaN}}',
        b'{"operation": "*", "body": "\\ud800"}',
        b'{"operation": "\\ud800"}',
        b'{"\\ud800": 1, "operation": "*"}',
        b'{"operation": "*", "headers": 5}',
        b'{"operation": ["*"]}',
        b'{"operation": "*", "when": {"column": "a", "value": "\\ud800"}}',
        b'{"operation": "*", "delay": 1e999}',
        b'{"operation": "*", "status": "\\ud800"}',
        b'{"operation": "*", "body": ' + b"[" * 500 + b"]" * 500 + b"}",
        b"[" * 100_000,
        b"\xff",
    ],
)
@pytest.mark.parametrize("path", ["faults", "seed", "clock", "state"])
def test_after_anything_that_the_administration_is_asked(box: Sandbox, path: str, sent: bytes) -> None:
    method = "POST" if path in ("faults", "clock") else "PUT"
    answer = ask(box, method, f"/_sandbox/{path}", headers=JSON, content=sent)
    assert answer.status_code in (200, 201, 400)
    strict(answer, answer.status_code)
    all_is_readable(box)


@pytest.mark.parametrize("odd", [math.nan, math.inf, "\ud800", 10**400, object()])
@pytest.mark.parametrize(
    "dataset",
    [
        lambda odd: {"title": odd},
        lambda odd: {"title": "D", "created": odd},
        lambda odd: {"title": "D", "primaryKeys": [odd]},
        lambda odd: {"title": "D", "rows": [{"id": 1, "a": odd}]},
        lambda odd: {"title": "D", "rows": [{f"{odd}\ud800": 1}]},
        lambda odd: {"title": "D", "ingestions": [{"outcome": {"x": odd}}]},
        lambda odd: {"title": "D", "ingestions": [{"records": [{"a": odd}]}]},
    ],
    ids=range(7),
)
def test_a_world_that_could_not_be_shown_is_not_imported(box: Sandbox, dataset: Any, odd: Any) -> None:
    before = box.export_state()
    with pytest.raises(ValueError, match="cannot be imported") as caught:
        box.import_state({"dataSources": [{"title": "S", "datasets": [dataset(odd)]}]})
    assert str(caught.value).isprintable()
    assert box.export_state() == before
    all_is_readable(box)


@pytest.mark.parametrize(
    "outcome",
    [
        {"metrics": [None]},
        {"metrics": "x"},
        {"metrics": {"ingestionMetrics": [1]}},
        {"metrics": {"ingestionMetrics": {"receivedRecordsCount": "x"}}},
        {"errors": {"a": 1}},
        {"errors": ["x"]},
    ],
    ids=range(6),
)
def test_an_outcome_that_could_not_be_shown_is_not_imported(box: Sandbox, outcome: Any) -> None:
    dataset = {"title": "D", "ingestions": [{"ingestionId": "i", "outcome": outcome}]}
    answer = ask(box, "PUT", "/_sandbox/state", json={"dataSources": [{"title": "S", "datasets": [dataset]}]})
    assert answer.status_code == 400
    assert "of ingestions[0] of datasets[0] of dataSources[0] of the document" in answer.json()["error"]
    assert box.export_state()["dataSources"] == []
    all_is_readable(box)


@pytest.mark.parametrize("outcome", [{}, {"metrics": {}}, {"metrics": {"ingestionMetrics": {}}, "errors": []}])
def test_an_outcome_without_counts_has_none(box: Sandbox, outcome: Any) -> None:
    dataset = {"id": "d", "title": "D", "ingestions": [{"ingestionId": "i", "outcome": outcome}]}
    box.import_state({"dataSources": [{"title": "S", "datasets": [dataset]}]})
    counts = strict(get(box, "/v1/datasets/d/ingestions/i"))["metrics"]["ingestionMetrics"]
    assert set(counts.values()) == {0}
    all_is_readable(box)


@pytest.mark.parametrize("odd", ["", True, [], {}])
def test_a_time_that_is_no_number_is_not_imported(box: Sandbox, odd: Any) -> None:
    dataset = {"title": "D", "ingestions": [{"records": [{"id": 1}], "readyAt": odd}]}
    answer = ask(box, "PUT", "/_sandbox/state", json={"dataSources": [{"title": "S", "datasets": [dataset]}]})
    assert (answer.status_code, "readyAt must be of type int | float" in answer.text) == (400, True)


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**63, 10**300])
def test_an_id_that_no_client_could_ask_for_is_not_imported(box: Sandbox, number: int) -> None:
    answer = ask(box, "PUT", "/_sandbox/state", json={"dataSources": [{"id": number, "title": "S"}]})
    assert (answer.status_code, "id must be from 1 to" in answer.text) == (400, True)
    all_is_readable(box)


def test_a_world_with_deep_records_that_wait_is_exported_and_comes_back() -> None:
    deep = json.loads("[" * 60 + "]" * 60)
    with Sandbox(processing_delay=math.inf) as box:
        dataset = dataset_in(box)
        assert ask(box, "POST", f"/v1/datasets/{dataset}/data", json={"records": [{"a": deep}]}).status_code == 200
        before = strict(get(box, "/_sandbox/state"))
        assert ask(box, "PUT", "/_sandbox/state", json=before).status_code == 200
        assert box.export_state() == before


def test_the_clock_does_not_leave_the_calendar() -> None:
    with Sandbox() as box:
        for _ in range(251):
            box.advance(1e9)
        with pytest.raises(ValueError, match="9999"):
            box.advance(1e9)
        all_is_readable(box)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"\xff"]))
def test_after_any_bytes(box: Sandbox, sent: bytes, method: bytes) -> None:
    spoken(
        box, method + b" /" + sent + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + sent + b"\r\nConnection: close\r\n\r\n"
    )
    ask(box, "POST", "/v1/data-sources", headers=JSON, content=sent)
    all_is_readable(box)
