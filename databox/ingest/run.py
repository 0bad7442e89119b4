"""What has become of every row so far, and what may be done next: decisions without I/O.

Both clients drive one of these: they tell it what happened, and it says which batch may go, whether to go on, and in
the end what to report. Whatever the order of events, every row that was taken ends in exactly one place.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import attrs

from databox.errors import (
    APIError,
    AuthenticationError,
    DataboxError,
    InvalidRecordError,
    NotFoundError,
    PermissionDeniedError,
)
from databox.ingest.batch import Batch
from databox.ingest.outcomes import Invalid, Sent, compact, without_frames
from databox.ingest.resume import Earlier
from databox.ingest.settle import Shares
from databox.report import IngestReport, Outcome
from databox.sending.retry import Effect, effect_of

__all__ = ["Answer", "Run"]

_SHARED = "The answer named an ingestion that another batch, under way at the same time, got as well"
FATAL = (AuthenticationError, PermissionDeniedError, NotFoundError)
"""What every later batch would meet as well."""


@attrs.frozen
class Answer:
    """How the sending of a batch ended.

    `open` says that an attempt may have taken effect although no answer to it could be read. Without an ingestion id
    and an error the sending was interrupted.
    """

    ingestion_id: str | None = None
    error: APIError | None = None
    open: bool = False

    @property
    def outcome(self) -> Outcome:
        """What that makes of the batch."""
        if self.ingestion_id is not None:
            return "accepted"
        if self.open:
            return "ambiguous"
        if self.error is None:
            return "unsent"
        return "ambiguous" if effect_of(self.error) is Effect.OPEN else "failed"


@attrs.frozen
class _Claim:
    """Whose an ingestion id is, and the last batch that had gone out when it was told."""

    number: int
    latest: int


class Run:
    """One ingest. Batches go by their number, from 0, in the order in which they were cut."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._sent: list[Sent] = []
        self._invalid = Invalid()
        self._in_flight: dict[int, frozenset[bytes]] = {}
        self._held: set[bytes] = set()
        self._latest = -1
        self._claims: dict[str, _Claim] = {}
        self._doubted: set[int] = set()
        self.counts: Counter[Outcome] = Counter()
        """Rows by outcome."""
        self.rows = 0
        """Rows taken from the source."""
        self.stopped = False
        """Whether nothing more is to be sent: later batches would meet the same refusal."""
        self.answered_batches = 0
        """Batches of which it is known how their sending ended."""
        self.open_batches = 0
        """Accepted batches with rows of which no outcome is known."""
        self.verified_rows = 0
        """Rows of which the server has told what became of them."""
        self.uncounted_rows = 0
        """Rows of ingestions that the list calls done."""

    # What may be done

    @property
    def batches(self) -> int:
        """How many batches were cut."""
        return len(self._sent)

    @property
    def busy(self) -> int:
        """How many batches are in flight."""
        return len(self._in_flight)

    def has_room(self) -> bool:
        """Whether another batch may be in flight, so that reading on makes sense."""
        return len(self._in_flight) < self._concurrency

    def may_go(self, batch: Batch) -> bool:
        """Whether a batch may go now: there is room, and no row of one of its keys is in flight."""
        return self.has_room() and self._held.isdisjoint(batch.keys)

    @property
    def end_row(self) -> int:
        """The place after the last row that was cut."""
        return self._sent[-1].end_row if self._sent else 0

    @property
    def last_invalid(self) -> int:
        """The place of the last row that could not be encoded; -1 without any."""
        return self._invalid.last

    def accepted(self) -> Iterator[tuple[int, str, int]]:
        """Walk the accepted batches whose outcome is not known: number, ingestion id, rows."""
        for number, sent in enumerate(self._sent):
            if sent.ingestion_id and sent.shares.unverified and sent.ask:
                yield number, sent.ingestion_id, sent.rows

    def claims(self, number: int, ingestion_id: str, *, earlier: bool = False) -> bool:
        """Whether a batch may have an ingestion id, as no other one has it. Safe to call from any thread.

        Where another one has it, something repeated an answer. It is that one's if its answer was there before this
        batch went out; otherwise nobody knows whose it is, and the other one's acceptance is in doubt as well.
        An id from an earlier run was there before.
        """
        claim = self._claims.setdefault(ingestion_id, _Claim(number, -1 if earlier else self._latest))
        if claim.number != number and (earlier or number <= claim.latest):
            self._doubted.add(claim.number)
        return claim.number == number

    # What happened

    def invalid(self, error: InvalidRecordError, index: int) -> None:
        """A row could not be encoded."""
        if self._invalid.add(error, index):
            self.counts["invalid"] += 1

    def cut(self, batch: Batch, earlier: Earlier | None = None) -> int:
        """A batch was cut; return its number. What becomes of it is told later.

        `earlier` is what earlier runs leave to do for it; the rows that are left out of it have their outcome.
        """
        earlier = earlier or Earlier(batch, send=True)
        sent = Sent(
            compact(earlier.rows.indexes),
            batch.indexes[-1] + 1,
            earlier.rows.keys,
            not self._invalid.unlisted,  # with more of them than are listed, the batches' parts are too many as well
            earlier.before,
            earlier.left_out,
        )
        self._sent.append(sent)
        for left in earlier.left_out:
            self.counts[left.outcome] += 1
        return len(self._sent) - 1

    def as_before(self, number: int) -> None:
        """A batch is not sent, so that what earlier runs made of it holds, if they made anything of it."""
        before = self._sent[number].before
        if before is None:
            return
        if before.ingestion_id:
            self.claims(number, before.ingestion_id, earlier=True)
        self.ended(number, before.outcome, ingestion_id=before.ingestion_id, error=before.error, shares=before.shares)
        self._sent[number].rejected, self._sent[number].ask = before.rejected, before.ask

    def sending(self, number: int) -> None:
        """A batch goes out."""
        keys = self._sent[number].keys
        self._latest = number
        self._in_flight[number] = keys
        self._held |= keys

    def answered(self, number: int, answer: Answer) -> Outcome:
        """The sending of a batch ended; return what that makes of its rows."""
        self._held -= self._in_flight.pop(number, frozenset())
        if isinstance(answer.error, FATAL):
            self.stop()
        return self.ended(number, answer.outcome, ingestion_id=answer.ingestion_id, error=answer.error)

    def ended(
        self,
        number: int,
        outcome: Outcome,
        *,
        ingestion_id: str | None = None,
        error: DataboxError | None = None,
        shares: Shares | None = None,
    ) -> Outcome:
        """What became of a batch is known, from an answer, a journal, or because it will not be sent."""
        sent = self._sent[number]
        if outcome == "accepted":
            fit = shares and shares.counted + shares.uncounted + shares.unverified == sent.rows
            self._share_out(sent, shares if shares and fit else Shares(unverified=sent.rows))
        sent.ingestion_id, sent.error = ingestion_id, error and without_frames(error)
        sent.outcome = outcome  # last, for an interrupt may come at any line
        sent.keys = frozenset()  # a long run must not remember them all
        self.answered_batches += 1
        self.counts[outcome] += sent.rows
        return outcome

    def stop(self) -> None:
        """Nothing more is to be sent."""
        self.stopped = True

    def verified(
        self, number: int, shares: Shares, error: DataboxError | None = None, rejected: Iterable[int] = ()
    ) -> None:
        """What the server made of an accepted batch was told, or could not be.

        `rejected` are the places within the batch of its rejected rows, where the server told which they are.
        """
        sent = self._sent[number]
        self._share_out(sent, shares)
        sent.error = error and without_frames(error)
        sent.rejected = frozenset(sent.indexes[place] for place in rejected)

    def lost(self, error: DataboxError) -> None:
        """Rows that earlier runs stored may not be there any more."""
        for sent in self._sent:
            if sent.before and sent.before.outcome == "accepted":
                self._share_out(sent, Shares(unverified=sent.rows))
                sent.error, sent.rejected, sent.ask = error, frozenset(), False

    def withdraw(self) -> list[int]:
        """Take back the acceptance of batches whose ingestion id may be another one's; return their numbers."""
        withdrawn: list[int] = []
        while self._doubted:
            number = self._doubted.pop()
            sent = self._sent[number]
            if sent.outcome == "accepted":
                self.counts["accepted"] -= sent.rows
                self._share_out(sent, Shares())
                self.ended(number, "ambiguous", error=DataboxError(f"{_SHARED}: {sent.ingestion_id}."))
                withdrawn.append(number)
        return withdrawn

    def give_up(self, open_: Iterable[int] = ()) -> list[tuple[int, Outcome]]:
        """Nothing more will be heard: batches that may have taken effect are ambiguous, all others unsent."""
        may_have = set(open_)
        ended: list[tuple[int, Outcome]] = []
        for number, sent in enumerate(self._sent):
            if sent.outcome is None:
                self._held -= self._in_flight.pop(number, frozenset())
                if number in may_have:
                    self.ended(number, "ambiguous", error=sent.before.error if sent.before else None)
                else:
                    self.as_before(number)
                ended.append((number, sent.outcome or self.ended(number, "unsent")))
        return ended

    def _share_out(self, sent: Sent, shares: Shares) -> None:
        old, sent.shares = sent.shares, shares
        self.open_batches += bool(shares.unverified) - bool(old.unverified)
        self.verified_rows += shares.counted - old.counted
        self.uncounted_rows += shares.uncounted - old.uncounted

    # What came of it

    def outcome(self, number: int) -> tuple[Outcome | None, Shares, DataboxError | None]:
        """Return what is known of a batch."""
        sent = self._sent[number]
        return sent.outcome, sent.shares, sent.error

    def is_new(self, number: int) -> bool:
        """Whether a batch was accepted in this run, and not in an earlier one."""
        before = self._sent[number].before
        return before is None or before.outcome != "accepted"

    def rows_of(self, number: int) -> int:
        """Return how many rows a batch has."""
        return self._sent[number].rows

    def rejected(self, number: int) -> frozenset[int]:
        """Return the places of a batch's rejected rows, where it is known which they are."""
        return self._sent[number].rejected

    def report(self, *, verify: str | None, requests: int, seconds: float, complete: bool = True) -> IngestReport:
        """Return the report, in the order of the source."""
        outcomes = [*(each for sent in self._sent for each in sent.outcomes()), *self._invalid.outcomes()]
        outcomes.sort(key=lambda outcome: outcome.first_row)
        numbered = [attrs.evolve(outcome, index=index) for index, outcome in enumerate(outcomes)]
        return IngestReport.of(numbered, verify=verify, requests=requests, seconds=seconds, complete=complete)
