"""The API over HTTP: routes, envelope, key, faults, limits."""

import asyncio
import json
import logging
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from databox.sandbox import rules
from databox.sandbox.faults import Fault, FaultBook
from databox.sandbox.recording import RecordedRequest, Recorder
from databox.sandbox.refusal import Refusal
from databox.sandbox.world import World

__all__ = ["Api", "Limit"]

log = logging.getLogger("databox.sandbox")

Answer = dict[str, Any]
_DRAINED = 64 * 1024 * 1024


class Dropped(Exception):
    """The connection is to be closed without an answer."""


class Limit:
    """How many requests a key may send in a second and in an hour."""

    def __init__(self, per_second: int, per_hour: int) -> None:
        self._windows = [(per_second, 1.0, deque[float]()), (per_hour, 3600.0, deque[float]())]

    def take(self, now: float) -> float | None:
        """Count a request; return None, or the seconds to wait when it is one too many."""
        for count, window, times in self._windows:
            while times and times[0] <= now - window:
                times.popleft()
            if len(times) >= count:
                return times[0] + window - now
        for _, _, times in self._windows:
            times.append(now)
        return None


class Api:
    """The 13 operations as an ASGI application."""

    def __init__(
        self,
        world: World,
        *,
        key: str,
        faults: FaultBook,
        recorder: Recorder,
        limit: Limit | None,
        max_body_bytes: int,
        drop: Callable[[Scope], None],
    ) -> None:
        self._world = world
        self._key = key
        self._faults = faults
        self._recorder = recorder
        self._limit = limit
        self._max_body_bytes = max_body_bytes
        self._drop = drop
        operations: list[tuple[str, str, str, Callable[[Request, bytes], Answer]]] = [
            ("GET", "/v1/accounts", "accounts.list", self._accounts),
            # The literal comes first: it stands where the next path has a parameter.
            ("GET", "/v1/accounts/timezones", "accounts.list_timezones", self._time_zones),
            ("GET", "/v1/accounts/{account}/data-sources", "accounts.list_data_sources", self._data_sources),
            ("GET", "/v1/auth/validate-key", "auth.validate_key", self._validate_key),
            ("POST", "/v1/data-sources", "data_sources.create", self._create_data_source),
            ("DELETE", "/v1/data-sources/{source}", "data_sources.delete", self._delete_data_source),
            ("GET", "/v1/data-sources/{source}/datasets", "data_sources.list_datasets", self._datasets),
            ("POST", "/v1/datasets", "datasets.create", self._create_dataset),
            ("DELETE", "/v1/datasets/{dataset}", "datasets.delete", self._delete_dataset),
            ("POST", "/v1/datasets/{dataset}/purge", "datasets.purge", self._purge_dataset),
            ("POST", "/v1/datasets/{dataset}/data", "datasets.create_ingestion", self._create_ingestion),
            ("GET", "/v1/datasets/{dataset}/ingestions", "datasets.list_ingestions", self._ingestions),
            ("GET", "/v1/datasets/{dataset}/ingestions/{ingestion}", "datasets.get_ingestion", self._ingestion),
        ]
        self._routes = [
            Route(path, self._endpoint(handler), methods=[method], name=name)
            for method, path, name, handler in operations
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body, whole = await _body(request, self._max_body_bytes)
        route, method_is_wrong = self._match(scope)
        operation = route.name if route else None
        number = self._recorder.came(_recorded(request, body, operation))
        scope["databox.body"] = body

        async def answering(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._recorder.answered(number, message["status"])
            await send(message)

        try:
            fault = operation and self._faults.next_for(operation)
            if route and fault:
                await self._strike(fault, route, scope, receive, answering)
            elif not whole:
                raise Refusal(413, f"The body is larger than {self._max_body_bytes} bytes.")
            elif route:
                await route.handle(scope, receive, answering)
            elif method_is_wrong:
                raise Refusal(405, "The method is not allowed here.")
            else:
                raise Refusal(404, "There is nothing here.")
        except Refusal as refusal:
            await _refused(refusal)(scope, receive, answering)
        except Dropped:
            self._drop(scope)
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:  # the sandbox is closing
            self._drop(scope)
            raise
        except Exception:
            log.exception("The sandbox has a bug.")
            await _refused(Refusal(500, "The sandbox has a bug; see its log."))(scope, receive, answering)

    async def _strike(self, fault: Fault, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.drop == "before":
            raise Dropped
        if fault.drop == "after":
            await route.handle(scope, receive, _nowhere)
            raise Dropped
        if fault.status is None and fault.body is None and fault.headers is None:
            await route.handle(scope, receive, send)
            return
        if fault.body is None and fault.status is not None and fault.status >= 400:
            raise Refusal(fault.status, "Injected by the sandbox.", headers=fault.headers)
        await _made_up(fault)(scope, receive, send)

    def _match(self, scope: Scope) -> tuple[Route | None, bool]:
        """Return the route of a request, its parameters put into the scope, or whether only the method is wrong."""
        method_is_wrong = False
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                return route, False
            method_is_wrong |= match is Match.PARTIAL
        return None, method_is_wrong

    def _endpoint(self, handler: Callable[[Request, bytes], Answer]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self._admit(request)
            return _json(200, {"requestId": str(uuid.uuid4()), "status": "success"} | handler(request, _sent(request)))

        return endpoint

    def _admit(self, request: Request) -> None:
        if request.headers.get("x-api-key") != self._key:
            raise Refusal(401, "The API key is missing, wrong or expired.")
        wait = self._limit.take(time.monotonic()) if self._limit else None
        if wait is not None:
            headers = {"retry-after": str(max(1, round(wait + 0.5)))}
            raise Refusal(429, "Too many requests.", headers=headers)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and _sent(request) and content_type != "application/json":
            raise Refusal(415, "The body must be application/json.")

    # The operations, in the order of the reference

    def _accounts(self, request: Request, body: bytes) -> Answer:
        return {"accounts": list(rules.ACCOUNTS)}

    def _data_sources(self, request: Request, body: bytes) -> Answer:
        account_id = rules.whole_number(request.path_params["account"], "accountId")
        return {"dataSources": self._world.data_sources(account_id)}

    def _time_zones(self, request: Request, body: bytes) -> Answer:
        return {"timezones": [{"offset": offset, "timezone": name} for offset, name in rules.TIME_ZONES]}

    def _validate_key(self, request: Request, body: bytes) -> Answer:
        return {}

    def _create_data_source(self, request: Request, body: bytes) -> Answer:
        asked = rules.parse(body)
        title = rules.required_text(asked, "title")
        if asked.get("accountId") is None:
            asked["accountId"] = rules.ACCOUNTS[0]["id"]
        account_id = rules.required_number(asked, "accountId")
        made = self._world.create_data_source(title, account_id, rules.time_zone(asked))
        return {"status": "processing"} | made

    def _delete_data_source(self, request: Request, body: bytes) -> Answer:
        self._world.delete_data_source(rules.whole_number(request.path_params["source"], "dataSourceId"))
        return {"message": "Data source deleted successfully"}

    def _datasets(self, request: Request, body: bytes) -> Answer:
        return {"datasets": self._world.datasets(rules.whole_number(request.path_params["source"], "dataSourceId"))}

    def _create_dataset(self, request: Request, body: bytes) -> Answer:
        asked = rules.parse(body)
        title = rules.required_text(asked, "title")
        return self._world.create_dataset(
            title, rules.required_number(asked, "dataSourceId"), rules.primary_keys(asked)
        )

    def _delete_dataset(self, request: Request, body: bytes) -> Answer:
        self._world.delete_dataset(request.path_params["dataset"])
        return {"message": "Dataset deleted successfully"}

    def _purge_dataset(self, request: Request, body: bytes) -> Answer:
        self._world.purge_dataset(request.path_params["dataset"])
        return {"message": "Resource purged successfully"}

    def _create_ingestion(self, request: Request, body: bytes) -> Answer:
        records = rules.records(rules.parse(body))
        ingestion_id = self._world.create_ingestion(request.path_params["dataset"], records)
        return {"ingestionId": ingestion_id, "message": "Data ingestion request accepted"}

    def _ingestions(self, request: Request, body: bytes) -> Answer:
        page = rules.whole_number(request.query_params.get("page", "1"), "page")
        asked = request.query_params.get("pageSize", "100")
        size = rules.whole_number(asked, "pageSize", most=rules.MAX_PAGE_SIZE)
        total, found = self._world.ingestions(request.path_params["dataset"], page, size)
        return {"pagination": {"page": page, "pageSize": size, "totalItems": total}, "ingestions": found}

    def _ingestion(self, request: Request, body: bytes) -> Answer:
        return self._world.ingestion(request.path_params["dataset"], request.path_params["ingestion"])


async def _body(request: Request, most: int) -> tuple[bytes, bool]:
    """Read a body; return as much as may be kept, and whether that is all of it."""
    parts = bytearray()
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= most:
            parts += part
        if size > _DRAINED:
            break
    return bytes(parts), size <= most


def _sent(request: Request) -> bytes:
    body: bytes = request.scope["databox.body"]
    return body


def _recorded(request: Request, body: bytes, operation: str | None) -> RecordedRequest:
    headers = {name: "***" if name == "x-api-key" else value for name, value in request.headers.items()}
    return RecordedRequest(
        method=request.method,
        path=request.scope["raw_path"].decode("latin-1"),
        query=dict(request.query_params),
        headers=headers,
        body=body,
        received_at=time.monotonic(),
        operation=operation,
    )


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "surrogatepass"), status, headers, media_type="application/json")


def _refused(refusal: Refusal) -> Response:
    envelope = {"requestId": str(uuid.uuid4()), "status": "error", "errors": [refusal.entry()]}
    return _json(refusal.status, envelope, refusal.headers)


def _made_up(fault: Fault) -> Response:
    status = fault.status or 200
    given: object = fault.body
    if isinstance(given, dict | list):
        return _json(status, cast("object", given), fault.headers)
    body = fault.body if isinstance(fault.body, bytes) else str(fault.body or "").encode()
    kind = "text/html" if body.lstrip().startswith(b"<") else "text/plain"
    named = {name.lower() for name in fault.headers or {}}
    return Response(body, status, fault.headers, media_type=None if "content-type" in named else kind)


async def _nowhere(message: Any) -> None:
    """Takes an answer that nobody is to get."""
