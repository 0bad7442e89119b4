"""Attempts, time-outs, ambiguity, limits and closing, over real HTTP."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from databox import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    InvalidResponseError,
    NotFoundError,
    RateLimit,
    RateLimitError,
    ServerError,
)
from databox.limit.rate import RequestLog
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.ports import Port
from tests.scripted import ScriptedServer, Step, answer, drip, drop, head, silence

EVERY_CONNECTION = True

OK = answer(200, {"requestId": "r", "status": "success", "accounts": [], "id": 1, "ingestionId": "i"})

SURELY_WITHOUT_EFFECT = [answer(408), answer(429), answer(503), answer(200, {"errors": [{"code": "rate_limited"}]})]
OPEN = [drop, answer(500), answer(502), answer(504), answer(520)]
REFUSED = [answer(400), answer(401), answer(403), answer(404), answer(409), answer(413), answer(307)]

GET: Callable[[Any], Any] = lambda client: client.accounts.list()
DELETE: Callable[[Any], Any] = lambda client: client.datasets.delete("d")
DELETE_SOURCE: Callable[[Any], Any] = lambda client: client.data_sources.delete(1)
DELETE_ANYTHING: Callable[[Any], Any] = lambda client: client.request("DELETE", "/v1/x")
PURGE: Callable[[Any], Any] = lambda client: client.datasets.purge("d")
CREATE_SOURCE: Callable[[Any], Any] = lambda client: client.data_sources.create("t")
CREATE_SET: Callable[[Any], Any] = lambda client: client.datasets.create("t", data_source=1)
CREATE_INGESTION: Callable[[Any], Any] = lambda client: client.datasets.create_ingestion("d", [{"a": 1}])
POST: Callable[[Any], Any] = lambda client: client.request("POST", "/v1/x")
PUT: Callable[[Any], Any] = lambda client: client.request("PUT", "/v1/x")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are tested as decisions elsewhere; here they only cost time."""
    monkeypatch.setattr("databox.sending.retry.FIRST_WAIT", 0.001)


@pytest.mark.parametrize("failure", SURELY_WITHOUT_EFFECT)
@pytest.mark.parametrize("call", [GET, DELETE, PURGE, CREATE_SOURCE, CREATE_SET, CREATE_INGESTION, POST])
def test_what_took_no_effect_is_sent_again(
    driver: Driver, server: ScriptedServer, call: Callable[[Any], Any], failure: Step
) -> None:
    server.will(failure, failure, OK)
    call(driver.client(base_url=server.url, max_retries=2))
    assert len(server.requests) == 3
    assert len({(request.target, request.body) for request in server.requests}) == 1


@pytest.mark.parametrize("failure", OPEN)
@pytest.mark.parametrize("call", [GET, DELETE, PURGE, PUT])
def test_a_lost_answer_is_asked_for_again_where_that_is_harmless(
    driver: Driver, server: ScriptedServer, call: Callable[[Any], Any], failure: Step
) -> None:
    server.will(failure, OK)
    call(driver.client(base_url=server.url, max_retries=4))
    assert len(server.requests) == 2


@pytest.mark.parametrize("failure", OPEN)
@pytest.mark.parametrize("call", [CREATE_SOURCE, CREATE_SET, CREATE_INGESTION, POST])
def test_a_create_is_never_sent_twice(
    driver: Driver, server: ScriptedServer, call: Callable[[Any], Any], failure: Step
) -> None:
    server.will(failure, OK)
    with pytest.raises(APIError):
        call(driver.client(base_url=server.url, max_retries=4))
    assert len(server.requests) == 1


@pytest.mark.parametrize("failure", REFUSED)
@pytest.mark.parametrize("call", [GET, DELETE, CREATE_SET])
def test_a_refusal_is_final(driver: Driver, server: ScriptedServer, call: Callable[[Any], Any], failure: Step) -> None:
    server.will(failure, OK)
    with pytest.raises(APIStatusError):
        call(driver.client(base_url=server.url, max_retries=4))
    assert len(server.requests) == 1


def test_an_unreadable_success_is_not_asked_for_again(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(200, "<html>"), OK)
    with pytest.raises(InvalidResponseError):
        driver.client(base_url=server.url, max_retries=4).accounts.list()
    assert len(server.requests) == 1


@pytest.mark.parametrize(("retries", "requests"), [(0, 1), (1, 2), (3, 4)])
def test_attempts_are_counted(driver: Driver, server: ScriptedServer, retries: int, requests: int) -> None:
    server.will(answer(503))
    with pytest.raises(ServerError) as caught:
        driver.client(base_url=server.url, max_retries=retries).accounts.list()
    assert len(server.requests) == requests
    assert getattr(caught.value, "__notes__", []) == ([f"This was attempt {requests}."] if retries else [])


def test_a_refused_connection_is_tried_again(driver: Driver, closed_port: Port) -> None:
    with pytest.raises(APIConnectionError) as caught:
        driver.client(base_url=closed_port.url, max_retries=2).data_sources.create("t")
    assert caught.value.__notes__ == ["This was attempt 3."]


@pytest.mark.parametrize("before", [[], [answer(503)]])
@pytest.mark.parametrize("after", [[], [answer(429)]])
@pytest.mark.parametrize("open_", [*OPEN, answer(200, {"status": "error", "errors": [{"code": "internal_error"}]})])
def test_a_delete_that_may_have_taken_effect_and_then_finds_nothing_has_succeeded(
    driver: Driver, server: ScriptedServer, before: list[Step], open_: Step, after: list[Step]
) -> None:
    server.will(*before, open_, *after, answer(404))
    driver.client(base_url=server.url, max_retries=4).datasets.delete("d")
    assert len(server.requests) == len([*before, open_, *after]) + 1


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("refusal", SURELY_WITHOUT_EFFECT)
@pytest.mark.parametrize("delete", [DELETE, DELETE_SOURCE, DELETE_ANYTHING])
def test_a_delete_that_was_refused_and_then_finds_nothing_has_not(
    driver: Driver, server: ScriptedServer, delete: Callable[[Any], Any], refusal: Step, times: int
) -> None:
    """Nothing was deleted, because the id is mistyped."""
    server.will(*[refusal] * times, answer(404))
    with pytest.raises(NotFoundError):
        delete(driver.client(base_url=server.url, max_retries=4))
    assert len(server.requests) == times + 1


def test_a_first_delete_that_finds_nothing_has_not(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(404))
    with pytest.raises(NotFoundError):
        driver.client(base_url=server.url, max_retries=1).datasets.delete("d")


@pytest.mark.parametrize("status", [429, 503])
def test_a_mistyped_id_is_told_also_while_the_service_is_busy(driver: Driver, box: Sandbox, status: int) -> None:
    client = driver.client(box.api_key, box.url, max_retries=2)
    box.inject(Fault("data_sources.delete", status=status, times=1))
    with pytest.raises(NotFoundError):
        client.data_sources.delete(4711)
    assert [request.status for request in box.requests] == [status, 404]


def test_a_dropped_delete_in_the_sandbox(driver: Driver, box: Sandbox) -> None:
    client = driver.client(box.api_key, box.url, max_retries=2)
    source = client.data_sources.create("t")
    box.inject(Fault("data_sources.delete", drop="after", times=1))
    client.data_sources.delete(source)
    assert [request.status for request in box.requests] == [200, None, 404]


def test_retry_after_is_kept_to(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(429, "", {"retry-after": "0.4"}), OK)
    started = time.monotonic()
    driver.client(base_url=server.url, max_retries=1).accounts.list()
    assert time.monotonic() - started >= 0.4


def test_retry_after_is_told(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(429, "", {"retry-after": "77"}))
    with pytest.raises(RateLimitError) as caught:
        driver.client(base_url=server.url).accounts.list()
    assert caught.value.retry_after == 77


# Time


def test_the_timeout_is_for_the_attempt_as_a_whole(driver: Driver, server: ScriptedServer) -> None:
    server.will(drip(head(200, {"content-length": "2000"}) + b" " * 2000, 0.02))
    started = time.monotonic()
    with pytest.raises(APITimeoutError) as caught:
        driver.client(base_url=server.url, timeout=0.5).accounts.list()
    assert 0.4 < time.monotonic() - started < 20  # the complete answer would take 40
    assert caught.value.request_sent is True


def test_each_attempt_has_its_own_time(driver: Driver, server: ScriptedServer) -> None:
    server.will(silence, silence, OK)
    # On a busy machine even a prompt answer may take longer than that, and more attempts are needed.
    driver.client(base_url=server.url, timeout=1.0, max_retries=20).accounts.list()
    assert len(server.requests) >= 3


def test_a_slow_answer_within_the_time_is_fine(driver: Driver, box: Sandbox) -> None:
    box.inject(Fault("accounts.list", delay=0.3))
    assert driver.client(box.api_key, box.url, timeout=50.0).accounts.list().items


def test_options_of_a_copy(driver: Driver, server: ScriptedServer) -> None:
    client = driver.client(base_url=server.url)
    hasty = client.with_options(timeout=2.0, max_retries=1)
    server.will(answer(503, ""), silence, OK)
    with pytest.raises(APITimeoutError):
        hasty.accounts.list()
    assert len(server.requests) == 2
    hasty.close()
    client.accounts.list()  # the copy may not close connections that are not its own


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": 0}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": float("inf")}, ValueError),
        ({"timeout": 1e10}, ValueError),
        ({"timeout": "30"}, TypeError),
        ({"max_retries": -1}, ValueError),
        ({"max_retries": 1.5}, TypeError),
        ({"max_retries": True}, TypeError),
        ({"rate_limit": 10}, TypeError),
        ({"http_client": object()}, TypeError),
    ],
)
def test_bad_options_are_refused(driver: Driver, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        driver.client(**options)


# Limits


def test_all_clients_of_a_key_share_its_limit(driver: Driver, box: Sandbox, departures: list[float]) -> None:
    limit = RateLimit(per_second=5, per_hour=1000)
    clients = [driver.client(box.api_key, box.url, rate_limit=limit) for _ in range(3)]
    for place in range(12):
        clients[place % 3].accounts.list()
    assert len(departures) == 12
    assert all(later - earlier > 1.0 for earlier, later in zip(departures, departures[5:], strict=False))


def test_another_key_has_its_own(driver: Driver, server: ScriptedServer) -> None:
    server.will(OK)
    for key in ("key-one-of-many", "key-two-of-many"):
        client = driver.client(key, server.url, rate_limit=RateLimit(per_second=4, per_hour=4))
        for _ in range(4):
            client.accounts.list()
    assert len(server.requests) == 8


def test_the_documented_limit_is_kept(driver: Driver, box: Sandbox, departures: list[float]) -> None:
    client = driver.client(box.api_key, box.url, rate_limit=RateLimit())
    for _ in range(25):
        client.accounts.list()
    assert len(departures) == 25
    assert all(later - earlier > 1.0 for earlier, later in zip(departures, departures[10:], strict=False))


def test_one_429_slows_down_everybody(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    paused, pause = threading.Event(), RequestLog.pause

    def noted(log: RequestLog, now: float, seconds: float) -> None:
        pause(log, now, seconds)
        paused.set()

    monkeypatch.setattr(RequestLog, "pause", noted)
    driver = Driver("sync", None)  # threads, so no event loop
    first = driver.client(box.api_key, box.url, rate_limit=RateLimit(), max_retries=1)
    second = driver.client(box.api_key, box.url, rate_limit=RateLimit())
    box.inject(Fault("accounts.list", status=429, headers={"retry-after": "1"}, times=1))
    thread = threading.Thread(target=first.accounts.list)
    thread.start()
    assert paused.wait(60)
    second.auth.validate_key()
    thread.join()
    driver.close()
    times = [request.received_at for request in box.requests]
    assert all(time - times[0] >= 0.9 for time in times[1:])


# Closing, and clients that callers bring


def test_a_closed_client_says_so(driver: Driver, server: ScriptedServer) -> None:
    client = driver.client(base_url=server.url)
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.accounts.list()


def test_a_client_of_the_callers_is_used_and_left_open(driver: Driver, server: ScriptedServer) -> None:
    server.will(OK)
    own: Any = (httpx.AsyncClient if driver.is_async else httpx.Client)(headers={"x-team": "blue"})
    client = driver.client(base_url=server.url, http_client=own)
    client.accounts.list()
    client.close()
    assert server.requests[0].headers["x-team"] == "blue"
    assert not own.is_closed
    driver.run(own.aclose() if driver.is_async else own.close())


def test_the_callers_client_is_held_to_the_time_between_parts(driver: Driver, server: ScriptedServer) -> None:
    server.will(drip(head(200, {"content-length": "500"}) + b" " * 500, 0.02))
    own: Any = (httpx.AsyncClient if driver.is_async else httpx.Client)()
    client = driver.client(base_url=server.url, timeout=0.5, http_client=own)
    with pytest.raises(APITimeoutError):
        client.accounts.list()
    driver.run(own.aclose() if driver.is_async else own.close())


def test_the_wrong_kind_of_client_is_refused(driver: Driver) -> None:
    wrong: Any = (httpx.Client if driver.is_async else httpx.AsyncClient)()
    with pytest.raises(TypeError, match="http_client"):
        driver.client(http_client=wrong)
    if driver.is_async:
        wrong.close()


def test_redirects_of_the_callers_client_are_not_followed(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(302, "", {"location": server.url + "/elsewhere"}), OK)
    own: Any = (httpx.AsyncClient if driver.is_async else httpx.Client)(follow_redirects=True)
    with pytest.raises(APIStatusError, match="Redirects are not followed"):
        driver.client(base_url=server.url, http_client=own).accounts.list()
    assert len(server.requests) == 1
    driver.run(own.aclose() if driver.is_async else own.close())


def test_threads_share_a_client(box: Sandbox) -> None:
    driver = Driver("sync", None)  # threads, so no event loop
    client = driver.client(box.api_key, box.url)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.extend(client.accounts.list().items)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    driver.close()
    assert len(found) == 60


# Logging


def test_one_line_a_request(driver: Driver, box: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    client = driver.client(box.api_key, box.url)
    with caplog.at_level(logging.DEBUG, "databox"):
        client.data_sources.create("Confidential title")
    (record,) = [record for record in caplog.records if record.name == "databox"]
    assert record.levelno == logging.DEBUG
    assert record.getMessage().startswith("POST /v1/data-sources: 200 in ")
    assert "attempt 1" in record.getMessage()
    assert "Confidential" not in caplog.text


def test_an_unencrypted_address_is_warned_of(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    driver.client(base_url="http://api.example.org")
    driver.client(base_url="http://localhost:1")
    (record,) = [record for record in caplog.records if record.name == "databox"]
    assert record.levelno == logging.WARNING
    assert "unencrypted" in record.getMessage()
