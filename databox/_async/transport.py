"""The one place that sends: the key, time-outs, attempts, limits, errors."""

import copy
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar, cast

import httpx

from databox._async.connections import connections_for
from databox._async.runtime import HttpClient, Pause, aside, breathe, sleep
from databox.api.operations import Operation
from databox.config import Config
from databox.display import logger
from databox.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
)
from databox.forks import renewed_in_children
from databox.limit.rate import LATE, Log, Slot
from databox.limit.shared import shared_log
from databox.sending.exchange import USER_AGENT, Exchange
from databox.sending.frames import forget_locals
from databox.sending.policy import Options
from databox.sending.redaction import Redactor
from databox.sending.retry import LONGEST_RETRY_AFTER, Attempts, Effect, effect_of, wait_before_retry
from databox.sending.verdict import Response, read

T = TypeVar("T")

log = logger("databox")
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


class AsyncTransport:
    """Sends operations: within the limits, again where that is safe, and never past its time."""

    def __init__(self, config: Config, options: Options, http_client: HttpClient = None, app: str = "") -> None:
        if config.exposes_key:
            log.warning("The key will cross the network, and any proxy, unencrypted: %s is not https.", config.base_url)
        self.config = config
        self.options = options
        self._user_agent = USER_AGENT + app
        self.closed = False
        self.requests = 0
        """How many requests went out through this transport, repeated attempts included."""
        self._sleep: Pause = sleep
        self._closes = True
        self._connections = connections_for(config, http_client)
        self._log = self._shared_log()
        self._redactor = Redactor(config.key)
        self.after_fork()
        renewed_in_children(self)

    def after_fork(self) -> None:
        """Have a lock that no thread of the parent's holds."""
        self._counting = threading.Lock()

    def with_options(self, options: Options, pause: Pause = sleep) -> "AsyncTransport":
        """Return a transport on the same connections, which closing it leaves open; `pause` is how it waits."""
        other = copy.copy(self)
        other.options = options
        other.requests = 0
        other._sleep = pause
        other._closes = False
        other._log = other._shared_log()
        other.after_fork()
        renewed_in_children(other)
        return other

    def _shared_log(self) -> Log:
        limit = self.options.rate_limit
        return shared_log(self.config.key, self.config.host, limit.store if limit else None)

    async def aclose(self) -> None:
        """Close the connections, unless they belong to somebody else."""
        self.closed = True
        if self._closes:
            await self._connections.aclose()

    async def send(
        self, operation: Operation[T], attempts: Attempts | None = None, *, max_retries: int | None = None
    ) -> T:
        """Return the operation's result, after as many attempts as it takes and the options, or `max_retries`, allow.

        `attempts` is kept up to date about whether the operation may have taken effect, and when it was tried.

        Raises:
            APIError: the failure of the last attempt.
            RuntimeError: the client is closed.
        """
        attempt = 0
        attempts = attempts or Attempts()
        while True:
            if self.closed or self._connections.is_closed:
                raise RuntimeError("This client is closed. Make a new one, or leave its `with` block later.")
            slot = await self._slot()
            open_before, attempts.open = attempts.open, True
            attempts.again = open_before
            attempts.started_at = time.monotonic()
            try:
                return await self._attempt(operation, attempt, slot)
            except BaseException as error:
                forget_locals(error)
                if not isinstance(error, APIError):
                    raise
                failure = error
            if attempts.failed_at is None:
                attempts.failed_at = time.monotonic()
            if effect_of(failure) is Effect.OPEN:
                attempts.lost = failure
            attempts.open = open_before or effect_of(failure) is Effect.OPEN
            if attempts.open and operation.method == "DELETE" and isinstance(failure, NotFoundError):
                return cast("T", None)  # an earlier attempt deleted it; one that was refused cannot have
            wait = wait_before_retry(
                failure,
                attempt=attempt,
                max_retries=self.options.max_retries if max_retries is None else max_retries,
                repeatable=operation.repeatable
                and (operation.repeat_unreadable or not isinstance(failure, InvalidResponseError)),
            )
            await self._slow_down(failure, wait)
            attempt += 1
            if wait is None:
                if attempt > 1:
                    failure.add_note(f"This was attempt {attempt}.")
                raise failure
            await self._sleep(wait)

    async def _slot(self) -> Slot | None:
        """Wait until the limit lets one request out."""
        limit = self.options.rate_limit
        if limit is None:
            return None
        slot = await self._of_log(partial(self._log.reserve, time.monotonic(), limit))
        while not slot.granted:
            await self._sleep(max(0.0, slot.at - time.monotonic()))
            slot = await self._of_log(partial(self._log.claim, slot, time.monotonic(), limit))
        return slot

    async def _correct(self, slot: Slot | None, left: float | None) -> None:
        """Let others count from when the request left: a new connection may have held it up."""
        if slot is None or left is None or left - slot.at <= LATE:
            return
        with suppress(ConfigurationError):  # the next request will tell; this one's answer must not be lost to it
            await self._of_log(partial(self._log.correct, slot, left))

    async def _of_log(self, ask: Callable[[], T]) -> T:
        """Ask the log: at once in memory, and without holding others up where it is a file or far away."""
        limit = self.options.rate_limit
        return ask() if limit is None or limit.store is None else await aside(ask)

    async def _slow_down(self, failure: APIError, wait: float | None) -> None:
        """Let all who share the key wait when the server says that it is too much."""
        if not isinstance(failure, APIStatusError):
            return
        if isinstance(failure, RateLimitError) or failure.retry_after is not None:
            seconds = wait if failure.retry_after is None else failure.retry_after
            await self._of_log(partial(self._log.pause, time.monotonic(), min(seconds or 0.0, LONGEST_RETRY_AFTER)))

    async def _attempt(self, operation: Operation[T], attempt: int, slot: Slot | None) -> T:
        started = time.monotonic()
        outcome: object = "no answer"
        request_id = None
        try:
            response = await self._exchange(operation, slot)
            outcome = response.status
            result = read(operation, response, self._redactor)
        except APIError as error:
            request_id = getattr(error, "request_id", None)
            raise
        else:
            request_id = getattr(result, "request_id", None)
            return result
        finally:
            if log.isEnabledFor(logging.DEBUG):
                log.debug(
                    "%s %s: %s in %.0f ms (request id %s, attempt %d)",
                    operation.method,
                    self._redactor.text(operation.path),
                    outcome,
                    (time.monotonic() - started) * 1000,
                    request_id and self._redactor.line(request_id),
                    attempt + 1,
                )

    async def _exchange(self, operation: Operation[T], slot: Slot | None) -> Response:
        """Send one request and return the whole answer, or raise what kept it from arriving."""
        with self._counting:
            self.requests += 1
        query = f"?{httpx.QueryParams(operation.params)}" if operation.params else ""
        exchange = Exchange(
            operation.method, operation.path + query, operation.body, self.options.timeout, self._user_agent
        )
        try:
            await self._connections.run(exchange)
            exchange.answer = await self._decoded(exchange)
        except (httpx.RequestError, TimeoutError) as error:
            problem = error
        else:
            return Response(exchange.status or 0, exchange.headers, exchange.answer)
        finally:
            await self._correct(slot, exchange.left_at)
        if exchange.status is not None and not 200 <= exchange.status < 300:
            # The status has arrived and says no; that the rest did not come changes nothing.
            return Response(exchange.status, exchange.headers, exchange.answer)
        raise self._lost(operation, problem, exchange)

    async def _decoded(self, exchange: Exchange) -> bytes:
        """The body of an answer as it was before the server encoded it, though we ask for nothing of the kind."""
        coding = exchange.headers.get("content-encoding", "")
        if not coding:
            return exchange.answer
        from databox.sending.decoding import decoded  # hardly ever needed

        answer = bytearray()
        for part in decoded(coding, exchange.answer):
            answer += part
            exchange.check_size(len(answer))
            exchange.time_left()
            await breathe()
        return bytes(answer)

    def _lost(self, operation: Operation[T], problem: Exception, exchange: Exchange) -> APIError:
        """The error for an answer that did not arrive whole."""
        method, path = operation.method, self._redactor.text(operation.path)
        what = f"{method} {path}"
        reason = _ERRNO.sub("", self._redactor.line(str(problem))).rstrip(".") or type(problem).__name__
        if exchange.status is not None and isinstance(problem, httpx.DecodingError):
            message = (
                f"{what} was answered with status {exchange.status}, but the answer cannot be read: {reason}. "
                f"{'' if method == 'GET' else 'The request may have taken effect. '}"
                "Check the base URL, and whether a proxy answers in place of the API."
            )
            return InvalidResponseError(
                self._redactor.text(message), status_code=exchange.status, method=method, path=path
            )
        sent = exchange.sent or exchange.status is not None
        effect = "It may have taken effect." if sent else "It did not reach the API."
        if isinstance(problem, httpx.TimeoutException | TimeoutError):
            message = (
                f"{what} was not answered in full within {self.options.timeout} seconds. {effect} "
                "Try again later, or with a longer timeout."
            )
            return APITimeoutError(self._redactor.text(message), request_sent=sent, method=method, path=path)
        failed = "got no complete answer from" if sent else "could not connect to"
        message = (
            f"{what} {failed} {self.config.base_url}: {reason}. {effect} "
            "Check the base URL, the network and any proxy in between."
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
