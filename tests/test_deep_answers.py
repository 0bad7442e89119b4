"""Deeply nested answers and arguments: an error of ours, and whatever was read can be shown."""

import json
import pickle
from typing import Any

import pytest

from databox import APIStatusError, InvalidRecordError, InvalidResponseError
from databox.guard import DEEPEST, Guard, Unreadable, check
from tests.drive import Driver
from tests.scripted import ScriptedServer, answer


def nested(levels: int, inside: str = "1") -> str:
    return "[" * levels + inside + "]" * levels


@pytest.mark.parametrize("levels", [DEEPEST + 1, 600, 1_000, 1_020, 100_000])
@pytest.mark.parametrize(
    "body", ['{"requestId": "r", "accounts": [], "x": %s}', '{"accounts": %s}', "%s", '{"errors": %s}']
)
def test_a_deep_answer_is_none(driver: Driver, server: ScriptedServer, body: str, levels: int) -> None:
    client = driver.client(base_url=server.url)
    server.will(answer(200, body % nested(levels)))
    with pytest.raises(InvalidResponseError, match="not readable JSON: it has values nested more than 100 levels"):
        client.accounts.list()
    server.will(answer(400, body % nested(levels)))
    with pytest.raises(APIStatusError) as caught:
        client.accounts.list()
    assert len(str(caught.value)) < 1500
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_is_read_can_be_shown_compared_and_kept(driver: Driver, server: ScriptedServer) -> None:
    account = {"id": 1, "name": "a", "x": json.loads(nested(DEEPEST - 4)), "[" * 500: "]{" * 500}
    server.will(answer(200, {"requestId": "r", "accounts": [account]}))
    (read,) = driver.client(base_url=server.url).accounts.list().items
    assert read.extra["x"] == account["x"]
    assert pickle.loads(pickle.dumps(read)) == read
    assert repr(account["x"]) in repr(read)


@pytest.mark.parametrize("levels", [50, 500, 5_000])
def test_a_deep_value_in_a_row_of_a_program(driver: Driver, server: ScriptedServer, levels: int) -> None:
    deep: Any = "x"
    for _ in range(levels):
        deep = [deep]
    with pytest.raises(InvalidRecordError, match="Row 0, column 'a'"):
        driver.client(base_url=server.url).datasets.create_ingestion("d", [{"a": deep}])
    assert not server.requests


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize(
    "value",
    [
        {"a": "[" * 300, 'b\\"': '"]\\"{' * 300, "c": ["\\", "\\\\", '"', ""], "é[": [1.5e-7, -2, None, True]},
        [[], {}, [[["x"]]], "}" * 200] * 50,
    ],
)
def test_what_is_fine_is_left_alone_however_it_is_cut(value: Any, size: int) -> None:
    for ensure_ascii in (True, False):
        document = json.dumps(value, ensure_ascii=ensure_ascii).encode()
        guard = Guard()
        for start in range(0, len(document), size):
            guard.check(document[start : start + size])
        assert (guard.depth, guard.text) == (0, 0)
        check(document)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "document",
    [
        '["' + '\\"' * 50 + '",' + nested(DEEPEST + 1),
        "[" * (DEEPEST + 1),
        '{"a":' * (DEEPEST + 1),
        '[{"a":' * DEEPEST,
        f"[{'1' * 1_200}]",
        '["x", 1e12345]',
    ],
)
def test_what_is_not_is_found_however_it_is_cut(document: str, size: int) -> None:
    guard = Guard()
    data = document.encode()
    with pytest.raises(Unreadable):
        list(map(guard.check, (data[start : start + size] for start in range(0, len(data), size))))
