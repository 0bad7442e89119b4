"""How many requests a key may send."""

import math
from collections import deque

__all__ = ["HOURLY", "Limit"]

HOURLY = 10_000


class Limit:
    """The remaining requests of a key, per second and per hour.

    Args:
        rate: requests per second, which may be fractional, or a pair (per second, per hour).

    Raises:
        ValueError: the rate is not valid.
    """

    def __init__(self, rate: float | tuple[float, float]) -> None:
        pair = rate if isinstance(rate, tuple) else (rate, HOURLY)
        if len(pair) != 2 or not all(0 < each < math.inf for each in pair):
            raise ValueError(f"rate_limit must be requests per second, or a pair (per second, per hour), not {rate!r}.")
        self._ahead = 0.0
        self._windows = [_window(pair[0], 1.0), _window(pair[1], 3600.0)]

    def advance(self, seconds: float) -> None:
        """Advance the time."""
        self._ahead += seconds

    def renew(self) -> None:
        """Reset both windows."""
        for _, _, times in self._windows:
            times.clear()

    def take(self, now: float) -> float | None:
        """Count a request; return None, or the seconds to wait if it exceeds the limit."""
        now += self._ahead
        for count, window, times in self._windows:
            while times and times[0] <= now - window:
                times.popleft()
            if len(times) >= count:
                return times[0] + window - now
        for _, _, times in self._windows:
            times.append(now)
        return None


def _window(rate: float, seconds: float) -> tuple[int, float, deque[float]]:
    """Return a whole number of requests and their window in seconds: half a request per second is one in two."""
    count = max(1, int(rate))
    return count, seconds * count / rate, deque()
