"""The options of a client: its time-out, attempts and rate limit, checked once."""

from enum import Enum
from typing import Final

import attrs

from databox.limit.rate import DOCUMENTED, RateLimit

__all__ = ["UNSET", "Options", "Unset"]

LONGEST_TIMEOUT = 1_000_000
"""Seconds; some systems cannot wait longer."""


class Unset(Enum):
    """Stands for an argument that was not passed, where None has its own meaning."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@attrs.frozen
class Options:
    """What `with_options` can change."""

    timeout: float | None = 30.0
    max_retries: int = 4
    rate_limit: RateLimit | None = DOCUMENTED

    def __attrs_post_init__(self) -> None:
        number = isinstance(self.timeout, int | float) and not isinstance(self.timeout, bool)
        if self.timeout is not None and not number:
            raise TypeError(f"timeout must be a number of seconds or None, not {type(self.timeout).__name__}.")
        if self.timeout is not None and not (0 < self.timeout <= LONGEST_TIMEOUT):
            raise ValueError(
                f"timeout must be more than 0 and at most {LONGEST_TIMEOUT:,} seconds, not {self.timeout!r}; "
                "None for no limit."
            )
        if not isinstance(self.max_retries, int) or isinstance(self.max_retries, bool):
            raise TypeError(f"max_retries must be a whole number, not {type(self.max_retries).__name__}.")
        if self.max_retries < 0:
            raise ValueError(f"max_retries must be 0 or more, not {self.max_retries}; 0 means a single attempt.")
        if self.rate_limit is not None and not isinstance(self.rate_limit, RateLimit):
            kind = type(self.rate_limit).__name__
            raise TypeError(f"rate_limit must be a databox.RateLimit or None, not {kind}.")

    def but(
        self,
        *,
        timeout: float | None | Unset = UNSET,
        max_retries: int | Unset = UNSET,
        rate_limit: RateLimit | None | Unset = UNSET,
    ) -> "Options":
        """Return a copy with the given options changed."""
        return Options(
            self.timeout if timeout is UNSET else timeout,
            self.max_retries if max_retries is UNSET else max_retries,
            self.rate_limit if rate_limit is UNSET else rate_limit,
        )
