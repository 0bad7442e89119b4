"""The key never shows, even when the server echoes it."""

import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest

import databox
from databox import APIError, Databox, InvalidResponseError
from databox.sending.redaction import LOOKED_AT
from tests.drive import Driver
from tests.scripted import ScriptedServer, Step, answer, drop, silence, wire

EVERY_CONNECTION = True

KEY = "k3y+with&signs<9876543210"
ECHO = f"You sent {KEY} as your key"

ECHOES = [
    answer(401, {"requestId": KEY, "status": "error", "errors": [{"code": KEY, "message": ECHO, "field": KEY}]}),
    answer(401, {"status": "error", "errors": [{"message": ECHO}], "requestId": "r"}, {"x-request-id": KEY}),
    answer(500, f"<html>{'x' * 280}{KEY}</html>", {"content-type": "text/html"}),
    answer(500, "<p>k3y+with&amp;signs&lt;9876543210</p>"),
    answer(500, "/login?key=k3y%2Bwith%26signs%3C9876543210"),
    answer(200, ECHO),
    answer(200, f'{{"accounts": [{{"{KEY}"'),
    answer(200, json.dumps({"status": "error", "errors": [{"message": ECHO}]})),
    answer(200, '{"status": "error", "errors": [{"message": "k3y\\u002bwith\\u0026signs\\u003c9876543210"}]}'),
    answer(307, "", {"location": f"https://example.org/?key={KEY}"}),
    answer(500, "<p>" + "".join(f"&#{ord(letter):05};" for letter in KEY)),
    answer(500, f"<p>{KEY}&#{'9' * 4400};</p>"),
    answer(500, "You sent k3y+with&signs<98\0765\u200b43210"),
    answer(500, ECHO.encode("utf-16")),
    answer(500, ECHO.encode("utf-16-be")),
    answer(500, {"message": "You sent k3y+with&signs<98\0765\u200b43210"}),
    answer(500, {"requestId": f"{'x ' * 140}{KEY}"}),
    answer(500, json.dumps(ECHO) + " " * 3_000_000),
    wire(f"HTTP/9.9 {ECHO}\r\n\r\n".encode(), close=True),
    drop,
    silence(1.0),
]


@pytest.mark.parametrize("step", ECHOES)
def test_no_error_shows_the_key(
    driver: Driver, server: ScriptedServer, step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "databox")
    server.will(step)
    client = driver.client(KEY, server.url, timeout=0.5)
    with pytest.raises(APIError) as caught:
        client.request("GET", "/v1/accounts")
    error = caught.value
    shown = [str(error), repr(error), repr(vars(error)), caplog.text, str(pickle.loads(pickle.dumps(error)))]
    shown += traceback.TracebackException.from_exception(error).format()
    for text in shown:
        assert KEY not in text
        assert "9876543210" not in text
    while error is not None:
        assert KEY not in repr(vars(error))
        error = error.__cause__ or error.__context__  # type: ignore[assignment]


@pytest.mark.parametrize("kept", [len(KEY) - 1, 20, 12])
def test_half_a_key_does_not_show_where_a_long_page_was_cut(driver: Driver, server: ScriptedServer, kept: int) -> None:
    """Whatever is cut where inside: no more than a first few characters are left of the key."""
    server.will(answer(500, ("<p>You sent" + " " * LOOKED_AT)[: LOOKED_AT - kept] + KEY + "</p>"))
    with pytest.raises(APIError, match="500: You sent") as caught:
        driver.client(KEY, server.url).accounts.list()
    assert KEY[:4] not in str(caught.value)


def test_no_model_shows_the_key(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(200, {"accounts": [{"id": 1, "name": ECHO, "more": {KEY: [KEY]}}]}))
    (account,) = driver.client(KEY, server.url).accounts.list().items
    assert KEY not in repr(account)
    assert account.name == "You sent *** as your key"


def test_no_answer_forges_a_line_of_the_log(
    driver: Driver, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "databox")
    server.will(answer(200, {"requestId": "r\nERROR all is lost", "accounts": []}))
    assert driver.client(KEY, server.url).accounts.list().request_id == "r\nERROR all is lost"
    assert [record.getMessage().count("\n") for record in caplog.records] == [0]
    assert "request id r ERROR all is lost," in caplog.text


def test_a_short_key_does_not_falsify_data(driver: Driver, server: ScriptedServer) -> None:
    server.will(answer(200, {"accounts": [{"id": 1, "name": "test"}]}))
    (account,) = driver.client("test", server.url).accounts.list().items
    assert account.name == "test"


@pytest.mark.parametrize(("key", "shown"), [("a-long-key-of-a-user-1234", "…1234"), ("short", "…")])
def test_the_repr_shows_four_characters_at_most(driver: Driver, key: str, shown: str) -> None:
    client = driver.client(key, "https://api.example.org")
    name = "AsyncDatabox" if driver.is_async else "Databox"
    assert repr(client.inner) == f"{name}(base_url='https://api.example.org', api_key={shown})"


def test_local_variables_of_a_traceback_do_not_show_the_key(server: ScriptedServer) -> None:
    server.will(answer(200, "no JSON"))
    with Databox(KEY, server.url, rate_limit=None) as client, pytest.raises(InvalidResponseError) as caught:
        client.accounts.list()
    frames: list[dict[str, Any]] = []
    trace = caught.value.__traceback__
    while trace is not None:
        if Path(databox.__file__).parent in Path(trace.tb_frame.f_code.co_filename).parents:
            frames.append(trace.tb_frame.f_locals)
        trace = trace.tb_next
    assert frames
    assert not any(KEY in repr(frame) for frame in frames)
