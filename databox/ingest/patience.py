"""Whether the service accepts anything, and which batch tries next if it does not: decisions without I/O.

When a batch has used up its own retries, there are two possibilities. Either others succeed in the meantime, and again
when it is tried once more: then the batch is at fault, and fails. Or the service is down: the batch is kept, everything
else is held back, and one batch at a time tries again, at growing intervals. Batches that were not tried yet go first,
because if one of them succeeds, the failing batch is at fault and the service is not down.

If the service rejects a valid key, it is retried in the same way, but only three times over ten seconds.
"""

import threading
from collections import Counter, deque
from typing import Literal

import attrs

from databox.errors import APIError, APIStatusError, AuthenticationError, PermissionDeniedError
from databox.sending.retry import LONGEST_RETRY_AFTER, Attempts, Effect, effect_of

__all__ = ["DENIALS", "Patience", "Waiting"]

DENIALS = (AuthenticationError, PermissionDeniedError)
"""Statuses with which the service refuses keys, sometimes valid ones."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
DENIED_WAITS = (1.0, 3.0, 6.0)
"""Seconds before a key that just worked is tried again."""
LOOK = 0.05
"""Interval at which a batch checks again whether it may be sent, in seconds."""
REMEMBERED = 256
"""The number of recent results that are kept, to decide whether others succeed while one fails."""
STRIKES = 2
"""How often in a row a batch fails while others succeed until the batch is considered at fault."""
ALONE = 3
"""The same, for a batch that failed this way before and has no others left to compare with."""


@attrs.frozen
class Waiting:
    """What a run that is held back is waiting for."""

    error: APIError
    """The last answer of the service, or why there was none."""
    seconds: float
    """For how long no request has succeeded."""
    seconds_left: float
    """For how long the run will still wait."""


class Patience:
    """Receives the result of each attempt, and decides which batch may be sent. Safe to use from any thread.

    Args:
        seconds: how long to wait for a service that is down; 0 does not wait.
        concurrency: the maximum number of batches in flight.
        resend: whether a batch whose answer was lost may be sent again.
    """

    def __init__(self, seconds: float, concurrency: int, *, resend: bool) -> None:
        self._lock = threading.Lock()
        self._seconds = seconds
        self._concurrency = concurrency
        self._resend = resend
        self._on_their_way: set[int] = set()
        self._kept: list[int] = []
        """The waiting batches, in the order in which they try again once the service is down."""
        self._fresh: set[int] = set()
        """Those of them that have not been tried yet."""
        self._passed: deque[tuple[int, float, float]] = deque(maxlen=REMEMBERED)
        """Batches that succeeded at the first attempt: when they were sent, and when they were answered."""
        self._failed: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        """Batches that failed, if only at first, and when."""
        self._struck: Counter[int] = Counter()
        self._alone: Counter[int] = Counter()
        self._heard_at: dict[int, float] = {}
        """When the last failure of a batch that is or was kept arrived."""
        self._out: Literal["away", "denied"] | None = None
        self._since = 0.0
        self._next = 0.0
        self._asked = 0
        self._denied = 0
        self._asking: int | None = None
        self._error: APIError | None = None
        self._gave_up: str | None = None
        self._latest = float("-inf")
        """When the service last answered."""
        self._accepted = False
        self._stopped = False

    @property
    def kept(self) -> int:
        """How many batches are waiting to be tried, or retried."""
        with self._lock:
            return len(self._kept)

    @property
    def makes_room(self) -> int:
        """How many waiting batches make room for one that was not tried yet: none while one of those is waiting."""
        with self._lock:
            return 0 if self._fresh or self._out == "denied" else len(self._kept)

    @property
    def is_out(self) -> bool:
        """Whether everything is held back."""
        return self._out is not None

    @property
    def over(self) -> bool:
        """Whether patience has run out, so that the run has to stop."""
        return self._gave_up is not None

    @property
    def words(self) -> str | None:
        """For how long the run waited before it gave up."""
        return self._gave_up

    def waiting(self, now: float) -> Waiting | None:
        """Return what the run is waiting for, if anything."""
        with self._lock:
            if self._out is None or self._error is None:
                return None
            left = sum(DENIED_WAITS[self._denied :]) if self._out == "denied" else self._since + self._seconds - now
            return Waiting(self._error, max(0.0, now - self._since), max(0.0, left))

    def stop(self) -> None:
        """Stop sending."""
        self._stopped = True

    # Before a request

    def turn(self, number: int, now: float) -> float | None:
        """Return after how many seconds a batch may ask for its turn again: 0 to be sent now, None for never."""
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
        """Whether a batch is sent to check whether the service is back, in a single attempt."""
        return self._asking == number

    # After it

    def is_suspect(self, number: int) -> bool:
        """Whether a batch failed while others succeeded, so that it gets more than one attempt."""
        return bool(self._struck[number])

    def passed(self, number: int, attempts: Attempts, now: float) -> None:
        """Record that a batch succeeded."""
        with self._lock:
            self._ended(number)
            self._accepted = True
            self._answers(number, attempts, now)

    def keeps(self, number: int, error: APIError, attempts: Attempts, now: float) -> bool:
        """Record that sending a batch failed; return whether it is kept, to be tried again."""
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
        """Record that the service accepted the last request of a batch, or refused it because of its content."""
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
        """Whether a batch keeps failing because of the batch, and not the service."""
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
        """Whether a batch may be sent again after an error that is about the service's state."""
        effect = effect_of(error)
        return effect is not Effect.REFUSED and (self._resend or not (attempts.open or effect is Effect.OPEN))

    def _plan(self, error: APIError, now: float) -> None:
        """Schedule the next attempt; the last one when patience runs out."""
        told = error.retry_after if isinstance(error, APIStatusError) else None
        if told is not None:
            self._next = now + min(told, LONGEST_RETRY_AFTER)
        else:
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self._asked, 16))
            self._next = min(now + wait, max(now, self._since + self._seconds))

    def _give_up(self, now: float) -> None:
        seconds = round(now - self._since)
        unit = "second" if seconds == 1 else "seconds"
        self._gave_up = f"The service took nothing for {seconds} {unit}, so the run was stopped."

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
