"""The key never shows, even if the server echoes it."""

import copy
import dataclasses
import html
import inspect
import json
import logging
import os
import pickle
import pprint
import reprlib
import subprocess
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import attrs
import orjson
import pytest
import rich
from rich.console import Console

from databox import APIError, AsyncDatabox, ConfigurationError, Databox, RateLimit
from databox.config import Config
from databox.secret import Secret
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
    silence,
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
    """Wherever a text inside is cut, at most the first few characters of the key are left."""
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


class Dumps:
    """Tools that take objects apart to store or show them; some refuse, which is just as good."""

    @staticmethod
    def of(value: Any) -> Iterator[str]:
        """Return everything that such tools produce from a value."""
        for dump in (
            pickle.dumps,
            copy.copy,
            copy.deepcopy,
            attrs.asdict,
            attrs.astuple,
            dataclasses.asdict,
            vars,
            lambda value: json.dumps(value, default=vars),
            lambda value: json.dumps(value, default=repr),
            lambda value: orjson.dumps(value, default=lambda inner: getattr(inner, "__dict__", repr(inner))),
            lambda value: [getattr(value, name) for kind in type(value).__mro__ for name in _slots(kind)],
            lambda value: value.__getstate__(),
            lambda value: value.__reduce__(),
            pprint.pformat,
            reprlib.repr,
            str,
            inspect.getmembers,
            _inspected,
        ):
            try:
                yield repr(dump(value))
            except Exception as error:  # noqa: BLE001 - whatever they raise
                yield "".join(traceback.format_exception(error))


def _slots(kind: type) -> list[str]:
    return [name for name in getattr(kind, "__slots__", ()) if not name.startswith("__")]


def _inspected(value: Any) -> str:
    console = Console(width=1000)
    with console.capture() as captured:
        rich.inspect(value, console=console, all=True)
    return captured.get()


@pytest.mark.parametrize("kind", [Databox, AsyncDatabox])
def test_nothing_that_takes_objects_apart_finds_the_key(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    for url in ("https://example.org", "http://example.org"):
        client = kind(KEY, url)
        transport = client._transport
        connections = transport._connections
        assert "Httpx" in type(connections).__name__ or url.startswith("https")
        config, redactor = transport.config, transport._redactor
        for value in (client, transport, connections, config, config.key, redactor, redactor._forms, client.datasets):
            for text in Dumps.of(value):
                assert KEY not in text
                assert KEY not in html.unescape(text)


def test_a_key_is_not_pickled_and_the_message_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"cannot be pickled.* DATABOX_API_KEY"):
        pickle.dumps(Config(Secret(KEY), "https://example.org"))


def test_a_store_with_a_password_does_not_show_it() -> None:
    limit = RateLimit(store=f"redis://:{KEY}@example.org")
    for text in (repr(limit), repr(attrs.asdict(limit)), repr(vars(type(limit))), _inspected(limit)):
        assert KEY not in text


@pytest.mark.parametrize("kind", [Databox, AsyncDatabox])
@pytest.mark.parametrize("arguments", [{"api_key": 5}, {"base_url": "x"}, {"timeout": -1}, {"http_client": 5}])
def test_a_client_whose_making_failed_has_a_repr(kind: Any, arguments: Any) -> None:
    made: list[Any] = []

    class Kept(kind):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            made.append(self)
            super().__init__(*args, **options)

    with pytest.raises((ConfigurationError, TypeError, ValueError)):
        Kept(**({"api_key": KEY} | arguments))
    assert repr(made[0]) == "Kept(not initialised)"


@pytest.mark.parametrize("logger", ["databox", "httpx", "httpcore", "h11", "anyio", "asyncio", ""])
def test_no_log_shows_the_key(
    driver: Driver, server: ScriptedServer, caplog: pytest.LogCaptureFixture, logger: str
) -> None:
    caplog.set_level(logging.DEBUG, logger)
    client = driver.client(KEY, server.url)
    client.auth.validate_key()
    server.will(drop)
    with pytest.raises(APIError):
        client.auth.validate_key()
    for record in caplog.records:
        assert KEY not in record.getMessage()
        assert KEY not in repr(vars(record))


def test_development_mode_shows_nothing_more(server: ScriptedServer) -> None:
    """With asyncio's debug mode, all warnings, and the fault handler's tracebacks of a process that is killed."""
    program = """
import asyncio, faulthandler, logging, sys
logging.basicConfig(level=logging.DEBUG)
import httpx
from databox import AsyncDatabox, Databox
async def main():
    asyncio.get_running_loop().slow_callback_duration = 0.0
    async with httpx.AsyncClient() as http:
        for http_client in (None, http):
            client = AsyncDatabox(http_client=http_client)
            await client.auth.validate_key()
            task = asyncio.create_task(client.auth.validate_key())
            await asyncio.sleep(0)
            task.print_stack()
            task.cancel()
            await asyncio.wait([task])
asyncio.run(main())
Databox().auth.validate_key()
faulthandler.dump_traceback()
"""
    environ = {**os.environ, "DATABOX_API_KEY": KEY, "DATABOX_API_URL": server.url}
    command = [sys.executable, "-X", "dev", "-c", program]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "validate-key" in done.stderr
    assert "k3y+with" not in done.stdout + done.stderr
