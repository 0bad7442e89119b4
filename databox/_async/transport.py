"""The only place that sends: the key, time-outs, attempts, limits, errors."""

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
from databox._async.runtime import HttpClient, Pause, aside, breathe, sleep, uncancelled
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
from databox.forks import renewed_in_children, undivided
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
    """Sends operations: within the limits, with retries where they are safe, and never beyond the time-out."""

    def __init__(self, config: Config, options: Options, http_client: HttpClient = None, app: str = "") -> None:
        if config.exposes_key:
            log.warning("The key will cross the network, and any proxy, unencrypted: %s is not https.", config.base_url)
        self.config = config
        self.options = options
        self._user_agent = USER_AGENT + app
        self.closed = False
        self.requests = 0
        """How many requests were sent through this transport, including retries."""
        self._sleep: Pause = sleep
        self._closes = True
        self._connections = connections_for(config, http_client)
        self._log = self._shared_log()
        self._redactor = Redactor(config.key)
        self.after_fork()
        renewed_in_children(self)

    def after_fork(self) -> None:
        """Use a new lock that no thread of the parent holds."""
        self._counting = threading.Lock()

    def with_options(self, options: Options, pause: Pause = sleep) -> "AsyncTransport":
        """Return a transport on the same connections, which stay open when it is closed; `pause` is how it waits."""
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
        """Close the connections, unless they belong to someone else."""
        self.closed = True
        if self._closes:
            await self._connections.aclose()

    async def send(
        self, operation: Operation[T], attempts: Attempts | None = None, *, max_retries: int | None = None
    ) -> T:
        """Return the operation's result, after as many attempts as needed and allowed by the options or `max_retries`.

        `attempts` records whether the operation may have taken effect, and when it was tried.

        Raises:
            APIError: the failure of the last attempt.
            RuntimeError: the client is closed.
        """
        attempt = 0
        attempts = attempts or Attempts()
        failure: APIError | None = None
        while True:
            if self.closed or self._connections.is_closed:
                raise RuntimeError("This client is closed. Create a new one, or use it inside its `with` block.")
            try:
                slot = await self._slot()
            except ConfigurationError as error:
                if failure is None:
                    raise
                failure.add_note(f"It was not tried again: {error}")
                raise failure from None
            open_before, attempts.open = attempts.open, True
            attempts.again = open_before
            attempts.started_at = time.monotonic()
            try:
                return await self._attempt(operation, attempt, slot, attempts)
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
                return cast("T", None)  # an earlier attempt deleted it; a refused one cannot have
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
        """Wait until the limit allows one request."""
        limit = self.options.rate_limit
        if limit is None:
            return None
        slot = await self._of_log(partial(self._log.reserve, time.monotonic(), limit))
        try:
            while not slot.granted:
                await self._sleep(max(0.0, slot.at - time.monotonic()))
                slot = await self._of_log(partial(self._log.claim, slot, time.monotonic(), limit))
        except BaseException as error:
            if not isinstance(error, ConfigurationError | GeneratorExit):  # cancelled, or interrupted
                with suppress(ConfigurationError), uncancelled():
                    await self._of_log(partial(self._log.release, slot))
            raise
        return slot

    async def _correct(self, slot: Slot | None, left: float | None) -> None:
        """Record when the request really left: a new connection may have delayed it."""
        if slot is None or left is None or left - slot.at <= LATE:
            return
        with suppress(ConfigurationError):  # the next request reports it; this one's answer must not be lost
            await self._of_log(partial(self._log.correct, slot, left))

    async def _of_log(self, ask: Callable[[], T]) -> T:
        """Ask the log: directly in memory, and without blocking others if it is a file or remote."""
        limit = self.options.rate_limit
        return ask() if limit is None or limit.store is None else await aside(ask)

    async def _slow_down(self, failure: APIError, wait: float | None) -> None:
        """Pause all clients that share the key if the server reports too many requests."""
        if not isinstance(failure, APIStatusError):
            return
        if isinstance(failure, RateLimitError) or failure.retry_after is not None:
            seconds = wait if failure.retry_after is None else failure.retry_after
            pause = partial(self._log.pause, time.monotonic(), min(seconds or 0.0, LONGEST_RETRY_AFTER))
            with suppress(ConfigurationError):  # the next request reports it; this failure must not be lost
                await self._of_log(pause)

    async def _attempt(self, operation: Operation[T], attempt: int, slot: Slot | None, attempts: Attempts) -> T:
        started = time.monotonic()
        outcome: object = "no answer"
        request_id = None
        try:
            response = await self._exchange(operation, slot, attempts)
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

    async def _exchange(self, operation: Operation[T], slot: Slot | None, attempts: Attempts) -> Response:
        """Send one request and return the complete answer, or raise an error."""
        with self._counting:
            self.requests += 1
        target = operation.path
        if operation.params:  # the path may have a query of its own
            target += f"{'&' if '?' in target else '?'}{httpx.QueryParams(operation.params)}"
        exchange = Exchange(operation.method, target, operation.body, self.options.timeout, self._user_agent)
        try:
            await self._connections.run(exchange)
            exchange.check_sent()
            exchange.answer = await self._decoded(exchange)
        except (httpx.RequestError, TimeoutError) as error:
            problem = error
        except BaseException:
            if not exchange.sent:  # interrupted while connecting
                attempts.open = attempts.again
            raise
        else:
            return Response(exchange.status or 0, exchange.headers, exchange.answer)
        finally:
            await self._correct(slot, exchange.left_at)
        if exchange.status is not None and not 200 <= exchange.status < 300:
            # The status has arrived and is a refusal; that the rest is missing changes nothing.
            return Response(exchange.status, exchange.headers, exchange.answer)
        raise self._lost(operation, problem, exchange)

    async def _decoded(self, exchange: Exchange) -> bytes:
        """The decoded body of an answer that the server encoded, although the client did not ask for that."""
        coding = exchange.headers.get("content-encoding", "")
        if not coding or not exchange.answer:
            return exchange.answer
        with undivided:
            from databox.sending.decoding import decoded  # rarely needed

        answer = bytearray()
        for part in decoded(coding, exchange.answer):
            answer += part
            exchange.check_size(len(answer))
            exchange.time_left()
            await breathe()
        return bytes(answer)

    def _lost(self, operation: Operation[T], problem: Exception, exchange: Exchange) -> APIError:
        """The error for an answer that did not arrive completely."""
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
        effect = "It may have taken effect." if sent else "Nothing was sent."
        if isinstance(problem, httpx.TimeoutException | TimeoutError):
            message = (
                f"{what} timed out after {self.options.timeout} seconds. {effect} "
                "Try again later, or set a longer timeout."
            )
            return APITimeoutError(self._redactor.text(message), request_sent=sent, method=method, path=path)
        failed = "received no complete answer from" if sent else "could not connect to"
        by = f" through the proxy {self._connections.proxy}" if self._connections.proxy else ""
        message = (
            f"{what} {failed} {self.config.base_url}{by}: {reason}. {effect} "
            "Check the base URL, the network and any proxy on the way."
        )
        return APIConnectionError(
            self._redactor.text(message),
            request_sent=sent,
            retryable=not _is_certificate(problem),
            method=method,
            path=path,
        )


def _is_certificate(problem: BaseException | None) -> bool:
    """Whether the server's certificate is at fault, which a retry cannot fix."""
    while problem is not None:
        if isinstance(problem, ssl.SSLCertVerificationError):
            return True
        problem = problem.__cause__ or problem.__context__
    return False
