"""Whose an ingestion id is: what stands between client and API may give one answer to several requests."""

import threading

import attrs

__all__ = ["Claims"]


@attrs.frozen
class _Claim:
    """Whose an ingestion id is, and how many batches had gone out when it was told."""

    number: int
    before: int


class Claims:
    """The ingestion ids that the batches of a run were told. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone = 0
        self._went: dict[int, int] = {}
        """How many had gone out before each of those that are under way."""
        self._claims: dict[str, _Claim] = {}
        self._doubted: set[int] = set()

    def goes(self, number: int) -> None:
        """A request with a batch, or a part of one, goes out."""
        with self._lock:
            if number not in self._went:
                self._went[number] = self._gone
                self._gone += 1

    def ended(self, number: int) -> None:
        """No more requests go out with it."""
        self._went.pop(number, None)

    def may_have(self, number: int, ingestion_id: str, *, earlier: bool = False) -> bool:
        """Whether a batch may have an ingestion id, as no other one has it.

        Where another one has it, something repeated an answer. It is that one's if its answer was there before this
        batch went out; otherwise nobody knows whose it is, and the other one's acceptance is in doubt as well.
        An id from an earlier run was there before.
        """
        claim = self._claims.setdefault(ingestion_id, _Claim(number, 0 if earlier else self._gone))
        if claim.number != number and (earlier or self._went.get(number, 0) < claim.before):
            self._doubted.add(claim.number)
        return claim.number == number

    def doubted(self) -> int | None:
        """Return a batch whose id may be another one's, each once."""
        return self._doubted.pop() if self._doubted else None
