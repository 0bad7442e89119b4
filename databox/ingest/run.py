"""The state of every row so far, and what may be done next: decisions without I/O.

Both clients drive one of these: they tell it what happened, and it decides which batch may be sent, whether to
continue, and finally what to report. Whatever the order of events, every row that was taken ends in exactly one place.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from operator import attrgetter

import attrs

from databox.errors import (
    APIStatusError,
    DataboxError,
    InvalidRecordError,
    NotFoundError,
)
from databox.ingest.batch import Batch
from databox.ingest.claims import Claims
from databox.ingest.isolation import PARTS, Budget
from databox.ingest.outcomes import Invalid, Sent, compact, without_frames
from databox.ingest.parts import Answer
from databox.ingest.patience import DENIALS, Patience
from databox.ingest.resume import Earlier
from databox.ingest.settle import Shares
from databox.report import IngestReport, Outcome

__all__ = ["Answer", "Run", "is_fatal"]

_SHARED = "The answer named an ingestion that another batch, under way at the same time, got as well"
_UNHEARD = "The run was interrupted before the answer arrived, so the rows may be stored."
FATAL = (*DENIALS, NotFoundError)
WITNESSES = 8
"""The minimum number of batches that may be kept while others are tried."""
FULL = "dataset_limit_exceeded"
"""Errors that every later batch would get as well."""


class Run:
    """One ingest. Batches are numbered from 0, in the order of their creation."""

    def __init__(self, concurrency: int, *, patience: float = 0.0, resend: bool = False) -> None:
        self._concurrency = concurrency
        self.patience = Patience(patience, concurrency, resend=resend)
        """Decides whether the service accepts anything."""
        self.budget = Budget()
        """How many refused rows may still be isolated."""
        self._sent: list[Sent] = []
        self._parts: dict[int, Sent] = {}
        """The parts of batches that were split."""
        self._invalid = Invalid()
        self._in_flight: dict[int, frozenset[bytes]] = {}
        self._held: set[bytes] = set()
        self.claims = Claims()
        """Which batch an ingestion id belongs to."""
        self.counts: Counter[Outcome] = Counter()
        """Rows by outcome."""
        self.rows = 0
        """Rows taken from the source."""
        self.stopped = False
        """Whether sending has stopped: later batches would get the same refusal."""
        self.answered_batches = 0
        """Batches whose result is known."""
        self.open_batches = 0
        """Accepted batches with rows whose outcome is unknown."""
        self.verified_rows = 0
        """Rows whose outcome is known."""
        self.uncounted_rows = 0
        """Rows of ingestions that the list calls done."""
        self.resent_rows = 0
        """Rows that were accepted when they were sent again after an earlier answer was lost."""

    # What may be done

    @property
    def batches(self) -> int:
        """The number of batches."""
        return len(self._sent)

    @property
    def most_under_way(self) -> int:
        """How many batches may be open, including those that are kept."""
        return self._concurrency + max(self._concurrency, WITNESSES)

    @property
    def busy(self) -> int:
        """How many batches are in flight."""
        return len(self._in_flight)

    def has_room(self) -> bool:
        """Whether another batch may be in flight, so that reading more makes sense."""
        busy, kept = len(self._in_flight), self.patience.makes_room
        # Kept batches make room for others, which may show whether a batch or the service is failing.
        return busy - kept < self._concurrency and busy < self.most_under_way

    def may_go(self, batch: Batch) -> bool:
        """Whether a batch may be sent now: there is room, and no row with one of its keys is in flight."""
        return self.has_room() and self._held.isdisjoint(batch.keys)

    @property
    def end_row(self) -> int:
        """The position after the last row that is in a batch."""
        return self._sent[-1].end_row if self._sent else 0

    @property
    def last_invalid(self) -> int:
        """The position of the last row that could not be encoded; -1 if there are none."""
        return self._invalid.last

    def accepted(self) -> Iterator[tuple[int, str, int]]:
        """Yield the accepted batches whose outcome is unknown: number, ingestion id, rows."""
        for number, sent in self._leaves():
            if sent.ingestion_id and sent.shares.unverified and sent.ask:
                yield number, sent.ingestion_id, sent.rows

    # What happened

    def invalid(self, error: InvalidRecordError, index: int) -> None:
        """Record that a row could not be encoded."""
        self._invalid.add(error, index)
        self.counts["invalid"] += 1

    def cut(self, batch: Batch, earlier: Earlier | None = None) -> int:
        """Add a batch; return its number. Its outcome is recorded later.

        `earlier` is what earlier runs left to do for it; rows that are left out already have their outcome.
        """
        earlier = earlier or Earlier(batch, send=True)
        sent = Sent(
            compact(earlier.rows.indexes),
            batch.indexes[-1] + 1,
            earlier.rows.keys,
            not self._invalid.unlisted,  # too many of them means too many parts of batches as well
            earlier.before,
            earlier.left_out,
        )
        self._sent.append(sent)
        for left in earlier.left_out:
            self.counts[left.outcome] += 1
        return len(self._sent) - 1

    def as_before(self, number: int) -> None:
        """Record that a batch is not sent, so that its outcome in earlier runs applies, if there is one."""
        before = self._sent[number].before
        if before is None:
            return
        if before.ingestion_id:
            self.claims.may_have(number, before.ingestion_id, earlier=True)
        self.ended(number, before.outcome, ingestion_id=before.ingestion_id, error=before.error, shares=before.shares)
        self._sent[number].rejected, self._sent[number].ask = before.rejected, before.ask

    def sending(self, number: int) -> None:
        """Record that a batch is sent."""
        keys = self._sent[number].keys
        self._in_flight[number] = keys
        self._held |= keys

    def answered(self, number: int, answer: Answer) -> None:
        """Record the result of sending a batch."""
        self._held -= self._in_flight.pop(number, frozenset())
        if self.patience.over or any(map(is_fatal, (answer, *(each for _, each in answer.parts)))):
            self.stop()
        if not answer.parts:
            self.ended(number, answer.outcome, ingestion_id=answer.ingestion_id, error=answer.error)
            return
        sent = self._sent[number]
        for part, each in answer.parts:
            self._parts[part.number] = Sent(
                compact(part.batch.indexes),
                part.batch.indexes[-1] + 1,
                frozenset(),
                sent.apart,
                outcome=each.outcome,
                ingestion_id=each.ingestion_id,
                error=_reason(each.outcome, each.error),
                shares=Shares(unverified=len(part.batch.rows) if each.outcome == "accepted" else 0),
            )
        sent.outcome = "failed"
        sent.parts = tuple(part.number for part, _ in answer.parts)  # at once: an interrupt may come at any line
        sent.keys = frozenset()
        self.answered_batches += 1
        for part, each in answer.parts:
            self.claims.ended(part.number)
            self.counts[each.outcome] += len(part.batch.rows)
            self.open_batches += each.outcome == "accepted"

    def ended(
        self,
        number: int,
        outcome: Outcome,
        *,
        ingestion_id: str | None = None,
        error: DataboxError | None = None,
        shares: Shares | None = None,
    ) -> Outcome:
        """Record the outcome of a batch, from an answer, a journal, or because it will not be sent."""
        sent = self._of(number)
        if outcome == "accepted":
            fit = shares and shares.counted + shares.uncounted + shares.unverified == sent.rows
            self._share_out(sent, shares if shares and fit else Shares(unverified=sent.rows))
        sent.ingestion_id, sent.error = ingestion_id, _reason(outcome, error)
        sent.outcome = outcome  # last, because an interrupt may come at any line
        sent.keys = frozenset()  # a long run must not keep them all
        self.claims.ended(number)
        self.answered_batches += 1
        self.counts[outcome] += sent.rows
        return outcome

    def stop(self) -> None:
        """Stop sending."""
        self.stopped = True
        self.patience.stop()

    def verified(
        self, number: int, shares: Shares, error: DataboxError | None = None, rejected: Iterable[int] = ()
    ) -> None:
        """Record how the server processed an accepted batch, or why that is unknown.

        `rejected` are the positions of rejected rows within the batch, if the server says which they are.
        """
        sent = self._of(number)
        self._share_out(sent, shares)
        sent.error = error and without_frames(error)
        sent.rejected = frozenset(sent.indexes[place] for place in rejected)

    def lost(self, error: DataboxError) -> None:
        """Record that rows which earlier runs stored may no longer exist."""
        for _, sent in self._leaves():
            if sent.before and sent.before.outcome == "accepted":
                self._share_out(sent, Shares(unverified=sent.rows))
                sent.error, sent.rejected, sent.ask = error, frozenset(), False

    def withdraw(self) -> list[int]:
        """Withdraw the acceptance of batches whose ingestion id may belong to another one; return their numbers."""
        withdrawn: list[int] = []
        while (number := self.claims.doubted()) is not None:
            sent = self._of(number)
            if sent.outcome == "accepted":
                self.counts["accepted"] -= sent.rows
                self._share_out(sent, Shares())
                self.ended(number, "ambiguous", error=DataboxError(f"{_SHARED}: {sent.ingestion_id}."))
                withdrawn.append(number)
        return withdrawn

    def give_up(self, open_: Iterable[int] = ()) -> list[tuple[int, Outcome]]:
        """End the run: batches that may have taken effect are ambiguous, all others unsent."""
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

    def _of(self, number: int) -> Sent:
        return self._sent[number] if number < PARTS else self._parts[number]

    def _leaves(self) -> Iterator[tuple[int, Sent]]:
        """Yield what was or will be sent: batches, and the parts of those that were split."""
        for number, sent in enumerate(self._sent):
            if sent.parts:
                yield from ((part, self._parts[part]) for part in sent.parts)
            else:
                yield number, sent

    def _share_out(self, sent: Sent, shares: Shares) -> None:
        old, sent.shares = sent.shares, shares
        self.open_batches += bool(shares.unverified) - bool(old.unverified)
        self.verified_rows += shares.counted - old.counted
        self.uncounted_rows += shares.uncounted - old.uncounted

    # The outcome

    def outcome(self, number: int) -> tuple[Outcome | None, Shares, DataboxError | None]:
        """Return the outcome of a batch, as far as it is known."""
        sent = self._of(number)
        return sent.outcome, sent.shares, sent.error

    def is_new(self, number: int) -> bool:
        """Whether a batch was accepted in this run, and not in an earlier one."""
        before = self._of(number).before
        return before is None or before.outcome != "accepted"

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of what was or will be sent: of batches, or their parts."""
        return (number for number, _ in self._leaves())

    def rows_of(self, number: int) -> int:
        """Return how many rows a batch has."""
        return self._of(number).rows

    def rejected(self, number: int) -> frozenset[int]:
        """Return the positions of a batch's rejected rows, if it is known which they are."""
        return self._of(number).rejected

    def report(
        self,
        *,
        verify: str | None,
        requests: int,
        seconds: float,
        complete: bool = True,
        primary_keys: tuple[str, ...] = (),
        keys_assumed: bool = False,
    ) -> IngestReport:
        """Return the report, in the order of the source."""
        parts = (self._parts[number] for sent in self._sent for number in sent.parts)
        entries = [entry for sent in (*self._sent, *parts) for entry in sent.entries()]
        entries += self._invalid.entries()
        entries.sort(key=attrgetter("first_row"))
        outcomes = [entry.at(index) for index, entry in enumerate(entries)]
        report = IngestReport.of(outcomes, verify=verify, requests=requests, seconds=seconds, complete=complete)
        return attrs.evolve(
            report, resent=self.resent_rows, primary_keys=primary_keys, primary_keys_assumed=keys_assumed
        )


def _reason(outcome: Outcome, error: DataboxError | None) -> DataboxError | None:
    """Why rows were not accepted; rows whose answer never arrived have a reason as well."""
    if error is None and outcome == "ambiguous":
        error = DataboxError(_UNHEARD)
    return error and without_frames(error)


def is_fatal(answer: Answer) -> bool:
    """Whether every later batch would get the same error."""
    error = answer.error
    full = isinstance(error, APIStatusError) and any(entry.code == FULL for entry in error.errors)
    return full or isinstance(error, FATAL)
