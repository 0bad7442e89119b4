"""Validates every request that the facade sends in any test against the description, whichever server it goes to.

What the description merely says too narrowly (a closed list of words, a pattern) is for `make contract` to report; what
contradicts it fails the test.

The servers are real ones in this process, and know what they were asked; this asks them when a test is over, and
before they forget.
"""

import functools
import inspect
import json
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest

from databox import AsyncDatabox, Databox
from databox.sandbox import Sandbox
from tests.scripted import ScriptedServer
from tools.contract.description import Description, Problem, contradictions

__all__ = ["WATCH", "requests_are_described"]


@attrs.frozen
class Sent:
    """A request as a server got it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Watch:
    """Collects what servers were asked, each request once."""

    def __init__(self) -> None:
        self._servers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._pending: list[Sent] = []
        self._judged: dict[int, set[object]] = {}
        self._by_hand: set[tuple[str, str]] = set()
        _before(Sandbox, "start", self._opened)
        _before(Sandbox, "reset", self._forget)
        _before(Sandbox, "close", self._collect)
        _before(ScriptedServer, "__enter__", self._opened)
        _before(ScriptedServer, "__exit__", self._collect)
        # What a test asks for by method and path is its own affair: that is what `request` is for.
        for client in (Databox, AsyncDatabox):
            _before(client, "request", self._asked_by_hand)

    def problems(self, judge: Description | None = None) -> list[str]:
        """Return what contradicts the description in the requests since the last call; all that a judge given says."""
        for server in list(self._servers):
            self._collect(server)
        asked = [sent for sent in self._pending if not self._is_by_hand(sent)]
        self._pending.clear()
        self._by_hand.clear()
        if judge is not None:
            return [problem.text for sent in asked for problem in self._judge(sent, judge)]
        return contradictions(problem for sent in asked for problem in self._judge(sent, _description()))

    def _judge(self, sent: Sent, judge: Description) -> list[Problem]:
        likeness, judged = _likeness(sent, judge), self._judged.setdefault(id(judge), set())
        if likeness in judged:
            return []
        problems = judge.request_problems(
            sent.method, sent.path, query=sent.query, headers=sent.headers, body=sent.body
        )
        if not contradictions(problems):
            judged.add(likeness)
        return problems

    def _asked_by_hand(self, _: object, method: object = None, path: object = None, *__: object, **___: object) -> None:
        self._by_hand.add((str(method).upper(), str(path).partition("?")[0]))

    def _is_by_hand(self, sent: Sent) -> bool:
        return any(sent.method == method and sent.path.endswith(path) for method, path in self._by_hand)

    def _opened(self, server: Any, *_: object) -> None:
        self._servers[server] = 0

    def _collect(self, server: Any, *_: object) -> None:
        requests = list(server.requests)
        self._pending += [sent for sent in map(_sent, requests[self._servers.get(server, 0) :]) if _is_ours(sent)]
        self._servers[server] = len(requests)

    def _forget(self, server: Any, *_: object) -> None:
        self._collect(server)
        self._servers[server] = 0


def _before(kind: type, name: str, first: Callable[..., None]) -> None:
    """Let something happen before each call of a method."""
    method = getattr(kind, name)

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        first(self, *args, **kwargs)
        return method(self, *args, **kwargs)

    @functools.wraps(method)
    async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await wrapped(self, *args, **kwargs)

    setattr(kind, name, awaited if inspect.iscoroutinefunction(method) else wrapped)


@functools.cache
def _description() -> Description:
    return Description.published()


WATCH = Watch()
"""Set up on import, before any server starts."""


@pytest.fixture(autouse=True)
def requests_are_described() -> Iterator[None]:
    """Fail a test in which the facade sent what the description does not know."""
    yield
    problems = WATCH.problems()
    assert not problems, "The facade sent what the description does not allow:\n" + "\n".join(problems)


def _is_ours(sent: Sent) -> bool:
    return sent.headers.get("user-agent", "").startswith("databox-sdk/")


def _sent(request: Any) -> Sent:
    """Return a request of either server."""
    if hasattr(request, "target"):
        path, _, query = request.target.partition("?")
        if "/v1/" in path:  # what comes before is the client's base URL, all of it where a proxy was asked
            path = path[path.index("/v1/") :]
        return Sent(request.method, path, dict(parse_qsl(query)), request.headers, request.body)
    return Sent(request.method, request.path, request.query, request.headers, request.body)


def _likeness(sent: Sent, judge: Description) -> object:
    """Return what requests have in common that are judged alike: rows are free in form, so one of many is enough."""
    place = judge.locate(sent.method, sent.path)
    key = place and (place[0].key, *(name if not value.isdecimal() else "number" for name, value in place[1].items()))
    try:
        body = _outline(json.loads(sent.body)) if sent.body else None
    except ValueError:
        body = "not JSON"
    query = frozenset((name, value.isdecimal()) for name, value in sent.query.items())
    return key, query, sent.headers.get("content-type"), bool(sent.headers.get("x-api-key")), body


def _outline(value: Any, depth: int = 2) -> object:
    if isinstance(value, dict):
        return frozenset((name, _outline(item, depth - 1)) for name, item in value.items()) if depth else "object"
    if isinstance(value, list):
        return len(value) > 100, frozenset(_outline(item, 0) for item in value)
    return type(value).__name__
