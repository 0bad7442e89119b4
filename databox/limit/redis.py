"""The log of requests in Redis, so that several machines share one limit."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

try:
    import redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry
except ModuleNotFoundError as error:
    raise ImportError('A rate limit in Redis needs its extra: pip install "databox-sdk[redis]"') from error

from databox.errors import ConfigurationError
from databox.limit.rate import EVEN, HOUR, SECOND, RateLimit, Slot

__all__ = ["RedisLog"]

_TIMEOUT = 5.0
"""Seconds to wait for one answer of the server."""
_UNREADABLE = (
    "its address cannot be read. Percent-encode special characters in a password, such as %40 for @ and %2F for /"
)
_ATTEMPTS = 4
"""How often to try before giving up: a restart of the server takes a few seconds."""

# Two sorted sets hold a slot's number and time: of all slots, and of those that were sent. The clock is the server's,
# because the machines' own differ. If it is set back, all recorded times move with it.
_BEGIN = """
local times, gone, state, given, hour = KEYS[1], KEYS[2], KEYS[3], ARGV[1], tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(given) or (clock[1] + clock[2] / 1e6)
local function text(seconds) return string.format('%.17g', seconds) end
local function field(name) return tonumber(redis.call('HGET', state, name) or 0) end
local paused_until, back = field('paused_until'), field('seen') - now
if back > 1 then
    paused_until = paused_until - back
    for _, set in ipairs({times, gone}) do
        for _, id in ipairs(redis.call('ZRANGE', set, 0, -1)) do redis.call('ZINCRBY', set, text(-back), id) end
    end
end
if back > 1 or back < 0 then redis.call('HSET', state, 'seen', text(now), 'paused_until', text(paused_until)) end
local function kept(seconds)
    for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, math.ceil(seconds + hour)) end
end
"""
# The same decisions as in `rate`, made and recorded in one step.
_TAKE = """
local per_second, per_hour, second, even, id, generation = unpack(ARGV, 3)
local of = gone
if field('generation') ~= tonumber(generation) then of, id = times, redis.call('HINCRBY', state, 'slots', 1) end
for _, set in ipairs({times, gone}) do redis.call('ZREMRANGEBYSCORE', set, '-inf', text(now - hour)) end
local function after(count, seconds)
    local at = redis.call('ZREVRANGE', of, count - 1, count - 1, 'WITHSCORES')[2]
    return at and at + seconds or now
end
local distance = even * second / per_second
local at = math.max(now, paused_until, after(1, distance), after(per_second, second), after(per_hour, hour))
redis.call('ZADD', times, text(at), id)
if at <= now then redis.call('ZADD', gone, text(at), id) end
kept(at - now)
return {text(at), text(now), field('generation'), at <= now and 1 or 0, id}
"""
_RELEASE = "if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then redis.call('ZREM', KEYS[1], ARGV[1]) end"
_CORRECT = """
for _, set in ipairs({times, gone}) do redis.call('ZINCRBY', set, ARGV[3], ARGV[4]) end
kept(0)
"""
_PAUSE = """
local seconds = tonumber(ARGV[3])
redis.call('HSET', state, 'paused_until', text(math.max(paused_until, now + seconds)))
redis.call('HINCRBY', state, 'generation', 1)
redis.call('ZINTERSTORE', times, 1, gone)
kept(seconds)
"""


class RedisLog:
    """The log of one key and host, shared by all that name the server.

    A process or machine that dies leaves its slots taken, so the limit is never exceeded. A server that is restarted
    without persistence forgets what was sent.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py reads it.
        name: identifies the key and host.
        clock: converts the caller's time to the time to use; defaults to the server's clock.

    Raises:
        ConfigurationError: the server cannot be used, here and in each method, after several seconds of retries.
    """

    def __init__(self, url: str, name: str, clock: Callable[[float], float] | None = None) -> None:
        self._shown, problem = _shown(url)
        self._keys = [f"databox:{{{name}}}:{part}" for part in ("times", "gone", "state")]  # one slot of a cluster
        self._clock = clock
        if not problem:
            try:
                self._redis = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
                    url,
                    socket_timeout=_TIMEOUT,
                    socket_connect_timeout=_TIMEOUT,
                    retry=Retry(ExponentialBackoff(cap=2.0, base=0.2), _ATTEMPTS - 1),
                    protocol=2,
                )
            except ValueError:
                problem = _UNREADABLE
        if problem:
            raise self._unusable(problem)
        self._release = self._redis.register_script(_RELEASE)
        self._take, self._correct, self._pause = (
            self._redis.register_script(_BEGIN + script) for script in (_TAKE, _CORRECT, _PAUSE)
        )
        self._ask(self._redis.ping)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    def reserve(self, now: float, limit: RateLimit) -> Slot:
        """Return a slot at the next time that both windows allow, granted if that is now."""
        return self._taken(now, limit, Slot(now, generation=-1))

    def claim(self, slot: Slot, now: float, limit: RateLimit) -> Slot:
        """Return the slot, granted if the request may be sent now; otherwise the slot at which to ask again."""
        return self._taken(now, limit, slot)

    def release(self, slot: Slot) -> None:
        """Give up a slot that was not granted, because its request is no longer wanted."""
        self._ask(lambda: self._release(keys=self._keys, args=[slot.id]))

    def correct(self, slot: Slot, at: float) -> None:
        """Record that the request of a granted slot was sent later than planned."""
        arguments = [self._given(at), HOUR, at - slot.at, slot.id]
        self._ask(lambda: self._correct(keys=self._keys, args=arguments))

    def pause(self, now: float, seconds: float) -> None:
        """Pause for some seconds, because the server asked for it; later slots become void."""
        self._ask(lambda: self._pause(keys=self._keys, args=[self._given(now), HOUR, seconds]))

    def _taken(self, now: float, limit: RateLimit, slot: Slot) -> Slot:
        limits = [limit.per_second, limit.per_hour, SECOND, EVEN if limit.evenly else 0]
        arguments = [self._given(now), HOUR, *limits, slot.id, slot.generation]
        at, then, generation, granted, number = self._ask(lambda: self._take(keys=self._keys, args=arguments))
        # The server read its clock between our request and its answer; the safe end is the answer for
        # a planned slot, and the request for a granted one, because `correct` adds the time that passed since.
        until = now if self._clock or granted else time.monotonic()
        offset = until - float(then)
        return Slot(float(at) + offset, int(generation), bool(granted), int(number))

    def _given(self, now: float) -> float | str:
        return self._clock(now) if self._clock else ""

    def _ask(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (redis.RedisError, OSError) as error:
            problem = str(error)
        raise self._unusable(problem)  # raised here, without context: redis-py's frames contain the password

    def _unusable(self, problem: str) -> ConfigurationError:
        return ConfigurationError(
            f"The store of the rate limit, {self._shown}, cannot be used: {problem}. Nothing is sent without it. "
            "Start the server, or use another one in RateLimit(store=…)."
        )


def _shown(url: str) -> tuple[str, str]:
    """The part of an address that is safe to show, and what is wrong with it.

    A password that contains "/", "?" or "#" ends the host early: what then looks like host, port or path is part of
    the password.
    """
    scheme = url.partition("://")[0]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return f"{scheme}://…", _UNREADABLE
    rest = parts.path + parts.query + parts.fragment
    if parts.netloc and ("@" in rest or (not host and scheme != "unix")):
        return f"{scheme}://…", _UNREADABLE
    if scheme == "unix":
        return f"unix://{parts.path}", ""
    return f"{scheme}://{host or 'localhost'}" + (f":{port}" if port else ""), ""
