"""When requests went out, kept in Redis, so that machines share one limit."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

try:
    import redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry
except ModuleNotFoundError as error:
    if error.name != "redis":
        raise
    raise ImportError('A rate limit in Redis needs its extra: pip install "databox-sdk[redis]"') from error

from databox.errors import ConfigurationError
from databox.limits import HOUR, SECOND, RateLimit, Slot

__all__ = ["RedisLog"]

_TIMEOUT = 5.0
"""Seconds for one answer of the server."""
_ATTEMPTS = 4
"""How often to ask before giving up: a restart of the server takes a few seconds."""

# The clock is the server's, as the machines' own differ. When it is set back, all that is noted moves with it.
_BEGIN = """
local times, state, given = KEYS[1], KEYS[2], ARGV[1]
local clock = redis.call('TIME')
local now = tonumber(given) or (clock[1] + clock[2] / 1e6)
local function text(seconds) return string.format('%.17g', seconds) end
local function field(name) return tonumber(redis.call('HGET', state, name) or 0) end
local paused_until, back = field('paused_until'), field('seen') - now
if back > 1 then
    paused_until = paused_until - back
    for place, at in ipairs(redis.call('LRANGE', times, 0, -1)) do
        redis.call('LSET', times, place - 1, text(at - back))
    end
end
if back > 1 or back < 0 then redis.call('HSET', state, 'seen', text(now)) end
"""
# The same decision as `limits.next_time`, where it can be made and noted in one step.
_RESERVE = """
local hour = tonumber(ARGV[5])
while tonumber(redis.call('LINDEX', times, 0) or now) <= now - hour do redis.call('LPOP', times) end
local function after(count, seconds)
    local at = redis.call('LINDEX', times, -count)
    return at and at + seconds or now
end
local at = math.max(now, paused_until, after(1, 0), after(ARGV[2], ARGV[4]), after(ARGV[3], hour))
redis.call('RPUSH', times, text(at))
redis.call('HSET', state, 'paused_until', text(paused_until))
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, math.ceil(at - now + hour)) end
return {text(at), text(now), field('generation')}
"""
_PAUSE = """
local seconds, hour = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('HSET', state, 'paused_until', text(math.max(paused_until, now + seconds)))
redis.call('HINCRBY', state, 'generation', 1)
while tonumber(redis.call('LINDEX', times, -1) or now) > now do redis.call('RPOP', times) end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, math.ceil(seconds + hour)) end
"""


class RedisLog:
    """The log of one key and host, shared by all who name the server.

    A process or machine that dies leaves its slots taken, so nobody sends more than is allowed. A server that forgets,
    restarted without persistence, forgets what was sent.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py reads it.
        name: whose requests these are.
        clock: takes the caller's time and gives the one to count by; without it that is the server's clock.

    Raises:
        ConfigurationError: the server cannot be used, here and in each method, after some seconds of trying.
    """

    def __init__(self, url: str, name: str, clock: Callable[[float], float] | None = None) -> None:
        self._url = _without_password(url)
        self._keys = [f"databox:{{{name}}}:times", f"databox:{{{name}}}:state"]  # one slot of a cluster
        self._clock = clock
        try:
            self._redis = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
                url,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                retry=Retry(ExponentialBackoff(cap=2.0, base=0.2), _ATTEMPTS - 1),
                protocol=2,
            )
        except ValueError as error:
            raise self._unusable(error) from None
        self._reserve = self._redis.register_script(_BEGIN + _RESERVE)
        self._pause = self._redis.register_script(_BEGIN + _PAUSE)
        self._ask(self._redis.ping)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return the next time at which a request keeps within both windows, and note it as taken."""
        arguments = [self._given(now), limit.per_second, limit.per_hour, SECOND, HOUR]
        at, then, generation = self._ask(lambda: self._reserve(keys=self._keys, args=arguments))
        # The server counted from some moment before its answer came: to count from now on is never too early.
        offset = (now if self._clock else time.monotonic()) - float(then)
        return Slot(float(at) + offset, int(generation))

    def holds(self, slot: Slot) -> bool:
        """Return whether the slot still counts; after a pause a new one has to be reserved."""
        generation = self._ask(lambda: self._redis.hget(self._keys[1], "generation"))
        return bool(slot.generation == int(generation or 0))

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing go out for some seconds, because the server asked for it; slots ahead are void."""
        self._ask(lambda: self._pause(keys=self._keys, args=[self._given(now), seconds, HOUR]))

    def _given(self, now: float) -> float | str:
        return self._clock(now) if self._clock else ""

    def _ask(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (redis.RedisError, OSError) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> ConfigurationError:
        return ConfigurationError(
            f"The store of the rate limit, {self._url}, cannot be used: {error}. Nothing is sent without it. "
            "Start the server, or name another one in RateLimit(store=…)."
        )


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
