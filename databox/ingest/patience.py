"""Whether the service takes anything at all, and who asks next when it does not: decisions without I/O.

A batch whose own retries are used up has met one of two things. Either others go through meanwhile, and when it is
tried once more they do again: then it is the batch, and it ends. Or it is the service: the batch is kept, everything
else is held back, and one batch at a time asks again, at growing intervals. Batches that were not tried yet ask first,
as one of them going through tells a batch that always fails from a service that is away.

A service that says of a good key that it is wrong is waited for likewise, but only three times over ten seconds.
"""

import threading
from collections import Counter, deque
from typing import Literal

import attrs

from databox.errors import APIError, APIStatusError, AuthenticationError, PermissionDeniedError
from databox.sending.retry import LONGEST_RETRY_AFTER, Attempts, Effect, effect_of

__all__ = ["DENIALS", "Patience", "Waiting"]

DENIALS = (AuthenticationError, PermissionDeniedError)
"""What the service says of keys, and sometimes of good ones."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
DENIED_WAITS = (1.0, 3.0, 6.0)
"""Seconds before a key is tried again that was right a moment ago."""
LOOK = 0.05
"""Seconds after which a batch looks again whether it may go."""
REMEMBERED = 256
"""Batches of which it is remembered how they fared, to tell whether others go through while one does not."""
STRIKES = 2
"""How often in a row a batch fails while others go through, until it is taken for the batch."""
ALONE = 3
"""How often one that has failed so before asks when nothing else is left to try, until it is as well."""


@attrs.frozen
class Waiting:
    """What a run waits for that is held back."""

    error: APIError
    """What the service said last, or why it said nothing."""
    seconds: float
    """For how long nothing has gone through."""
    seconds_left: float
    """For how long it will be waited for yet."""


class Patience:
    """Hears how each sending ended, and says which batch may go. Safe to use from any thread.

    Args:
        seconds: how long to wait out a service that takes nothing; 0 for not at all.
        concurrency: batches that may be on their way at once.
        resend: whether a batch whose answer was lost may go again.
    """

    def __init__(self, seconds: float, concurrency: int, *, resend: bool) -> None:
        self._lock = threading.Lock()
        self._seconds = seconds
        self._concurrency = concurrency
        self._resend = resend
        self._on_their_way: set[int] = set()
        self._kept: list[int] = []
        """In the order in which they are to ask, once the service is out."""
        self._fresh: set[int] = set()
        """Those of them that have not been tried."""
        self._passed: deque[tuple[int, float, float]] = deque(maxlen=REMEMBERED)
        """What went through at once: when it had left, and when it was answered."""
        self._failed: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        """What failed, if only at first, and when that was heard."""
        self._struck: Counter[int] = Counter()
        self._alone: Counter[int] = Counter()
        self._heard_at: dict[int, float] = {}
        """When the last failure was heard of those that are kept, or were."""
        self._out: Literal["away", "denied"] | None = None
        self._since = 0.0
        self._next = 0.0
        self._asked = 0
        self._denied = 0
        self._asking: int | None = None
        self._error: APIError | None = None
        self._gave_up: str | None = None
        self._latest = float("-inf")
        """When the service answered last."""
        self._accepted = False
        self._stopped = False

    @property
    def kept(self) -> int:
        """How many batches wait to be tried, or tried again."""
        with self._lock:
            return len(self._kept)

    @property
    def makes_room(self) -> int:
        """How many batches that wait make room for one that was not tried yet: none while one of those waits."""
        with self._lock:
            return 0 if self._fresh or self._out == "denied" else len(self._kept)

    @property
    def is_out(self) -> bool:
        """Whether everything is held back."""
        return self._out is not None

    @property
    def over(self) -> bool:
        """Whether it was waited in vain, so that the run has to stop."""
        return self._gave_up is not None

    @property
    def words(self) -> str | None:
        """For how long it was waited in vain."""
        return self._gave_up

    def waiting(self, now: float) -> Waiting | None:
        """Return what is waited for, if anything is."""
        with self._lock:
            if self._out is None or self._error is None:
                return None
            left = sum(DENIED_WAITS[self._denied :]) if self._out == "denied" else self._since + self._seconds - now
            return Waiting(self._error, max(0.0, now - self._since), max(0.0, left))

    def stop(self) -> None:
        """Let nothing more go."""
        self._stopped = True

    # Before a request

    def turn(self, number: int, now: float) -> float | None:
        """Return after how many seconds a batch may ask for its turn again: 0 when it goes now, None when never."""
        with self._lock:
            if self._stopped or self._gave_up:
                self._forget(number)
                return None
            if self._out is None:
                if len(self._on_their_way) >= self._concurrency:
                    return LOOK
                self._goes(number)
                return 0.0
            if number not in self._kept:
                self._kept.insert(len(self._fresh), number)
                self._fresh.add(number)
            if self._asking is not None:
                return LOOK
            wait = self._next - now
            if wait > 0:
                if self._out == "away" and now >= self._since + self._seconds:
                    self._give_up(now)
                    self._forget(number)
                    return None
                return min(wait, LOOK)
            if self._kept[0] != number:
                return LOOK
            self._asking = number
            self._goes(number)
            return 0.0

    def asks(self, number: int) -> bool:
        """Whether a batch goes to find out whether the service is back, and so in one attempt."""
        return self._asking == number

    # After it

    def is_suspect(self, number: int) -> bool:
        """Whether a batch failed while others went through, so that it is worth more than one attempt."""
        return bool(self._struck[number])

    def passed(self, number: int, attempts: Attempts, now: float) -> None:
        """A batch went through."""
        with self._lock:
            self._ended(number)
            self._accepted = True
            self._answers(number, attempts, now)

    def keeps(self, number: int, error: APIError, attempts: Attempts, now: float) -> bool:
        """A batch's sending ended in an error; return whether it is kept, to be tried again."""
        with self._lock:
            asked = self._asking == number
            self._ended(number)
            denied = isinstance(error, DENIALS)
            if not denied and isinstance(error, APIStatusError) and effect_of(error) is Effect.REFUSED:
                self._answers(number, attempts, now)
                return False
            if denied:
                kept = self._denies(error, now, asked=asked)
            else:
                kept = self._is_away(number, error, attempts, now, asked=asked)
            if kept:
                self._error = error
                self._kept.append(number)
            else:
                self._clear(number)
            return kept

    def _answers(self, number: int, attempts: Attempts, now: float) -> None:
        """The service took what left last of a batch, or refused it for what it is."""
        started = now if attempts.started_at is None else attempts.started_at
        if attempts.failed_at is None or attempts.failed_at >= started:
            self._passed.append((number, started, now))
        else:
            self._failed.append((number, now))
        self._latest = now
        self._clear(number)
        if self._out and started >= self._since:
            self._out, self._asked, self._denied, self._asking = None, 0, 0, None
            self._kept.clear()
            self._fresh.clear()

    def _clear(self, number: int) -> None:
        self._heard_at.pop(number, None)
        for counter in (self._struck, self._alone):
            counter.pop(number, None)

    def _is_the_batch(self, number: int, first: float, last: float, now: float, *, asked: bool) -> bool:
        """Whether it is a batch, and not the service, that makes it fail again."""
        since = self._heard_at.get(number, first)
        clean = {each for each, started, ended in self._passed if started > since and ended <= last}
        failing = {each for each, heard in self._failed if heard > since and not self._struck[each]} - {number}
        self._heard_at[number] = now
        self._failed.append((number, now))
        if len(clean) > len(failing):
            self._struck[number] += 1
            self._alone[number] = 0
        elif self._struck[number] and asked and not self._kept and not self._on_their_way:
            self._alone[number] += 1
        return self._struck[number] >= STRIKES or self._alone[number] >= ALONE

    def _denies(self, error: APIError, now: float, *, asked: bool) -> bool:
        if not self._accepted or self._stopped or self._gave_up:
            return False
        if self._out != "denied":
            self._since = self._since if self._out else now
            self._out = "denied"
            self._next = now + _asked_to_wait(error, DENIED_WAITS[min(self._denied, len(DENIED_WAITS) - 1)])
        elif asked:
            self._denied += 1
            if self._denied >= len(DENIED_WAITS):
                self._gave_up = (
                    f"The key had been right before in this run, so it was tried {len(DENIED_WAITS)} times more, over "
                    f"{now - self._since:.0f} seconds."
                )
                return False
            self._next = now + _asked_to_wait(error, DENIED_WAITS[self._denied])
        return True

    def _is_away(self, number: int, error: APIError, attempts: Attempts, now: float, *, asked: bool) -> bool:
        if self._stopped or self._gave_up or not self._seconds or not self._may_pass(error, attempts):
            return False
        first = now if attempts.failed_at is None else attempts.failed_at
        last = now if attempts.started_at is None else attempts.started_at
        if self._is_the_batch(number, first, last, now, asked=asked):
            return False
        if self._out is None:
            self._since, self._asked = max(first, self._latest), 0
            self._out = "away"
            self._plan(error, now)
        elif asked:
            self._out = "away"
            self._asked += 1
            self._plan(error, now)
        if now >= self._since + self._seconds and self._asking is None:
            self._error = error
            self._give_up(now)
            return False
        return True

    def _may_pass(self, error: APIError, attempts: Attempts) -> bool:
        """Whether a batch may be sent again after an error that has to do with the service's state."""
        effect = effect_of(error)
        return effect is not Effect.REFUSED and (self._resend or not (attempts.open or effect is Effect.OPEN))

    def _plan(self, error: APIError, now: float) -> None:
        """Say when the service is to be asked next; for the last time when the patience is over."""
        told = error.retry_after if isinstance(error, APIStatusError) else None
        if told is not None:
            self._next = now + min(told, LONGEST_RETRY_AFTER)
        else:
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self._asked, 16))
            self._next = min(now + wait, max(now, self._since + self._seconds))

    def _give_up(self, now: float) -> None:
        self._gave_up = f"The service took nothing for {now - self._since:.0f} seconds, so the run was stopped."

    def _goes(self, number: int) -> None:
        self._forget(number)
        self._on_their_way.add(number)

    def _ended(self, number: int) -> None:
        self._on_their_way.discard(number)
        self._forget(number)
        if self._asking == number:
            self._asking = None

    def _forget(self, number: int) -> None:
        self._fresh.discard(number)
        if number in self._kept:
            self._kept.remove(number)


def _asked_to_wait(error: APIError, otherwise: float) -> float:
    told = error.retry_after if isinstance(error, APIStatusError) else None
    return otherwise if told is None else min(told, LONGEST_RETRY_AFTER)
