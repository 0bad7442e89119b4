"""Failures on demand."""

import random
import threading
from typing import Any, Literal

import attrs

__all__ = ["OPERATIONS", "Fault", "FaultBook"]

OPERATIONS = (
    "accounts.list",
    "accounts.list_data_sources",
    "accounts.list_timezones",
    "auth.validate_key",
    "data_sources.create",
    "data_sources.delete",
    "data_sources.list_datasets",
    "datasets.create",
    "datasets.delete",
    "datasets.purge",
    "datasets.create_ingestion",
    "datasets.list_ingestions",
    "datasets.get_ingestion",
)
"""The operations by the names of the client's methods."""


def _known(_: object, __: "attrs.Attribute[str]", value: str) -> None:
    names = {*OPERATIONS, *(name.partition(".")[2] for name in OPERATIONS), "*"}
    if value not in names:
        raise ValueError(f"There is no operation {value!r}. There are: {', '.join(sorted(names))}.")


def _within(low: float, high: float) -> Any:
    def check(_: object, attribute: "attrs.Attribute[float]", value: float | None) -> None:
        if value is not None and not low <= value <= high:
            raise ValueError(f"Fault.{attribute.name} must be {low} to {high}, not {value}.")

    return check


@attrs.frozen
class Fault:
    """Something that goes wrong with an operation.

    Args:
        operation: the last part of a client's method, such as `create_ingestion`; where two share it (`create`,
            `delete`, `list`), `datasets.create` means one of them. `*` means all.
        status: answer with this HTTP status, and do nothing. With a body and no status, 200.
        body: what to answer: a dict or list as JSON, text or bytes as they are. Without one, the error envelope.
        headers: further headers of that answer.
        delay: seconds to wait first.
        drop: close the connection "before" the request takes effect, or "after" it did.
        probability: how often it strikes, 0 to 1.
        times: how often it strikes at most; None for always.
    """

    operation: str = attrs.field(validator=_known)
    status: int | None = attrs.field(default=None, validator=_within(200, 599))
    body: Any = None
    headers: dict[str, str] | None = None
    delay: float = attrs.field(default=0.0, validator=_within(0, 3600))
    drop: Literal["before", "after"] | None = attrs.field(
        default=None, validator=attrs.validators.in_(["before", "after", None])
    )
    probability: float = attrs.field(default=1.0, validator=_within(0, 1))
    times: int | None = attrs.field(default=None, validator=_within(1, 2**31))

    def concerns(self, operation: str) -> bool:
        """Return whether this is about an operation, given by its full name."""
        return self.operation in {"*", operation, operation.partition(".")[2]}


@attrs.define
class _Waiting:
    fault: Fault
    struck: int = 0


class FaultBook:
    """The faults that wait to strike, in the order they were injected."""

    def __init__(self, seed: int) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self.clear()

    def clear(self) -> None:
        """Forget all faults, and start the chances anew."""
        with self._lock:
            self._waiting: list[_Waiting] = []
            self._random = random.Random(self._seed)

    def add(self, fault: Fault) -> None:
        """Let a fault wait."""
        with self._lock:
            self._waiting.append(_Waiting(fault))

    def next_for(self, operation: str) -> Fault | None:
        """Return the first fault that strikes this request."""
        with self._lock:
            for waiting in self._waiting:
                fault = waiting.fault
                if not fault.concerns(operation) or waiting.struck == fault.times:
                    continue
                if fault.probability < 1 and self._random.random() >= fault.probability:
                    continue
                waiting.struck += 1
                return fault
        return None
