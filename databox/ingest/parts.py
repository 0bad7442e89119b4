"""The content of one request of an ingest, and its result."""

import copy

import attrs

from databox.errors import APIError
from databox.ingest.batch import Batch
from databox.report import Outcome
from databox.sending.retry import Attempts, Effect, effect_of

__all__ = ["Answer", "Part", "amended"]


@attrs.define(eq=False)
class Part:
    """Rows that are sent in one request: a batch, or some rows of a refused one."""

    number: int
    batch: Batch
    whole: Batch
    """The same, including the rows that are left out."""
    attempts: Attempts = attrs.field(factory=Attempts)
    depth: int = 0
    """How often the batch was halved to create it."""
    error: APIError | None = None
    """Why its rows were not accepted when they were last sent, perhaps with others."""
    noted: bool = False
    """Whether the journal records that it is in flight."""


@attrs.frozen
class Answer:
    """The result of sending a batch, or a part of one.

    `open` says that an attempt may have taken effect although no answer to it could be read. Without an ingestion id
    and an error, sending was interrupted. `parts` has the outcome of each part of a batch that was split.
    """

    ingestion_id: str | None = None
    error: APIError | None = None
    open: bool = False
    parts: "tuple[tuple[Part, Answer], ...]" = ()

    @property
    def outcome(self) -> Outcome:
        """The resulting outcome of the batch."""
        if self.ingestion_id is not None:
            return "accepted"
        if self.open:
            return "ambiguous"
        if self.error is None:
            return "unsent"
        return "ambiguous" if effect_of(self.error) is Effect.OPEN else "failed"


def amended(error: APIError, words: str) -> APIError:
    """Return the same error with another sentence."""
    more = copy.copy(error)
    more.args = (f"{error} {words}", *error.args[1:])
    return more
