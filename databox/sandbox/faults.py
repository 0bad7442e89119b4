"""Failures on demand."""

import json
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, cast

import attrs

from databox.display import visible
from databox.sandbox.handlers import OPERATIONS

__all__ = ["Fault", "FaultBook"]

Row = dict[str, Any]
When = Callable[[Row], object] | dict[str, Any]
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"|[!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?")
_NAMES = tuple(operation.name for operation in OPERATIONS)


def _known(_: object, __: "attrs.Attribute[str]", value: str) -> None:
    names = {*_NAMES, *(name.partition(".")[2] for name in _NAMES), "*"}
    if value not in names:
        raise ValueError(f"There is no operation {value!r}. The operations are: {', '.join(map(repr, sorted(names)))}.")


def _can_be_sent(_: object, attribute: "attrs.Attribute[Any]", body: Any) -> None:
    if isinstance(body, dict | list):
        try:
            json.dumps(body)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"Fault.{attribute.name} is not JSON: {visible(str(error))}. Pass text or bytes."
            ) from None


def _are_headers(_: object, attribute: "attrs.Attribute[Any]", headers: Any) -> None:
    if headers is None:
        return
    pairs = cast("dict[object, object]", headers).items() if isinstance(headers, dict) else [(headers, None)]
    for name, value in pairs:
        if not (isinstance(name, str) and _NAME.fullmatch(name) and isinstance(value, str) and _VALUE.fullmatch(value)):
            raise ValueError(
                f"Fault.{attribute.name} must be a dict of valid HTTP header names and values, both text: {name!r}."
            )


def _within(low: float, high: float) -> Any:
    def check(_: object, attribute: "attrs.Attribute[float]", value: float | None) -> None:
        if value is not None and not low <= value <= high:
            raise ValueError(f"Fault.{attribute.name} must be {low} to {high}, not {value}.")
        if value is not None and isinstance(low, int) and not isinstance(value, int):
            raise ValueError(f"Fault.{attribute.name} must be a whole number, not {value}.")

    return check


def _tells_records(_: object, __: "attrs.Attribute[Any]", value: Any) -> None:
    if isinstance(value, dict):
        pair = cast("dict[str, object]", value)
        fits = pair.keys() == {"column", "value"} and isinstance(pair["column"], str)
    else:
        fits = value is None or callable(value)
    if not fits:
        raise ValueError('Fault.when must be a function of a record, or {"column": a name, "value": a value}.')


@attrs.frozen
class Fault:
    """A failure of an operation, to be injected with `Sandbox.inject`.

    Args:
        operation: the last part of a client's method, such as `create_ingestion`; if two share it (`create`,
            `delete`), `datasets.create` names one of them. `*` means all.
        status: answer with this HTTP status, and do nothing. Defaults to 200 if there is a body.
        body: the answer: a dict or list as JSON, text or bytes unchanged. Defaults to the error envelope.
        headers: additional headers of that answer.
        delay: seconds to wait first.
        drop: close the connection "before" or "after" the request takes effect.
        probability: the probability that it strikes, 0 to 1.
        times: how often it strikes at most; None for no limit.
        after: the number of requests that it lets through first.
        seconds: for how long it strikes, starting with the first time: an outage; None for no limit.
        when: strike only requests with a record for which this is true: a function of the record, or a column and
            its value, `{"column": "amount", "value": "n/a"}`. Unless the fault has its own answer, it
            refuses with 400, and names the record.

    Raises:
        ValueError: there is no such operation, or a value is out of range.
    """

    operation: str = attrs.field(validator=_known)
    status: int | None = attrs.field(default=None, validator=_within(200, 599))
    body: Any = attrs.field(default=None, validator=_can_be_sent)
    headers: dict[str, str] | None = attrs.field(default=None, validator=_are_headers)
    delay: float = attrs.field(default=0.0, validator=_within(0.0, 3600.0))
    drop: Literal["before", "after"] | None = attrs.field(
        default=None, validator=attrs.validators.in_(["before", "after", None])
    )
    probability: float = attrs.field(default=1.0, validator=_within(0.0, 1.0))
    times: int | None = attrs.field(default=None, validator=_within(1, 2**31))
    after: int = attrs.field(default=0, validator=_within(0, 2**31))
    seconds: float | None = attrs.field(default=None, validator=_within(0.0, 1e9))
    when: Callable[[dict[str, Any]], object] | dict[str, Any] | None = attrs.field(
        default=None, validator=_tells_records
    )

    @property
    def answers(self) -> bool:
        """Whether it answers instead of the operation."""
        return not (self.status is None and self.body is None and self.headers is None)

    @property
    def refuses(self) -> bool:
        """Whether it refuses records without an answer of its own."""
        return self.when is not None and self.body is None and self.drop is None

    def record_in(self, body: bytes) -> int | None:
        """Return the position of the first record in a request's body that it matches, or None."""
        try:
            records: object = json.loads(body)["records"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return None
        if not isinstance(records, list):
            return None
        rows = enumerate(cast("list[object]", records))
        return next((n for n, row in rows if isinstance(row, dict) and self._is_about(cast("Row", row))), None)

    def _is_about(self, record: "Row") -> bool:
        if self.when is None or callable(self.when):
            return self.when is not None and bool(self.when(record))
        found, value = record.get(self.when["column"]), self.when["value"]
        return found == value and isinstance(found, bool) is isinstance(value, bool)

    def concerns(self, operation: str) -> bool:
        """Return whether the fault applies to an operation, given by its full name."""
        return self.operation in {"*", operation, operation.partition(".")[2]}


class FaultBook:
    """The pending faults, in the order in which they were injected."""

    def __init__(self, seed: int) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self.clear()

    def clear(self) -> None:
        """Remove all faults, and reset the random numbers."""
        with self._lock:
            self._waiting: list[_Waiting] = []
            self._random = random.Random(self._seed)

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        with self._lock:
            self._waiting.append(_Waiting(fault))

    def sow(self, seed: int) -> None:
        """Reset the random numbers with another seed."""
        with self._lock:
            self._seed = seed
            self._random = random.Random(seed)

    def waiting(self) -> list[tuple[Fault, int]]:
        """Return the pending faults, and how often each has struck."""
        now = time.monotonic()
        with self._lock:
            return [(waiting.fault, waiting.struck) for waiting in self._waiting if not waiting.is_over(now)]

    def next_for(self, operation: str, body: bytes = b"") -> Fault | None:
        """Return the first fault that strikes this request."""
        now = time.monotonic()
        with self._lock:
            self._waiting = [waiting for waiting in self._waiting if not waiting.is_over(now)]
            for waiting in self._waiting:
                if waiting.fault.concerns(operation) and self._strikes(waiting, body):
                    waiting.struck += 1
                    waiting.since = waiting.since or now
                    if waiting.struck == waiting.fault.times:
                        self._waiting.remove(waiting)
                    return waiting.fault
        return None

    def _strikes(self, waiting: "_Waiting", body: bytes) -> bool:
        fault = waiting.fault
        if fault.when is not None and fault.record_in(body) is None:
            return False
        if waiting.passed < fault.after:
            waiting.passed += 1
            return False
        return fault.probability >= 1 or self._random.random() < fault.probability


@attrs.define(eq=False)
class _Waiting:
    fault: Fault
    struck: int = 0
    passed: int = 0
    """The number of requests that it has let through."""
    since: float | None = None
    """When it first struck."""

    def is_over(self, now: float) -> bool:
        """Whether its time is over."""
        seconds = self.fault.seconds
        return self.since is not None and seconds is not None and now >= self.since + seconds
