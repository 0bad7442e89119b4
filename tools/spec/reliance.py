"""What the facade relies on, found out by letting it build each request and read each answer.

Each operation is built once with all arguments and once with the fewest, and reads an answer that takes note of what it
is asked for. The types that it can deal with are those that the overlay pins.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from databox.api import operations as facade
from databox.api.operations import Operation
from databox.api.reading import ENVELOPE, details
from databox.config import KEY_HEADER
from databox.ingest.batch import body_of_one_request
from tools.spec.overlay import Pin
from tools.spec.wire import Fact, Wire, blank

__all__ = ["Reliance", "reliance"]

_ARGUMENTS: Mapping[str, Any] = {
    "account_id": 1,
    "body": body_of_one_request([{"id": 1}]),
    "data_source_id": 1,
    "dataset_id": "dataset",
    "ingestion_id": "ingestion",
    "page": 1,
    "page_size": 1,
    "primary_keys": ["id"],
    "repeatable": False,
    "timezone": "UTC",
    "title": "title",
}
"""For every argument that a function of `operations` has."""


@attrs.frozen
class Reliance:
    """What the facade relies on in one operation."""

    facade: str
    """Its method for it, such as `accounts.list`."""
    places: Mapping[str, frozenset[str]]
    """The places in the `Wire`, each with the JSON types that it deals with; none where it takes what comes."""
    always_sent: frozenset[str]
    """The places that every request has."""


def reliance(pinned: list[Pin], overlaid: Wire) -> dict[str, Reliance]:
    """Return what the facade relies on, by operation.

    Args:
        pinned: the operations.
        overlaid: the wire after the overlay, which is what the generated code is made of.
    """
    return {key: _of(pin, overlaid[key]) for pin in pinned for key in [f"{pin.method.upper()} {blank(pin.path)}"]}


def _of(pin: Pin, facts: Mapping[str, Fact]) -> Reliance:
    build: Callable[..., Operation[Any]] = getattr(facade, pin.facade.replace(".", "_"))
    parameters = inspect.signature(build).parameters.values()
    most = {each.name: _ARGUMENTS[each.name] for each in parameters}
    least = {each.name: None if "None" in str(each.annotation) else most[each.name] for each in parameters}
    operation = build(**most)
    answer = _Noting.of(facts, "answer field ")
    operation.parse(answer)
    error = _Noting.of({}, "")
    details([error])
    read = {f"answer field {path}" for path in answer.noted | set(ENVELOPE)}
    read |= {f"error field {path}" for path in (*ENVELOPE, "errors", *(f"errors[].{name}" for name in error.noted))}
    key = f"key in header {KEY_HEADER}"
    places = _sent(operation) | read | {key, "JSON answer"}
    return Reliance(
        facade=pin.facade,
        places={place: facts[place].kinds if place in facts else frozenset() for place in places},
        always_sent=frozenset(_sent(build(**least)) | {key, f"header parameter {KEY_HEADER}"}),
    )


def _sent(operation: Operation[Any]) -> set[str]:
    places = {f"query parameter {name}" for name in operation.params}
    if operation.body:
        places |= {"JSON request"} | {f"request field {name}" for name in json.loads(operation.body)}
    return places


class _Noting(dict[str, Any]):
    """An answer that takes note of what it is asked for."""

    noted: set[str]
    _where: str

    @classmethod
    def of(cls, facts: Mapping[str, Fact], word: str, where: str = "", noted: set[str] | None = None) -> "_Noting":
        """Return an answer with all fields that are described under a word."""
        made = cls()
        made.noted = set() if noted is None else noted
        made._where = where
        prefix = f"{word}{where}"
        for place, fact in facts.items():
            name = place.removeprefix(prefix)
            if place.startswith(prefix) and name and not set(".[") & set(name):
                made[name] = cls._value(facts, word, f"{where}{name}", fact.kinds, made.noted)
        return made

    @classmethod
    def _value(cls, facts: Mapping[str, Fact], word: str, path: str, kinds: frozenset[str], noted: set[str]) -> Any:
        if "object" in kinds:
            return cls.of(facts, word, f"{path}.", noted)
        if "array" in kinds:
            return [cls.of(facts, word, f"{path}[].", noted)]
        return "1"

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, and take note."""
        self.noted.add(f"{self._where}{name}")
        return super().get(name, default)

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        self.noted.add(f"{self._where}{name}")
        return super().__contains__(name)
