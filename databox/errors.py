r"""Everything that can go wrong, as one tree of exceptions.

A message says what failed (method and path), the status and code, the API's own words, the request id and what
to do next. It is one line, whatever it quotes: control characters and the like are shown as `\x1b`, not passed on.
All of them pickle, and none ever holds the key: the transport redacts before it raises.

    DataboxError
    ├── ConfigurationError
    ├── InvalidRecordError            also a ValueError
    ├── APIError
    │   ├── APIConnectionError        no whole answer
    │   │   └── APITimeoutError       also a TimeoutError
    │   ├── InvalidResponseError      2xx, and not what the API promises
    │   └── APIStatusError            the API said no
    │       ├── BadRequestError 400, AuthenticationError 401, PermissionDeniedError 403, NotFoundError 404
    │       ├── ConflictError 409, RequestTooLargeError 413, RateLimitError 429
    │       └── ServerError 5xx
    ├── IngestError                   in `report`, which it carries
    └── IngestionTimeoutError         also a TimeoutError

`docs/errors.md` has a section for each, with an example of its message, the cause and the remedy. Its anchor is the
name in lower case: `databox.errors#ratelimiterror`; so have outcomes of rows, as in `databox.errors#ambiguous`.
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
    """Any error that this library raises on its own account."""

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
    """The key, base URL, configuration file or a variable of the environment is missing or cannot be used."""


class InvalidRecordError(DataboxError, ValueError):
    """A row, or a batch of rows, cannot be sent as it is.

    `index` is the row's place in the input, from 0, and `column` the column at fault, where there is one.
    """

    def __init__(self, message: str, *, index: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.column = column


class APIError(DataboxError):
    """A request that did not end in the promised answer."""

    def __init__(self, message: str, *, method: str, path: str) -> None:
        super().__init__(message)
        self.method = method
        self.path = path


class APIConnectionError(APIError):
    """No whole answer arrived.

    `request_sent` is False when the request surely never reached the API, and True when it may have taken
    effect. `retryable` is False when trying again cannot help, as with a certificate that does not fit.
    """

    def __init__(self, message: str, *, method: str, path: str, request_sent: bool, retryable: bool = True) -> None:
        super().__init__(message, method=method, path=path)
        self.request_sent = request_sent
        self.retryable = retryable


class APITimeoutError(APIConnectionError, TimeoutError):
    """No whole answer arrived within `timeout` seconds."""


class InvalidResponseError(APIError):
    """A 2xx answer that is not what the API promises: HTML, broken JSON, a missing id."""

    def __init__(
        self, message: str, *, method: str, path: str, status_code: int, request_id: str | None = None
    ) -> None:
        super().__init__(message, method=method, path=path)
        self.status_code = status_code
        self.request_id = request_id


class APIStatusError(APIError):
    """The API said no.

    `status_code` is the HTTP status as it came (2xx when the refusal was in the body), `errors` are the API's
    entries (10,000 at most), `code` and `field` those of the first, `retry_after` the seconds that the server asked
    to wait (a year at most).
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
    """403: the key is known, but not allowed to do this."""


class NotFoundError(APIStatusError):
    """404: there is no such thing, or it is not visible to this key."""


class ConflictError(APIStatusError):
    """409: something that must be unique is there already."""


class RequestTooLargeError(APIStatusError):
    """413: the body is over the size limit."""


class RateLimitError(APIStatusError):
    """429: more than 10 requests in a second or 10,000 in an hour."""


class ServerError(APIStatusError):
    """5xx: the service failed, or something between here and it."""


class IngestionTimeoutError(DataboxError, TimeoutError):
    """The outcome of an ingestion was still open at the deadline. `ingestion` is its last known state."""

    def __init__(self, message: str, *, ingestion: Ingestion) -> None:
        super().__init__(message)
        self.ingestion = ingestion
