r"""All exceptions, in one hierarchy.

A message says what failed (method and path), the status and code, the API's own message, the request id and what
to do next. It is one line, whatever it quotes: control characters are shown as escapes such as `\x1b`.
All exceptions can be pickled, and none ever contains the key: the transport redacts before it raises.

    DataboxError
    ├── ConfigurationError
    ├── InvalidRecordError            also a ValueError
    ├── APIError
    │   ├── APIConnectionError        no complete answer
    │   │   └── APITimeoutError       also a TimeoutError
    │   ├── InvalidResponseError      2xx, but not a valid answer
    │   └── APIStatusError            the API refused the request
    │       ├── BadRequestError 400, AuthenticationError 401, PermissionDeniedError 403, NotFoundError 404
    │       ├── ConflictError 409, RequestTooLargeError 413, RateLimitError 429
    │       └── ServerError 5xx
    ├── IngestError                   defined in `databox.report`, which it carries
    └── IngestionTimeoutError         also a TimeoutError

`docs/errors.md` has a section for each, with an example of its message, the cause and the remedy. Its anchor is the
name in lower case: `databox.errors#ratelimiterror`. Outcomes of rows have anchors too: `databox.errors#ambiguous`.
"""

from collections.abc import Sequence
from typing import Any

from databox.display import visible
from databox.models import ErrorDetail, Ingestion
from databox.wording import Message

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "DataboxError",
    "IngestionTimeoutError",
    "InvalidRecordError",
    "InvalidResponseError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTooLargeError",
    "ServerError",
]


class DataboxError(Exception):
    """The base class of all errors that this library raises."""

    def __init__(self, message: str) -> None:
        super().__init__(message if isinstance(message, Message) else visible(message))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__.copy())


def _restore(kind: type[DataboxError], args: tuple[Any, ...], state: dict[str, Any]) -> DataboxError:
    """Rebuild a pickled error without its constructor, whose keyword arguments pickle does not know."""
    error = kind.__new__(kind, *args)
    error.args = args  # TimeoutError is an OSError, which drops the arguments of __new__
    error.__dict__.update(state)
    return error


class ConfigurationError(DataboxError):
    """The key, base URL, configuration file or an environment variable is missing or cannot be used."""


class InvalidRecordError(DataboxError, ValueError):
    """A row, or a batch of rows, contains something that cannot be sent.

    `index` is the row's position in the input, starting at 0, and `column` the column at fault, if there is one.
    """

    def __init__(self, message: str, *, index: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.column = column


class APIError(DataboxError):
    """A request failed. The base class of all errors of a request."""

    def __init__(self, message: str, *, method: str, path: str) -> None:
        super().__init__(message)
        self.method = method
        self.path = path


class APIConnectionError(APIError):
    """The client could not connect, or did not receive a complete answer.

    `request_sent` is False if the request certainly did not reach the API, and True if it may have taken
    effect. `retryable` is False if a retry cannot help, as with an invalid certificate.
    """

    def __init__(self, message: str, *, method: str, path: str, request_sent: bool, retryable: bool = True) -> None:
        super().__init__(message, method=method, path=path)
        self.request_sent = request_sent
        self.retryable = retryable


class APITimeoutError(APIConnectionError, TimeoutError):
    """No complete answer arrived within `timeout` seconds."""


class InvalidResponseError(APIError):
    """A 2xx answer does not match the API: HTML, broken JSON, a missing id."""

    def __init__(
        self, message: str, *, method: str, path: str, status_code: int, request_id: str | None = None
    ) -> None:
        super().__init__(message, method=method, path=path)
        self.status_code = status_code
        self.request_id = request_id


class APIStatusError(APIError):
    """The API refused the request.

    `status_code` is the HTTP status as received (2xx if the refusal was in the body), `errors` are the API's
    error entries (at most 10,000), `code` and `field` those of the first entry, and `retry_after` is the number of
    seconds that the server asked to wait (at most a year).
    """

    def __init__(
        self,
        message: str,
        *,
        method: str,
        path: str,
        status_code: int,
        errors: Sequence[ErrorDetail] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, method=method, path=path)
        self.status_code = status_code
        self.errors = tuple(errors)
        self.code = self.errors[0].code if self.errors else None
        self.field = self.errors[0].field if self.errors else None
        self.request_id = request_id
        self.retry_after = retry_after


class BadRequestError(APIStatusError):
    """400: the request is not valid."""


class AuthenticationError(APIStatusError):
    """401: the key is missing, wrong or expired."""


class PermissionDeniedError(APIStatusError):
    """403: the key is valid, but does not have permission."""


class NotFoundError(APIStatusError):
    """404: the object does not exist, or is not visible to this key."""


class ConflictError(APIStatusError):
    """409: something that must be unique already exists."""


class RequestTooLargeError(APIStatusError):
    """413: the body is over the size limit."""


class RateLimitError(APIStatusError):
    """429: more than 10 requests in a second or 10,000 in an hour."""


class ServerError(APIStatusError):
    """5xx: the service failed, or something between the client and the service."""


class IngestionTimeoutError(DataboxError, TimeoutError):
    """The outcome of an ingestion was still open at the deadline. `ingestion` is its last known state."""

    def __init__(self, message: str, *, ingestion: Ingestion) -> None:
        super().__init__(message)
        self.ingestion = ingestion
