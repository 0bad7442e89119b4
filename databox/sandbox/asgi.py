"""The operations over HTTP: routing, key, limit, faults, recording."""

import asyncio
import contextlib
import math
import re
import time
from collections.abc import Callable

import attrs
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from databox.display import logger
from databox.sandbox.faults import Fault, FaultBook
from databox.sandbox.handlers import OPERATIONS, Call, Operation
from databox.sandbox.masking import Mask
from databox.sandbox.recording import RecordedRequest, Recorder
from databox.sandbox.refusal import Refusal
from databox.sandbox.replies import injected, refused, success
from databox.sandbox.throttle import Limit
from databox.sandbox.world import World

__all__ = ["Api"]

log = logger("databox.sandbox")

_ROUTES = tuple((compile_path(operation.path)[0], operation) for operation in OPERATIONS)
_DRAINED = 64 * 1024 * 1024
_BODY_TIMEOUT = 10.0


class Dropped(Exception):
    """Close the connection without an answer."""


@attrs.frozen
class Incoming:
    """A request that has arrived."""

    request: Request
    body: bytes
    cut: Refusal | None
    """Why the body is incomplete."""
    matching: dict[str, tuple[Operation, re.Match[str]]]
    """The operations at its path, by method."""

    @property
    def operation(self) -> Operation | None:
        """The requested operation."""
        found = self.matching.get(self.request.method)
        return found[0] if found else None


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
        retry_after: bool,
        max_body_bytes: int,
        drop: Callable[[Scope], None],
    ) -> None:
        self._world = world
        self._key = key
        self._faults = faults
        self._recorder = recorder
        self._limit = limit
        self._retry_after = retry_after
        self._max_body_bytes = max_body_bytes
        self._drop = drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._serve(scope, receive, send)
        except ClientDisconnect:
            pass  # no one is waiting for an answer
        except Dropped:
            self._drop(scope)
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:  # the sandbox is shutting down
            self._drop(scope)
            raise

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body, cut = await _body(request, self._max_body_bytes)
        incoming = Incoming(request, body, cut, _matching(scope["path"]))
        number = self._recorder.came(_recorded(incoming, self._key))
        try:
            response = await self._respond(incoming)
        except Refusal as refusal:
            response = refused(refusal)
        except Dropped:
            raise
        except Exception:
            log.exception("The sandbox has a bug.")
            response = refused(Refusal(500, "The sandbox has a bug; see its log."))
        self._recorder.answered(number, response.status_code)
        await response(scope, receive, send)

    async def _respond(self, incoming: Incoming) -> Response:
        fault = self._faults.next_for(incoming.operation.name, incoming.body) if incoming.operation else None
        if fault is None:
            return self._perform(incoming)
        await asyncio.sleep(fault.delay)
        return self._strike(fault, incoming)

    def _strike(self, fault: Fault, incoming: Incoming) -> Response:
        if fault.drop == "before":
            raise Dropped
        if fault.drop == "after":
            with contextlib.suppress(Refusal):
                self._perform(incoming)
            raise Dropped
        if fault.refuses:
            raise _refused_record(fault, incoming.body)
        return injected(fault) if fault.answers else self._perform(incoming)

    def _perform(self, incoming: Incoming) -> Response:
        request = incoming.request
        if not incoming.matching:
            raise Refusal(404, "Not found.")
        if request.method not in incoming.matching:
            allowed = {"allow": ", ".join(incoming.matching)}
            raise Refusal(405, "Method not allowed.", headers=allowed)
        self._admit(incoming)
        operation, match = incoming.matching[request.method]
        call = Call(match.groupdict(), request.query_params, incoming.body)
        return success(operation.perform(self._world, call))

    def _admit(self, incoming: Incoming) -> None:
        request = incoming.request
        if request.headers.get("x-api-key") != self._key:
            raise Refusal(401, "The API key is missing, wrong or expired.")
        wait = self._limit.take(time.monotonic()) if self._limit else None
        if wait is not None:
            headers = {"retry-after": str(math.ceil(wait))} if self._retry_after else {}
            raise Refusal(429, "Too many requests.", headers=headers)
        if incoming.cut:
            raise incoming.cut
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and incoming.body and content_type != "application/json":
            raise Refusal(415, "The body must be application/json.")


def _refused_record(fault: Fault, body: bytes) -> Refusal:
    """The refusal of a request because of one of its records, which it names."""
    status, field = fault.status or 400, f"records[{fault.record_in(body)}]"
    code = "schema_mismatch" if status == 400 else None
    return Refusal(status, "The sandbox was told to refuse this record.", code=code, field=field, headers=fault.headers)


def _matching(path: str) -> dict[str, tuple[Operation, re.Match[str]]]:
    matches = ((operation, pattern.fullmatch(path)) for pattern, operation in _ROUTES)
    return {operation.method: (operation, match) for operation, match in matches if match}


async def _body(request: Request, most: int) -> tuple[bytes, Refusal | None]:
    """Return a body, or its beginning and why it is incomplete.

    A body that is too large is still read, because many clients read no answer before they have sent everything.
    """
    too_large = Refusal(413, f"The body is larger than {most} bytes.")
    if int(request.headers.get("content-length", "0")) > _DRAINED:
        return b"", too_large
    parts = bytearray()
    size = 0
    try:
        async with asyncio.timeout(_BODY_TIMEOUT):
            async for part in request.stream():
                size += len(part)
                if size <= most:
                    parts += part
                if size > _DRAINED:
                    break
    except TimeoutError:
        return bytes(parts), Refusal(408, f"The body did not arrive within {_BODY_TIMEOUT:.0f} seconds.")
    return bytes(parts), too_large if size > most else None


def _recorded(incoming: Incoming, key: str) -> RecordedRequest:
    request = incoming.request
    mask = Mask(key, request.headers, request.query_params)
    return RecordedRequest(
        method=request.method,
        path=mask.raw(request.scope["raw_path"]).decode("latin-1"),
        query=mask.named(request.query_params.items()),
        headers=mask.named(request.headers.items()),
        body=mask.raw(incoming.body),
        received_at=time.monotonic(),
        operation=incoming.operation.name if incoming.operation else None,
    )
