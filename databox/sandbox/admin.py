"""Administration over HTTP, under `/_sandbox/`, for people and for tests in any language.

`admin.openapi.json` describes it. It needs no key, so it answers only requests to a loopback address: a page
from elsewhere, open in a browser on this machine, must not be able to use it.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import attrs
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from databox.display import visible
from databox.sandbox import strict
from databox.sandbox.faults import Fault, FaultBook
from databox.sandbox.overview import ingestions_of, overview, rows_of
from databox.sandbox.recording import RecordedRequest, Recorder
from databox.sandbox.world import World

__all__ = ["Admin"]

PREFIX = "/_sandbox"
_HERE = Path(__file__).parent
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_FAULT_FIELDS = tuple(field.name for field in attrs.fields(Fault))

Handler = Callable[[Request], Awaitable[Response]]


class Box(Protocol):
    """The parts of the sandbox that the administration uses."""

    def reset(self) -> None: ...
    def process(self) -> int: ...
    def advance(self, seconds: float) -> Any: ...
    def export_state(self) -> dict[str, Any]: ...
    def import_state(self, document: Any) -> None: ...


class Admin:
    """Answers requests under `/_sandbox/` and passes on everything else."""

    def __init__(
        self, box: Box, api: ASGIApp, world: World, faults: FaultBook, recorder: Recorder, *, any_host: bool
    ) -> None:
        self._box = box
        self._api = api
        self._world = world
        self._faults = faults
        self._recorder = recorder
        self._any_host = any_host
        served = ("index.html", "style.css", "app.js")
        self._router = Router(
            [
                Route(f"{PREFIX}/", partial(_file, _HERE / "page" / served[0])),
                *(Route(f"{PREFIX}/{name}", partial(_file, _HERE / "page" / name)) for name in served[1:]),
                Route(f"{PREFIX}/openapi.json", partial(_file, _HERE / "admin.openapi.json")),
                self._route("/overview", GET=self._overview),
                self._route("/reset", POST=self._reset),
                self._route("/seed", PUT=self._seed),
                self._route("/state", GET=self._export, PUT=self._import),
                self._route("/process", POST=self._process),
                self._route("/rows/{dataset}", GET=self._rows),
                self._route("/ingestions/{dataset}", GET=self._ingestions),
                self._route("/requests", GET=self._requests, DELETE=self._forget_requests),
                self._route("/faults", GET=self._list_faults, POST=self._add_fault, DELETE=self._clear_faults),
                self._route("/clock", GET=self._clock, POST=self._advance),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            await self._administer(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    async def _administer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_trusted(Request(scope)):
            message = "The administration answers only this machine: use a loopback address, from no other site."
            response: ASGIApp = _error(403, message)
        else:
            response = self._router
        await response(scope, receive, send)

    def _is_trusted(self, request: Request) -> bool:
        """Whether a request was not sent by a browser on behalf of another site."""
        origin = request.headers.get("origin")
        host = request.headers.get("host", "")
        try:
            if origin is not None and urlsplit(origin).netloc != host:
                return False
            return self._any_host or urlsplit(f"//{host}").hostname in _LOOPBACK
        except ValueError:  # neither is an IP address
            return False

    def _route(self, path: str, **handlers: Handler) -> Route:
        async def handle(request: Request) -> Response:
            try:
                return await handlers[request.method](request)
            except LookupError as error:
                return _error(404, str(error))
            except (ValueError, TypeError) as error:
                return _error(400, str(error))

        methods = list(handlers)
        route = Route(PREFIX + path, handle, methods=methods)
        route.methods = set(methods)  # no HEAD
        return route

    # The world

    async def _overview(self, request: Request) -> Response:
        found = self._world.with_database(overview)
        return _answer(found | {"clock": self._world.now.isoformat(), "requests": self._recorder.count})

    async def _rows(self, request: Request) -> Response:
        offset, limit = _number(request, "offset", 0), _number(request, "limit", 100)
        every, dataset = _number(request, "every", 1), request.path_params["dataset"]
        if every == 0:
            raise ValueError("'every' must be 1 or more.")
        return _found(self._world.with_database(lambda db: rows_of(db, dataset, offset, limit, every)))

    async def _ingestions(self, request: Request) -> Response:
        return _found(self._world.with_database(lambda db: ingestions_of(db, request.path_params["dataset"])))

    async def _reset(self, request: Request) -> Response:
        self._box.reset()
        return _answer({})

    async def _export(self, request: Request) -> Response:
        return _answer(self._box.export_state())

    async def _import(self, request: Request) -> Response:
        self._box.import_state(await _object(request))
        return _answer({})

    async def _process(self, request: Request) -> Response:
        return _answer({"processed": self._box.process()})

    # Time and randomness

    async def _clock(self, request: Request) -> Response:
        return _answer({"now": self._world.now.isoformat()})

    async def _advance(self, request: Request) -> Response:
        seconds = (await _object(request)).get("advance")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            raise TypeError("'advance' must be a number of seconds.")
        self._box.advance(seconds)
        return await self._clock(request)

    async def _seed(self, request: Request) -> Response:
        seed = (await _object(request)).get("seed")
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise TypeError("'seed' must be a whole number.")
        self._faults.sow(seed)
        return _answer({})

    # Faults

    async def _list_faults(self, request: Request) -> Response:
        waiting = [_fault(fault) | {"struck": struck} for fault, struck in self._faults.waiting()]
        return _answer({"faults": waiting})

    async def _add_fault(self, request: Request) -> Response:
        asked = await _object(request)
        unknown = sorted(asked.keys() - set(_FAULT_FIELDS))
        if unknown or "operation" not in asked:
            wrong = f"Unknown field {unknown[0]!r}" if unknown else "'operation' is missing"
            raise ValueError(f"{wrong}; the fields of a fault are: {', '.join(_FAULT_FIELDS)}.")
        self._faults.add(Fault(**asked))
        return _answer({}, 201)

    async def _clear_faults(self, request: Request) -> Response:
        self._faults.clear()
        return _answer({})

    # Requests

    async def _requests(self, request: Request) -> Response:
        found = self._recorder.numbered(_number(request, "after", 0) - 1)
        limit = _number(request, "limit", 1000)
        bodies = request.query_params.get("bodies", "true") == "true"
        shown = [_request(number, item, bodies=bodies) for number, item in found[-limit:]]
        return _answer({"requests": shown})

    async def _forget_requests(self, request: Request) -> Response:
        self._recorder.clear()
        return _answer({})


async def _file(path: Path, request: Request) -> Response:
    return FileResponse(path, headers=_HEADERS)


async def _object(request: Request) -> dict[str, Any]:
    """Return the JSON object in a body; it requires a JSON content type, which no form can send."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ValueError("The body must be application/json.")
    try:
        found: object = strict.loaded(await request.body(), 2 * strict.MAX_DEPTH)
    except (ValueError, RecursionError):
        raise ValueError("The body is not valid JSON.") from None
    if not isinstance(found, dict):
        raise TypeError("The body must be a JSON object.")
    return cast("dict[str, Any]", found)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise ValueError(f"{name!r} must be a whole number, 0 or more.")
    return int(text)


def _found(fields: dict[str, Any] | None) -> Response:
    if fields is None:
        raise LookupError("There is no such dataset.")
    return _answer(fields)


def _answer(fields: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(fields, status, headers=_HEADERS)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": visible(message)}, status, headers=_HEADERS)


def _fault(fault: Fault) -> dict[str, Any]:
    fields = {name: getattr(fault, name) for name in _FAULT_FIELDS}
    if callable(fault.when):
        fields["when"] = "a function"  # in the program that runs the sandbox
    return {name: strict.shown(value) for name, value in fields.items()}


def _request(number: int, request: RecordedRequest, *, bodies: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "number": number + 1,
        "method": request.method,
        "path": request.path,
        "query": dict(request.query),
        "headers": dict(request.headers),
        "operation": request.operation,
        "status": request.status,
        "bytes": len(request.body),
    }
    return shown | ({"body": strict.shown_body(request.body)} if bodies else {})
