"""Which batch an ingestion id belongs to: a cache or proxy may give the same answer to several requests."""

import threading

import attrs

__all__ = ["Claims"]


@attrs.frozen
class _Claim:
    """The batch that an ingestion id belongs to, and how many batches had been sent when it arrived."""

    number: int
    before: int


class Claims:
    """The ingestion ids that the batches of a run received. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone = 0
        self._went: dict[int, int] = {}
        """How many batches had been sent before each batch in flight."""
        self._claims: dict[str, _Claim] = {}
        self._doubted: set[int] = set()

    def goes(self, number: int) -> None:
        """Record that a request with a batch, or a part of one, is sent."""
        with self._lock:
            if number not in self._went:
                self._went[number] = self._gone
                self._gone += 1

    def ended(self, number: int) -> None:
        """Record that no more requests are sent for it."""
        self._went.pop(number, None)

    def may_have(self, number: int, ingestion_id: str, *, earlier: bool = False) -> bool:
        """Whether an ingestion id may belong to a batch, because no other batch has it.

        If another batch has it, something repeated an answer. The id belongs to that batch if its answer arrived before
        this batch was sent; otherwise the owner is unknown, and the other batch's acceptance is in doubt as well.
        An id from an earlier run arrived before.
        """
        claim = self._claims.setdefault(ingestion_id, _Claim(number, 0 if earlier else self._gone))
        if claim.number != number and (earlier or self._went.get(number, 0) < claim.before):
            self._doubted.add(claim.number)
        return claim.number == number

    def doubted(self) -> int | None:
        """Return a batch whose id may belong to another one, each once."""
        return self._doubted.pop() if self._doubted else None
