"""Walks through the API once, over plain HTTP, and cleans up afterwards."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tools.contract.recording import ABSENT, Message, Recording
from tools.contract.steps import STEPS, Asked, Step

__all__ = ["Walk", "WalkError"]

_KEPT_HEADERS = ("content-type", "retry-after", "allow", "x-request-id")
_SURELY_WITHOUT_EFFECT = {429, 503}
_TRIES = 4


class WalkError(Exception):
    """The walk cannot continue; the message says where it ended and why."""


class Walk:
    """One walk, in its own data source.

    Args:
        http: a client with the base URL and the key.
        title: of the data source; no other may have it.
        account_id: where to create it; defaults to the first account listed.
        pause: seconds between requests, to stay within the limit.
        patience: seconds to wait for an ingestion's counts.
        told: a function that is called with each step's name and status.
    """

    def __init__(
        self,
        http: httpx.Client,
        *,
        title: str,
        account_id: int | None = None,
        pause: float = 0.0,
        patience: float = 120.0,
        told: Callable[[str, int], None] = lambda name, status: None,
    ) -> None:
        self._http = http
        self._pause = pause
        self._patience = patience
        self._told = told
        self.found: dict[str, Any] = {"title": title, "accountId": account_id}
        """Values from earlier steps, mainly ids."""
        self._creating = False
        self._made: list[str] = []

    def run(self) -> Iterator[Recording]:
        """Run the steps and yield the unredacted answers.

        Raises:
            WalkError: something that should work failed.
        """
        for step in STEPS:
            self._creating = self._creating or step.name == "create-data-source"
            yield from self._take(step)

    def clean_up(self) -> str | None:
        """Remove what the walk created, or may have created; return a description of what is left."""
        if not self._creating:
            return None
        title = self.found["title"]
        try:
            for path in [*reversed(self._made), *(path for path in self._titled(title) if path not in self._made)]:
                answer = self._patiently("DELETE", path)
                if answer.status_code not in (200, 204, 404):
                    return f"{path} is left, in a data source titled {title!r}: {answer.status_code} on deleting it."
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            return f"A data source titled {title!r} may be left: {type(error).__name__} on removing it."
        return None

    def _take(self, step: Step) -> Iterator[Recording]:
        asked = step.asked(self.found)
        answer = self._ask(step, asked)
        if step.settles:
            deadline = time.monotonic() + self._patience
            if not _settled(answer):
                yield _recording(f"{step.name}-open", step, asked, answer)
            while not _settled(answer) and time.monotonic() < deadline:
                time.sleep(max(self._pause, 0.05))
                answer = self._ask(step, asked)
        self._told(step.name, answer.status_code)
        self._note_made(asked, answer)
        if not step.refused:
            self._learn(step, answer)
        yield _recording(step.name, step, asked, answer)

    def _note_made(self, asked: Asked, answer: httpx.Response) -> None:
        """Record what has to be removed; something that should have been refused may still have been created."""
        document = _json(answer)
        if asked.method == "POST" and isinstance(document, dict) and "id" in document:
            self._made.append(f"{asked.path}/{document['id']}")

    def _learn(self, step: Step, answer: httpx.Response) -> None:
        document = _json(answer)
        if answer.status_code != 200 or not isinstance(document, dict) or document.get("status") == "error":
            raise WalkError(f"{step.name} ({step.operation}) was answered with status {answer.status_code}.")
        try:
            self.found |= {name: document[field] for name, field in step.finds.items()}
            if step.name == "list-accounts":
                self.found["accountId"] = self.found["accountId"] or document["accounts"][0]["id"]
        except (KeyError, IndexError, TypeError):
            raise WalkError(f"{step.name} ({step.operation}) was answered without what the walk needs.") from None

    def _ask(self, step: Step, asked: Asked) -> httpx.Response:
        headers = {} if asked.good_key else {"x-api-key": "not-a-key"}
        if asked.content_type:
            headers["content-type"] = asked.content_type
        content = _message(asked).content
        try:
            for attempt in range(_TRIES):
                answer = self._send(
                    asked.method, asked.path, params=dict(asked.query), headers=headers, content=content or None
                )
                if answer.status_code not in _SURELY_WITHOUT_EFFECT:
                    break
                time.sleep(_wait(answer, attempt, self._pause))
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise WalkError(f"{step.name} ({step.operation}) was not answered: {problem}.") from None
        if answer.status_code >= 500 or answer.status_code == 429:
            raise WalkError(f"{step.name} ({step.operation}) was answered with status {answer.status_code}.")
        return answer

    def _titled(self, title: str) -> list[str]:
        """Return the data sources with a title: an answer may have been lost after one was created."""
        answer = self._patiently("GET", f"/v1/accounts/{self.found['accountId']}/data-sources")
        return [
            f"/v1/data-sources/{source['id']}" for source in answer.json()["dataSources"] if source["title"] == title
        ]

    def _patiently(self, method: str, path: str) -> httpx.Response:
        """Send a repeatable request until it succeeds or the attempts are used up."""
        for attempt in range(_TRIES):
            try:
                answer = self._send(method, path)
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
            except httpx.HTTPError:
                if attempt == _TRIES - 1:
                    raise
                time.sleep(max(self._pause, 0.05) * 2**attempt)
            else:
                time.sleep(_wait(answer, attempt, self._pause))
        return answer

    def _send(self, method: str, path: str, **sent: Any) -> httpx.Response:
        time.sleep(self._pause)
        return self._http.request(method, path, **sent)


def _wait(answer: httpx.Response, attempt: int, pause: float) -> float:
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), 60.0) if asked.isdecimal() else max(pause, 0.05) * 2**attempt


def _settled(answer: httpx.Response) -> bool:
    """Whether all records are accounted for, or waiting cannot help."""
    document = _json(answer)
    if answer.status_code != 200 or not isinstance(document, dict):
        return True
    counts = ((document.get("metrics") or {}).get("ingestionMetrics")) or {}
    ends = [counts.get(f"{what}RecordsCount") or 0 for what in ("appended", "overwritten", "rejected")]
    return bool(counts.get("receivedRecordsCount")) and sum(ends) == counts["receivedRecordsCount"]


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return ABSENT


def _message(asked: Asked) -> Message:
    headers = {"x-api-key": "***"} | ({"content-type": asked.content_type} if asked.content_type else {})
    return Message(headers, json.loads(json.dumps(asked.body)) if asked.body is not ABSENT else ABSENT, asked.text)


def _recording(name: str, step: Step, asked: Asked, answer: httpx.Response) -> Recording:
    body = _json(answer)
    kept = {
        name: value
        for name, value in answer.headers.items()
        if name in _KEPT_HEADERS or name.startswith(("ratelimit", "x-ratelimit"))
    }
    return Recording(
        name=name,
        operation=step.operation,
        provenance="emulated",
        source="-",
        method=asked.method,
        path=asked.path,
        query=dict(asked.query),
        request=_message(asked),
        status=answer.status_code,
        response=Message(kept, body, answer.text if body is ABSENT else None),
    )
