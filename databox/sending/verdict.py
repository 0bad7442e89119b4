"""Turns an HTTP response into a result, or into an error that says what went wrong and what to do next."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import attrs
import orjson

from databox.api.operations import Operation
from databox.api.reading import UnexpectedAnswer, first_details, object_of, text
from databox.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ServerError,
)
from databox.guard import DEEPEST, Unreadable, check
from databox.models import ErrorDetail
from databox.sending.redaction import Redactor
from databox.sending.retry import retry_after

__all__ = ["Response", "read"]

T = TypeVar("T")

_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: RequestTooLargeError,
    429: RateLimitError,
}
# The API's table of error codes. It gives no statuses; these are the usual ones for each meaning.
_STATUS_OF_CODE = {
    "invalid_json": 400,
    "invalid_input": 400,
    "invalid_field_value": 400,
    "missing_required_field": 400,
    "schema_mismatch": 400,
    "too_many_errors": 400,
    "dataset_limit_exceeded": 400,
    "invalid_api_key": 401,
    "forbidden": 403,
    "not_found": 404,
    "duplicate_record": 409,
    "request_too_large": 413,
    "rate_limited": 429,
    "internal_error": 500,
    "service_unavailable": 503,
}
_ADVICE: dict[type[APIStatusError], str] = {
    BadRequestError: "Correct the request; the same request will fail again.",
    AuthenticationError: "Check the key: it may be wrong, expired, or limited to other IP addresses.",
    PermissionDeniedError: "The key's user does not have permission; ask an administrator of the account.",
    NotFoundError: "Check the id: it may be deleted, mistyped, or in an account that this key cannot see.",
    ConflictError: "Something that must be unique already exists.",
    RequestTooLargeError: "Send less at once: lower the batch size, in rows or in bytes.",
    RateLimitError: "The key's 10 requests a second or 10,000 an hour are used up; "
    "wait, or share the key with fewer programs.",
    ServerError: "The service failed; try again later, and quote the request id to support.",
}
LARGEST_EXPLANATION = 2 * 1024 * 1024
"""The largest refusal that is read as JSON, in bytes; of a larger one, the first words are quoted, which is cheap."""
MOST_PARTS = 1_000_000
"""Opening brackets in an answer that is read as JSON: so many empty objects take half a second and 85 MB."""
MOST_DETAILS = 10_000
"""The number of entries of a refusal's `errors` that are read; a request has at most 100 records."""


@attrs.frozen(eq=False, repr=False)
class Response:
    """A complete HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read(operation: Operation[T], response: Response, redactor: Redactor) -> T:
    """Return the operation's result.

    Raises:
        APIStatusError: the API refused the request, by its status or in the body of a 2xx.
        InvalidResponseError: a 2xx whose body does not match the API.
    """
    succeeded = 200 <= response.status < 300
    if response.status == 204 and operation.may_be_empty:
        return cast("T", None)
    readable = succeeded or len(response.body) <= LARGEST_EXPLANATION
    document, problem = _json(response.body, redactor) if readable else (None, "")
    if succeeded and problem is not None:
        raise _invalid(operation, response, redactor, problem or _not_json(response, redactor))
    if not succeeded or _refuses(operation, document):
        raise _refusal(operation, response, document, redactor)
    try:
        result = operation.parse(document)
        if operation.check:
            operation.check(result)
    except UnexpectedAnswer as error:
        problem = str(error)
    else:
        return result
    raise _invalid(operation, response, redactor, problem, document)


def _json(body: bytes, redactor: Redactor) -> tuple[Any, str | None]:
    """The document in a body, and what is wrong with it ("" if nothing is). The decoder's error ends here."""
    try:
        parts = body.count(b"[") + body.count(b"{")
        if parts > MOST_PARTS:
            return None, f"the body has more than {MOST_PARTS:,} objects and lists"
        if parts > DEEPEST:
            check(body)
        return redactor.document(orjson.loads(body.removeprefix(b"\xef\xbb\xbf")), body), None
    except Unreadable as error:
        return None, f"the body is not readable JSON: it has {error}"
    except orjson.JSONDecodeError:
        return None, ""


def _refuses(operation: Operation[Any], document: object) -> bool:
    """Whether a 2xx body says that the request failed; the reference warns that bodies may."""
    answer = object_of(document)
    if operation.outcome_field and answer.get(operation.outcome_field):
        return False
    status = answer.get("status")
    if isinstance(status, str):
        return status.lower() == "error"
    return status is None and bool(first_details(answer.get("errors"), 1))


def _refusal(operation: Operation[Any], response: Response, document: object, redactor: Redactor) -> APIStatusError:
    answer = object_of(document)
    entries = tuple(_redacted(entry, redactor) for entry in first_details(answer.get("errors"), MOST_DETAILS))
    status = response.status
    if 200 <= status < 300:
        code = entries[0].code if entries else None
        kind = _error_class(_STATUS_OF_CODE.get(code or "", 0))
    else:
        kind = _error_class(status)
    request_id = _request_id(answer, response, redactor)
    words = [_in_words(entry, redactor) for entry in entries[:3]] + (["…"] if len(entries) > 3 else [])
    said = "; ".join(words) or _plain_words(answer, redactor) or redactor.excerpt(response.body)
    message = f"{operation.method} {operation.path} failed with status {status}"
    message += f": {said}" if said else ", without an explanation"
    message += f" (request id {request_id})." if request_id else "."
    message += f" {_advice(kind, status, explained=bool(entries))}"
    return kind(
        redactor.text(message),
        method=operation.method,
        path=redactor.text(operation.path),
        status_code=status,
        errors=entries,
        request_id=request_id,
        retry_after=retry_after(response.headers),
    )


def _error_class(status: int) -> type[APIStatusError]:
    return ServerError if status >= 500 else _BY_STATUS.get(status, APIStatusError)


def _advice(kind: type[APIStatusError], status: int, *, explained: bool) -> str:
    if 300 <= status < 400:
        return "Redirects are not followed, so that the key is sent to one host only. Check the base URL."
    if kind is NotFoundError and not explained:
        return f"{_ADVICE[kind]} Check the base URL too, since the answer is not in the API's form."
    return _ADVICE.get(kind, "Sending the same request again will probably fail again.")


def _in_words(entry: ErrorDetail, redactor: Redactor) -> str:
    words = redactor.line(": ".join(part for part in (entry.code, entry.message) if part))
    return f"{words} [field {redactor.line(entry.field)}]" if entry.field else words


def _plain_words(answer: dict[str, Any], redactor: Redactor) -> str:
    """The message of a JSON error that is not in the API's envelope."""
    said = (text(answer.get(name)) for name in ("message", "detail", "title"))
    return redactor.line(next((words for words in said if words), ""))


def _redacted(entry: ErrorDetail, redactor: Redactor) -> ErrorDetail:
    return ErrorDetail(*(redactor.text(part) if part else part for part in attrs.astuple(entry)))


def _request_id(answer: Mapping[str, Any], response: Response, redactor: Redactor) -> str | None:
    found = text(answer.get("requestId")) or response.headers.get("x-request-id")
    return redactor.line(found or "") or None


def _invalid(
    operation: Operation[Any], response: Response, redactor: Redactor, problem: str, document: Any = None
) -> InvalidResponseError:
    answer = object_of(document)
    request_id = _request_id(answer, response, redactor)
    message = (
        f"{operation.method} {operation.path} was answered with status {response.status}, but {problem}"
        f"{f' (request id {request_id})' if request_id else ''}. "
        f"{'' if operation.method == 'GET' else 'The request may have taken effect. '}"
        "Check the base URL, and whether a proxy answers in place of the API."
    )
    return InvalidResponseError(
        redactor.text(message),
        method=operation.method,
        path=redactor.text(operation.path),
        status_code=response.status,
        request_id=request_id,
    )


def _not_json(response: Response, redactor: Redactor) -> str:
    excerpt = redactor.excerpt(response.body)
    return f"the body is not JSON: {excerpt}" if excerpt else "the body is empty"
