"""Which rows caused a batch to be refused: decisions without I/O.

A refused batch is halved, and its halves are sent again, until the refused rows are isolated. A refused request has no
effect, so nothing is duplicated. The halves and quarters go first, unless an earlier undecided part
has a row with the same key: rows with the same key never overtake one another.
"""

import re
import threading
from collections.abc import Callable, Iterator
from itertools import count

import attrs
import orjson

from databox.errors import APIError, APIStatusError, BadRequestError, RequestTooLargeError
from databox.ingest.batch import Batch
from databox.ingest.parts import Answer, Part, amended
from databox.sending.retry import Attempts

__all__ = ["PARTS", "Budget", "Isolation", "Replaced", "is_about_rows"]

PARTS = 1 << 40
"""The number of the first part; whole batches have smaller numbers."""
BUDGET = 100
"""The number of rows that are isolated in a run. After that, refused batches fail as a whole."""
QUARTERS = 2
"""Halvings after which a batch is in quarters."""
_ELSEWHERE = {
    "invalid_json",
    "dataset_limit_exceeded",
    "invalid_api_key",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "unsupported_media_type",
    "rate_limited",
    "internal_error",
    "service_unavailable",
}
"""Error codes that are not about individual rows."""
_PLACE = re.compile(
    r"records?\[\d+\]|\b(?:row|record|line|item)s?\s*(?:(?:no\.?|number)\s*)?(?:[#:]\s*)?\d", re.IGNORECASE
)
"""A row's position. Spaces fit in one way only, because a server's text may have thousands of them."""
_REQUEST_ID = re.compile(r" \(request id .*?\)")
_ABOUT_ALL = (
    "All parts of the batch were refused in these words, which name no row or column, so the refusal is about the "
    "request as a whole."
)
_SPENT = f"{BUDGET} rows of this run had been refused one by one, so the rows of this batch were not tried one by one."


def is_about_rows(error: APIError | None) -> bool:
    """Whether a refusal may be about some rows of a batch, so that the others may be accepted without them."""
    if not isinstance(error, APIStatusError):
        return False
    refused = isinstance(error, BadRequestError | RequestTooLargeError) or error.status_code == 422
    return refused and not any(entry.code in _ELSEWHERE for entry in error.errors)


def names_rows(error: APIError, batch: Batch) -> bool:
    """Whether the message of a refusal names a row or a column of a batch."""
    entries = error.errors if isinstance(error, APIStatusError) else ()
    words = {entry.message or "" for entry in entries} or {str(error).partition(": ")[2]}
    fields = [entry.field for entry in entries if entry.field]
    if any(map(_PLACE.search, (*words, *fields))):
        return True
    columns = {name for row in batch.rows for name in orjson.loads(row)}
    if any(part in columns for field in fields for part in (field, field.rpartition(".")[2])):
        return True
    return any(map(_names_one_of(columns), words))


def _names_one_of(columns: set[str]) -> Callable[[str], object]:
    """Return a search for all names at once: there may be hundreds of columns, and thousands of messages."""
    names = f"(?:{'|'.join(re.escape(column) for column in columns if column)})"
    return re.compile(
        rf"['\"`‘“«]{names}['\"`’”»]|\b(?:column|field)s?\W+{names}\b|\b{names}\W+(?:column|field)\b"
    ).search


def _words_of(error: APIError) -> object:
    """The message of a refusal, without the parts that differ each time."""
    if isinstance(error, APIStatusError) and error.errors:
        return tuple((entry.code, entry.message, entry.field) for entry in error.errors)
    return _REQUEST_ID.sub("", str(error))


class Budget:
    """How many rows may still be isolated in a run. Safe to use from any thread."""

    def __init__(self, rows: int = BUDGET) -> None:
        self._lock = threading.Lock()
        self._left = rows
        self.numbers: Iterator[int] = count(PARTS)
        """The numbers of parts."""

    @property
    def is_spent(self) -> bool:
        """Whether there are none left."""
        return self._left <= 0

    def spend(self, rows: int) -> None:
        """Record that rows were isolated; a negative number reverts it."""
        with self._lock:
            self._left -= rows


@attrs.frozen
class Replaced:
    """Parts of a batch that were replaced by others with the same rows."""

    old: tuple[Part, ...]
    new: tuple[Part, ...]


class Isolation:
    """The sending of one batch: first as a whole, then perhaps in parts.

    Args:
        whole: all its rows.
        isolate: whether to isolate the rows at fault if it is refused.
        keyed: whether the dataset has primary keys.
        budget: the run's remaining budget for isolation.
    """

    def __init__(self, whole: Part, *, isolate: bool, keyed: bool, budget: Budget) -> None:
        self._whole = whole
        self._isolate = isolate
        self._keyed = keyed
        self._budget = budget
        self._found = 0
        self._refused: list[Part] = []
        """The quarters that were refused, and then perhaps a single row."""
        self._decided = False
        """Whether it is known that the refusal is not about the request."""
        self._parts: tuple[tuple[Part, Answer | None], ...] = ((whole, None),)
        """All its rows, in order; None for those still to be sent. Replaced as a whole, since other threads read it."""

    @property
    def pending(self) -> int:
        """How many parts are still to be sent."""
        return len(self._pending)

    @property
    def _pending(self) -> list[Part]:
        return [part for part, answer in self._parts if answer is None]

    def next(self) -> Part | None:
        """Return the part to send now; None if there is none left."""
        found: Part | None = None
        before: set[bytes] = set()
        for part in self._pending:
            keys = part.batch.keys
            if (found is None or _rank(part) < _rank(found)) and before.isdisjoint(keys):
                found = part
            before |= keys
        return found

    def answered(self, part: Part, answer: Answer) -> tuple[Answer | None, list[Replaced]]:
        """Process the result of sending a part; return its outcome, or that of the whole, and its replacements."""
        error = answer.error
        if not (self._isolate and error and is_about_rows(error)):
            return self._ends(part, answer), []
        part.error = error
        if part.depth == QUARTERS and not self._decided:
            self._refused.append(part)
            if self._is_about_all():
                return self._fails_whole(error)
        if len(part.batch.rows) == 1:
            if part.depth:  # otherwise it was alone before, perhaps because an earlier run isolated it
                self._budget.spend(1)
                self._found += 1
            if answer.open and self._keyed and names_rows(error, part.batch):
                # This same row was not accepted earlier either, although that answer was lost.
                answer = attrs.evolve(answer, open=False)
            return self._ends(part, answer), []
        if self._budget.is_spent:
            return self._ends(part, attrs.evolve(answer, error=amended(error, _SPENT))), []
        replaced = [self._split(part, (len(part.batch.rows) + 1) // 2)]
        last = len(self._refused) == 4 and self._refused[-1] is part
        if last and not self._decided and isinstance(error, RequestTooLargeError):
            # A smaller request may fit, so a single row decides.
            first = self._pending[0]
            if len(first.batch.rows) > 1:
                replaced.append(self._split(first, 1))
            self._pending[0].depth = QUARTERS
        return None, replaced

    def rest(self) -> tuple[tuple[Part, Answer], ...]:
        """Return the outcome of each part, including those that were not sent by themselves, in row order."""
        return tuple(
            (part, answer or Answer(error=part.error or part.attempts.lost, open=part.attempts.open))
            for part, answer in self._parts
        )

    def _is_about_all(self) -> bool:
        """Whether all parts are refused with the same message, which names no row or column."""
        errors = [part.error for part in self._refused if part.error]
        if len(errors) < 4:
            return False
        accepted = any(answer and answer.ingestion_id is not None for _, answer in self._parts)
        same = len({_words_of(error) for error in errors}) == 1 and not accepted
        if not same or names_rows(errors[0], self._whole.batch):
            self._decided = True
            return False
        largest = max(len(part.batch.rows) for part in self._refused)
        return len(errors) > 4 or largest == 1 or not isinstance(errors[0], RequestTooLargeError)

    def _fails_whole(self, error: APIError) -> tuple[Answer, list[Replaced]]:
        parts = tuple(part for part, _ in self._parts)
        open_ = self._whole.attempts.open or any(part.attempts.open for part in parts)
        answer = Answer(error=amended(error, _ABOUT_ALL), open=open_)
        self._budget.spend(-self._found)
        self._parts = ((self._whole, answer),)
        return answer, [Replaced(parts, (self._whole,))]

    def _ends(self, part: Part, answer: Answer) -> Answer:
        self._put(part, (part, answer))
        return answer

    def _split(self, part: Part, first: int) -> Replaced:
        start = part.batch.indexes[first]
        halves = tuple(
            Part(
                number=next(self._budget.numbers),
                batch=part.batch.between(*places),
                whole=part.whole.between(*places),
                attempts=Attempts(open=part.attempts.open),
                depth=part.depth + 1,
                error=part.error,
            )
            for places in ((0, start), (start, part.whole.indexes[-1] + 1))
        )
        self._put(part, *((half, None) for half in halves))
        return Replaced((part,), halves)

    def _put(self, part: Part, *others: tuple[Part, Answer | None]) -> None:
        """Put others in the place of a part."""
        place = next(place for place, (each, _) in enumerate(self._parts) if each is part)
        self._parts = (*self._parts[:place], *others, *self._parts[place + 1 :])


def _rank(part: Part) -> int:
    """All quarters go first, which may show that the request is at fault; then part by part, within the budget."""
    return min(part.depth, QUARTERS + 1)
