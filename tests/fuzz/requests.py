"""Requests that nobody should send to the sandbox: each is answered, and everything it accepted can be shown."""

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from random import Random
from typing import Any

import orjson
import pytest

from databox.sandbox import Sandbox
from databox.sandbox import asgi as app_module
from tests.fuzz.spoil import KEY, TOKENS, Case, spoiled, spoiled_document
from tests.outside import PIECES

RECORDS = [{"id": 1, "a": "x", "b": 2.5, "c": "2025-01-01"}, {"id": 2, "a": None}]
FAULT = {"operation": "*", "status": 503, "body": {"x": 1}, "headers": {"x-a": "b"}, "times": 1, "probability": 0.5}
ASKED: list[tuple[str, str, Any]] = [
    ("GET", "/v1/auth/validate-key", None),
    ("GET", "/v1/accounts", None),
    ("GET", "/v1/accounts/123456/data-sources", None),
    ("GET", "/v1/accounts/timezones", None),
    ("POST", "/v1/data-sources", {"title": "S", "accountId": 123456, "timezone": "Europe/Berlin"}),
    ("GET", "/v1/data-sources/{source}/datasets", None),
    ("POST", "/v1/datasets", {"title": "D", "dataSourceId": "{source}", "primaryKeys": ["id"]}),
    ("POST", "/v1/datasets/{dataset}/data", {"records": RECORDS}),
    ("POST", "/v1/datasets/{dataset}/data", {"records": RECORDS * 40}),
    ("GET", "/v1/datasets/{dataset}/ingestions?page=1&pageSize=2", None),
    ("GET", "/v1/datasets/{dataset}/ingestions/{ingestion}", None),
    ("POST", "/v1/datasets/{dataset}/purge", None),
    ("DELETE", "/v1/datasets/{dataset}", None),
    ("DELETE", "/v1/data-sources/{source}", None),
    ("GET", "/_sandbox/requests?after=0&limit=5&bodies=true", None),
    ("GET", "/_sandbox/rows/{dataset}?offset=0&limit=5&every=2", None),
    ("GET", "/_sandbox/ingestions/{dataset}", None),
    ("POST", "/_sandbox/faults", FAULT),
    ("POST", "/_sandbox/faults", {"operation": "create_ingestion", "status": 400, "when": {"column": "a", "value": 1}}),
    ("POST", "/_sandbox/clock", {"advance": 5}),
    ("PUT", "/_sandbox/state", None),
    ("POST", "/_sandbox/process", None),
]
SHOWN = ["overview", "state", "faults", "clock", "requests?bodies=false", "requests", "rows/{dataset}", ""]
SOON = 15.0
"""Seconds for an answer."""
HALF = 0.1
"""Seconds to wait for one to what is not a whole request, so that there may be none."""


@contextmanager
def requests() -> Iterator[Case]:
    """Send spoiled requests to a sandbox."""
    with Sandbox(api_key=KEY) as box, pytest.MonkeyPatch.context() as patch, _complaints() as complaints:
        patch.setattr(app_module, "_BODY_TIMEOUT", 0.2)

        def case(chance: Random) -> None:
            box.reset()
            complaints.clear()
            _Session(box, chance).run()
            assert not complaints, complaints

        yield case


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What the sandbox or what it stands on takes for a fault of its own."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(logging.Formatter().format(record))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield said
    logging.getLogger().removeHandler(handler)


class _Session:
    """Some requests to a sandbox that holds little."""

    def __init__(self, box: Sandbox, chance: Random) -> None:
        self._chance = chance
        self._port = int(box.url.rpartition(":")[2])
        self._names = {"source": "", "dataset": "", "ingestion": ""}
        self._faults = False
        self._names["source"] = str(self._made("/v1/data-sources", {"title": "S"})["id"])
        asked = {"title": "D", "dataSourceId": int(self._names["source"]), "primaryKeys": ["id"]}
        self._names["dataset"] = self._made("/v1/datasets", asked)["id"]
        self._names["ingestion"] = self._made(self._filled("/v1/datasets/{dataset}/data"), {"records": RECORDS})[
            "ingestionId"
        ]
        self._state = self._shown("state")

    def run(self) -> None:
        for _ in range(self._chance.choice([1, 3, 6])):
            raw, whole = self._request()
            status = self._status(self._spoken(raw, SOON if whole and not self._faults else HALF))
            assert self._faults or status in (None, *range(100, 500)), status
        self._spoken(_head("DELETE", "/_sandbox/faults", {}))
        for what in SHOWN:
            self._shown(self._filled(what))
        answer = self._spoken(_head("GET", "/v1/accounts", {}))
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 429")), answer[:100]

    # What is sent

    def _request(self) -> tuple[bytes, bool]:
        """Return a request, and whether it surely is a whole one."""
        chance, whole = self._chance, True
        method, path, document = chance.choice(ASKED)
        path = self._filled(path)
        if path.endswith("/state"):
            document = self._state
        self._faults = self._faults or path == "/_sandbox/faults"
        if document and document.get("dataSourceId"):
            document = document | {"dataSourceId": int(self._names["source"])}
        if document is not None and chance.random() < 0.7:
            document = spoiled_document(chance, document)
        body = (
            b""
            if document is None
            else json.dumps(document, ensure_ascii=chance.random() < 0.7).encode("utf-8", "surrogatepass")
        )
        if chance.random() < 0.3:
            body = spoiled(chance, body or b"{}", [*TOKENS, KEY.encode()])
        if chance.random() < 0.3:
            path = self._odd(path)
        if chance.random() < 0.1:
            method = chance.choice(["GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "BREW", "\xff"])
        headers = {"Content-Length": str(len(body))} if body or method == "POST" else {}
        if chance.random() < 0.3:
            odd = chance.choice([*PIECES, "", KEY, "0", "-1", "9" * 5000, "[::1", "chunked", "100-continue", "text/x"])
            name = chance.choice(["Host", "Content-Type", "Content-Length", "Transfer-Encoding", "Expect", "Origin"])
            headers[chance.choice([name, name, "X-Api-Key", "Cookie", "Authorization", "X-Odd"])] = odd
            whole = False
        raw = _head(method, path, headers) + body
        return (spoiled(chance, raw, [*TOKENS, KEY.encode()]), False) if chance.random() < 0.3 else (raw, whole)

    def _odd(self, path: str) -> str:
        chance, parts = self._chance, path.split("/")
        odd = [*PIECES, "", "..", "%00", "%ff", "%ed%a0%80", "%", "x" * 5000, KEY, "-1", "1e3", "9" * 30, "\udcff"]
        match chance.randrange(3):
            case 0:
                parts[chance.randrange(len(parts))] = chance.choice(odd)
                return "/".join(parts)
            case 1:
                name = chance.choice(["page", "pageSize", "after", "limit", "offset", "every", "bodies", "x"])
                return f"{path.partition('?')[0]}?{name}={chance.choice(odd)}&{chance.choice(odd)}"
            case _:
                return path + chance.choice(odd)

    # What comes back

    def _spoken(self, raw: bytes, seconds: float = SOON) -> bytes:
        """Send bytes and no more; return what comes back until the connection is closed, or time is over."""
        found = b""
        with closing(socket.create_connection(("127.0.0.1", self._port), timeout=seconds)) as connection:
            try:
                connection.sendall(raw)
                while part := connection.recv(1 << 20):
                    found += part
            except ConnectionError:
                pass
            except TimeoutError:
                assert seconds < SOON, f"no answer to {raw[:300]!r}"
        return found

    def _status(self, answer: bytes) -> int | None:
        return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None

    def _made(self, path: str, document: Any) -> Any:
        body = json.dumps(document).encode()
        answer = self._spoken(_head("POST", path, {"Content-Length": str(len(body))}) + body)
        assert self._status(answer) == 200, answer
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def _shown(self, what: str) -> Any:
        """What the page and its sources show: whole, read by a strict parser, without the key."""
        answer = self._spoken(_head("GET", f"/_sandbox/{what}", {}))
        head, _, body = answer.partition(b"\r\n\r\n")
        missing = what.startswith("rows/") and self._status(answer) == 404
        assert missing or self._status(answer) == 200, (what, answer[:300])
        assert KEY.encode() not in answer or not what.startswith("requests"), "the key shows"
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        assert len(body) == int(length.partition(b":")[2]), what
        if what == "":
            return None
        json.loads(body.decode(), parse_constant=pytest.fail)
        return orjson.loads(body)

    def _filled(self, path: str) -> str:
        for name, value in self._names.items():
            path = path.replace(f"{{{name}}}", value)
        return path


def _head(method: str, path: str, headers: dict[str, str]) -> bytes:
    named = {"Host": "127.0.0.1", "Connection": "close", "X-Api-Key": KEY, "Content-Type": "application/json"} | headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")
