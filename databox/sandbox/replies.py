"""Answers: JSON, the error envelope, and the answers of faults."""

import json
import uuid
from typing import Any, cast

from starlette.responses import Response

from databox.sandbox.faults import Fault
from databox.sandbox.refusal import Refusal

__all__ = ["injected", "refused", "success"]

_WITHOUT_BODY = (204, 205, 304)


def success(fields: dict[str, Any]) -> Response:
    """Return the answer to a successful operation."""
    return _json(200, {"requestId": str(uuid.uuid4()), "status": "success"} | fields)


def refused(refusal: Refusal) -> Response:
    """Return the error envelope."""
    envelope = {"requestId": str(uuid.uuid4()), "status": "error", "errors": [refusal.entry()]}
    return _json(refusal.status, envelope, refusal.headers)


def injected(fault: Fault) -> Response:
    """Return the answer of a fault, which replaces that of the operation."""
    status = fault.status or 200
    if status in _WITHOUT_BODY:
        return Response(None, status, fault.headers)
    given: object = fault.body
    if given is None:
        return refused(Refusal(status, "Injected by the sandbox.", headers=fault.headers))
    if isinstance(given, dict | list):
        return _json(status, cast("object", given), fault.headers)
    body = given if isinstance(given, bytes) else str(given).encode("utf-8", "surrogatepass")
    kind = "text/html" if body.lstrip().startswith(b"<") else "text/plain"
    return Response(body, status, fault.headers, media_type=kind)


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "surrogatepass"), status, headers, media_type="application/json")
