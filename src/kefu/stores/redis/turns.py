"""One turn at a time for each customer, whichever desk it comes to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog
from redis.exceptions import RedisError

from kefu.stamps import new_id
from kefu.stores.redis.connection import Client, key_of, patiently
from kefu.turn.queues import TurnQueues

log = structlog.get_logger("kefu.redis")

# So long a desk that died keeps its customers waiting.
LEASE_SECONDS = 5.0
_RENEW_EVERY_SECONDS = LEASE_SECONDS / 4
# Who stands in line asks this often, and has left it after that.
_FIRST_WAIT_SECONDS = 0.004
_LONGEST_WAIT_SECONDS = 0.04
_LEFT_AFTER_SECONDS = 2.0
# Longer than any talk; then a customer's keys are gone.
_KEPT_SECONDS = 24 * 3600
_US = 1_000_000

# turn: {holder, until, fence, talk (talks.py), and of each who stands in line when it last asked}
# line: who stands in line, by when they came. Times are microseconds of Redis's clock.
# A talk that the last turn did not go on with may lack what was said in it: its desk died, or could
# not reach Redis. Then the transcript knows.
_TAKE = """
local turn, line, stream = KEYS[1], KEYS[2], KEYS[3]
local me, lease, left_after, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function number(field) return tonumber(redis.call('HGET', turn, field) or 0) end
local function first() return redis.call('ZRANGE', line, 0, 0)[1] end
local function held()
  local talk = redis.call('HGET', turn, 'talk')
  return {redis.call('HGET', turn, 'fence'), talk, talk and redis.call('XRANGE', stream, '-', '+')}
end

local holder = redis.call('HGET', turn, 'holder')
if holder == me then return held() end
local ahead = first()
while ahead and ahead ~= me and number(ahead) + left_after < now do
  redis.call('ZREM', line, ahead)
  redis.call('HDEL', turn, ahead)
  ahead = first()
end
if (holder and number('until') > now) or (ahead and ahead ~= me) then
  redis.call('ZADD', line, 'NX', now, me)
  redis.call('HSET', turn, me, now)
  redis.call('EXPIRE', line, kept)
  redis.call('EXPIRE', turn, kept)
  return false
end
local talk = redis.call('HGET', turn, 'talk')
if talk and cjson.decode(talk).fence ~= redis.call('HGET', turn, 'fence') then
  redis.call('DEL', stream)
  redis.call('HDEL', turn, 'talk')
end
if ahead then
  redis.call('ZREM', line, me)
  redis.call('HDEL', turn, me)
end
local fence = math.max(now, number('fence') + 1)
redis.call('HSET', turn, 'holder', me, 'until', now + lease, 'fence', fence)
redis.call('EXPIRE', turn, kept)
return held()
"""
_RENEW = """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
local clock = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', clock[1] * 1000000 + clock[2] + ARGV[2])
return 1
"""
# What was said goes with it in one step: the talk, how many entries it has at most, for how many
# milliseconds they are kept, whether they take the place of those that are there, and those to add.
_GIVE_BACK = """
local turn, line, stream = KEYS[1], KEYS[2], KEYS[3]
local me, talk, most, ttl, anew = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('HGET', turn, 'holder') ~= me then
  redis.call('ZREM', line, me)
  redis.call('HDEL', turn, me)
  return 0
end
redis.call('HDEL', turn, 'holder', 'until')
if not talk then return 1 end
if anew == '1' then redis.call('DEL', stream) end
local about = cjson.decode(talk)
about.fence = redis.call('HGET', turn, 'fence')
for number = 6, #ARGV do
  local id = about.fence .. '-' .. (number - 5)
  redis.call('XADD', stream, 'MAXLEN', '=', most, id, unpack(cjson.decode(ARGV[number])))
end
about.entries = redis.call('XLEN', stream)
redis.call('PEXPIRE', stream, ttl)
redis.call('HSET', turn, 'talk', cjson.encode(about))
return 1
"""


@dataclass
class Held:
    """A customer's turn while this desk has it. `talk` is what Redis knows of the talk, and `entries`
    are those of its stream; `said` goes back with the turn, as arguments of the script."""

    me: str
    keys: list[str]
    fence: int
    talk: str | None
    entries: Sequence[tuple[str, Mapping[str, str]]]
    renew_at: float
    said: Sequence[str | int] = ()


class SharedTurns:
    """A lock with a lease for each customer, in Redis, first come, first served; `own` puts the turns
    of this desk in order before. Use as `async with`.

    A lease is no promise: a desk that stands still for longer finds its turn taken. So each turn has a
    number higher than all before it, its fence, which the transcript looks at when it is saved.
    """

    def __init__(self, redis: Client, own: TurnQueues) -> None:
        self._own = own
        self._take = redis.register_script(_TAKE)
        self._renew = redis.register_script(_RENEW)
        self._give_back = redis.register_script(_GIVE_BACK)
        self._held: dict[str, Held] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._keep_renewing(), name="kefu-leases")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._renewing
        self._renewing.cancel()
        with suppress(asyncio.CancelledError):
            await self._renewing

    @asynccontextmanager
    async def turn_of(self, uid: str) -> AsyncIterator[int]:
        """Raises `TooManyWaiting` and `SharedStateAway`."""
        async with self._own.turn_of(uid):
            me = new_id()
            keys = [key_of(uid, what) for what in ("turn", "line", "talk")]
            try:
                held = self._held[uid] = await self._taken(me, keys)
                yield held.fence
            finally:
                left = self._held.pop(uid, None)
                with suppress(RedisError):  # then the lease ends by itself
                    await self._give_back(keys=keys, args=[me, *(left.said if left else ())])

    def held(self, uid: str) -> Held | None:
        """The turn of this customer, where this desk has it."""
        return self._held.get(uid)

    async def _taken(self, me: str, keys: list[str]) -> Held:
        lease, left_after = round(LEASE_SECONDS * _US), round(_LEFT_AFTER_SECONDS * _US)
        args: list[str | int] = [me, lease, left_after, _KEPT_SECONDS]
        wait = _FIRST_WAIT_SECONDS
        while not (given := await patiently(lambda: self._take(keys=keys, args=args))):
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT_SECONDS, wait * 1.5)
        fence, talk, entries = given
        named = [
            (id_, dict(zip(fields[::2], fields[1::2], strict=True)))
            for id_, fields in entries or ()
        ]
        return Held(me, keys, int(fence), talk, named, time.monotonic() + _RENEW_EVERY_SECONDS)

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_SECONDS / 4)
            now = time.monotonic()
            for held in [one for one in self._held.values() if one.renew_at <= now]:
                await self._renew_one(held)

    async def _renew_one(self, held: Held) -> None:
        args: list[str | int] = [held.me, round(LEASE_SECONDS * _US)]
        try:
            if not await self._renew(keys=held.keys[:1], args=args):
                log.warning("turn_taken_by_another_desk", key=held.keys[0])
        except RedisError as error:
            log.warning("lease_not_renewed", key=held.keys[0], reason=str(error))
        else:
            held.renew_at = time.monotonic() + _RENEW_EVERY_SECONDS
