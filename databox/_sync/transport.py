# Derived from databox/_async/transport.py by tools/unasync.py; edit that one.
"""The one place that sends: the key, time-outs, attempts, limits, errors."""

import copy
import logging
import platform
import ssl
import threading
import time
from collections.abc import Generator
from typing import TypeVar, cast

import httpx

from databox._sync.runtime import CLIENT_TYPE, Deadline, Pause, SendTrace, new_http_client, sleep
from databox.config import Config, Secret
from databox.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
)
from databox.limits import shared_log
from databox.operations import Operation
from databox.options import Options
from databox.responses import Redactor, Response, read
from databox.retry import LONGEST_RETRY_AFTER, Attempts, Effect, effect_of, wait_before_retry
from databox.version import VERSION

T = TypeVar("T")

log = logging.getLogger("databox")

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer; more is not an answer of this API and would only fill the memory."""

USER_AGENT = f"databox-sdk/{VERSION} python/{platform.python_version()}"


class _KeyHeader(httpx.Auth):
    """Adds the key at the last moment, so that no request object shows it before."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["x-api-key"] = self._key.reveal()
        yield request


class Transport:
    """Sends operations: within the limits, again where that is safe, and never past its time."""

    def __init__(self, config: Config, options: Options, http_client: httpx.Client | None = None) -> None:
        if http_client is not None and not isinstance(http_client, CLIENT_TYPE):
            expected = f"httpx.{CLIENT_TYPE.__name__}"
            raise TypeError(f"http_client must be an {expected}, not {type(http_client).__name__}.")
        if config.exposes_key:
            log.warning("The key will cross the network unencrypted: %s is not https.", config.base_url)
        self.config = config
        self.options = options
        self.closed = False
        self._counting = threading.Lock()
        self.requests = 0
        """How many requests went out through this transport, repeated attempts included."""
        self._sleep: Pause = sleep
        self._own = http_client is None
        self._closes = self._own
        self._http = http_client or new_http_client()
        self._log = shared_log(config.key.reveal(), config.host)
        self._redactor = Redactor(config.key)
        self._auth = _KeyHeader(config.key)

    def with_options(self, options: Options, pause: Pause = sleep) -> "Transport":
        """Return a transport on the same connections, which closing it leaves open; `pause` is how it waits."""
        other = copy.copy(self)
        other.options = options
        other.requests = 0
        other._sleep = pause
        other._closes = False
        return other

    def close(self) -> None:
        """Close the connections, unless they belong to somebody else."""
        self.closed = True
        if self._closes:
            self._http.close()

    def send(self, operation: Operation[T], attempts: Attempts | None = None) -> T:
        """Return the operation's result, after as many attempts as it takes and the options allow.

        `attempts` is kept up to date about whether the operation may have taken effect.

        Raises:
            APIError: the failure of the last attempt.
            RuntimeError: the client is closed.
        """
        attempt = 0
        attempts = attempts or Attempts()
        while True:
            if self.closed or self._http.is_closed:
                raise RuntimeError("This client is closed. Make a new one, or leave its `with` block later.")
            self._wait_for_slot()
            open_before, attempts.open = attempts.open, True
            try:
                return self._attempt(operation, attempt)
            except APIError as error:
                failure = error
            attempts.open = open_before or effect_of(failure) is Effect.OPEN
            if attempt and operation.method == "DELETE" and isinstance(failure, NotFoundError):
                return cast("T", None)  # an earlier attempt deleted it
            wait = wait_before_retry(
                failure,
                attempt=attempt,
                max_retries=self.options.max_retries,
                repeatable=operation.repeatable
                and (operation.repeat_unreadable or not isinstance(failure, InvalidResponseError)),
            )
            self._slow_down(failure, wait)
            attempt += 1
            if wait is None:
                if attempt > 1:
                    failure.add_note(f"This was attempt {attempt}.")
                raise failure
            self._sleep(wait)

    def _wait_for_slot(self) -> None:
        limit = self.options.rate_limit
        if limit is None:
            return
        slot = self._log.reserve(time.monotonic(), limit)
        while (wait := slot.at - time.monotonic()) > 0:
            self._sleep(wait)
            if not self._log.holds(slot):  # the server asked everybody to wait meanwhile
                slot = self._log.reserve(time.monotonic(), limit)

    def _slow_down(self, failure: APIError, wait: float | None) -> None:
        """Let all who share the key wait when the server says that it is too much."""
        if not isinstance(failure, APIStatusError):
            return
        if isinstance(failure, RateLimitError) or failure.retry_after is not None:
            seconds = wait if failure.retry_after is None else failure.retry_after
            self._log.pause(time.monotonic(), min(seconds or 0.0, LONGEST_RETRY_AFTER))

    def _attempt(self, operation: Operation[T], attempt: int) -> T:
        started = time.monotonic()
        outcome: object = "no answer"
        request_id = None
        try:
            response = self._exchange(operation)
            outcome = response.status
            result = read(operation, response, self._redactor)
        except APIError as error:
            request_id = getattr(error, "request_id", None)
            raise
        else:
            request_id = getattr(result, "request_id", None)
            return result
        finally:
            log.debug(
                "%s %s: %s in %.0f ms (request id %s, attempt %d)",
                operation.method,
                self._redactor.text(operation.path),
                outcome,
                (time.monotonic() - started) * 1000,
                request_id,
                attempt + 1,
            )

    def _exchange(self, operation: Operation[T]) -> Response:
        """Send one request and return the whole answer, or raise what kept it from arriving."""
        with self._counting:
            self.requests += 1
        trace = SendTrace()
        response: httpx.Response | None = None
        body = bytearray()
        try:
            with Deadline(self.options.timeout) as deadline:
                response = self._http.send(
                    self._request(operation, trace), auth=self._auth, follow_redirects=False, stream=True
                )
                try:
                    for part in response.iter_bytes():
                        body += part
                        deadline.check()
                        if len(body) > LARGEST_ANSWER:
                            raise httpx.DecodingError("the answer is larger than 64 MiB")
                finally:
                    response.close()
        except (httpx.RequestError, TimeoutError) as error:
            problem = error
        else:
            return Response(response.status_code, response.headers, bytes(body))
        if response is not None and not response.is_success:
            # The status has arrived and says no; that the rest did not come changes nothing.
            return Response(response.status_code, response.headers, bytes(body))
        raise self._lost(operation, problem, trace, response)

    def _request(self, operation: Operation[T], trace: SendTrace) -> httpx.Request:
        headers = {"accept": "application/json", "user-agent": USER_AGENT}
        if operation.body is not None:
            headers["content-type"] = "application/json"
        return self._http.build_request(
            operation.method,
            self.config.base_url + operation.path,
            params=operation.params or None,
            content=operation.body,
            headers=headers,
            timeout=self.options.timeout,
            extensions={"trace": trace},
        )

    def _lost(
        self, operation: Operation[T], problem: Exception, trace: SendTrace, response: httpx.Response | None
    ) -> APIError:
        """The error for an answer that did not arrive whole."""
        method, path = operation.method, self._redactor.text(operation.path)
        what = f"{method} {path}"
        if response is not None and isinstance(problem, httpx.DecodingError):
            message = f"{what} was answered with status {response.status_code}, but cannot be decoded: {problem}."
            return InvalidResponseError(
                self._redactor.text(message), status_code=response.status_code, method=method, path=path
            )
        # Without a trace (a transport of the caller's that has none) only a failed connection proves anything.
        untouched = isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        sent = response is not None or trace.sent or not (trace.seen or self._own or untouched)
        effect = "It may have taken effect." if sent else "It did not reach the API."
        if isinstance(problem, httpx.TimeoutException | TimeoutError):
            message = (
                f"{what} got no whole answer within {self.options.timeout} seconds. {effect} "
                "Try again later, or give the client a longer timeout."
            )
            return APITimeoutError(self._redactor.text(message), request_sent=sent, method=method, path=path)
        reason = str(problem) or type(problem).__name__
        message = (
            f"{what} got no whole answer from {self.config.base_url}: {reason}. {effect} "
            "Check base_url and the network."
        )
        return APIConnectionError(
            self._redactor.text(message),
            request_sent=sent,
            retryable=not _is_certificate(problem),
            method=method,
            path=path,
        )


def _is_certificate(problem: BaseException | None) -> bool:
    """Whether the server's certificate is at fault, which another attempt will not mend."""
    while problem is not None:
        if isinstance(problem, ssl.SSLCertVerificationError):
            return True
        problem = problem.__cause__ or problem.__context__
    return False
