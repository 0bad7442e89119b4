"""What goes in one request of an ingest, and how that ended."""

import copy

import attrs

from databox.errors import APIError
from databox.ingest.batch import Batch
from databox.report import Outcome
from databox.sending.retry import Attempts, Effect, effect_of

__all__ = ["Answer", "Part", "amended"]


@attrs.define(eq=False)
class Part:
    """Rows that go in one request: a batch, or some rows of one that was refused."""

    number: int
    batch: Batch
    whole: Batch
    """The same with the rows that are left out of it."""
    attempts: Attempts = attrs.field(factory=Attempts)
    depth: int = 0
    """How often a batch was halved to make it."""
    error: APIError | None = None
    """Why its rows were not accepted when they were sent last, perhaps with others."""
    noted: bool = False
    """Whether the journal says that it is on its way."""


@attrs.frozen
class Answer:
    """How the sending of a batch, or of a part of one, ended.

    `open` says that an attempt may have taken effect although no answer to it could be read. Without an ingestion id
    and an error the sending was interrupted. `parts` tells of a batch that was taken apart what became of each.
    """

    ingestion_id: str | None = None
    error: APIError | None = None
    open: bool = False
    parts: "tuple[tuple[Part, Answer], ...]" = ()

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


def amended(error: APIError, words: str) -> APIError:
    """Return the same error with a sentence more."""
    more = copy.copy(error)
    more.args = (f"{error} {words}", *error.args[1:])
    return more
