"""One turn at a time for each customer, whichever desk it comes to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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
local turn, line, talk = KEYS[1], KEYS[2], KEYS[3]
local me, lease, left_after, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function number(field) return tonumber(redis.call('HGET', turn, field) or 0) end
local function first() return redis.call('ZRANGE', line, 0, 0)[1] end

local holder = redis.call('HGET', turn, 'holder')
if holder == me then return redis.call('HGET', turn, 'fence') end
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
  return 0
end
local said = redis.call('HGET', turn, 'talk')
if said and cjson.decode(said).fence ~= redis.call('HGET', turn, 'fence') then
  redis.call('DEL', talk)
  redis.call('HDEL', turn, 'talk')
end
if ahead then
  redis.call('ZREM', line, me)
  redis.call('HDEL', turn, me)
end
local fence = math.max(now, number('fence') + 1)
redis.call('HSET', turn, 'holder', me, 'until', now + lease, 'fence', fence)
redis.call('EXPIRE', turn, kept)
return redis.call('HGET', turn, 'fence')
"""
_RENEW = """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
local clock = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', clock[1] * 1000000 + clock[2] + ARGV[2])
return 1
"""
_GIVE_BACK = """
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'holder', 'until')
else
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HDEL', KEYS[1], ARGV[1])
end
"""


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
        # What is held: the key of each holder, and when it is to be renewed.
        self._held: dict[str, tuple[str, float]] = {}
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
                yield await self._taken(me, keys)
            finally:
                self._held.pop(me, None)
                with suppress(RedisError):  # then the lease ends by itself
                    await self._give_back(keys=keys[:2], args=[me])

    async def _taken(self, me: str, keys: list[str]) -> int:
        lease, left_after = round(LEASE_SECONDS * _US), round(_LEFT_AFTER_SECONDS * _US)
        args: list[str | int] = [me, lease, left_after, _KEPT_SECONDS]
        wait = _FIRST_WAIT_SECONDS
        while not (fence := int(await patiently(lambda: self._take(keys=keys, args=args)))):
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT_SECONDS, wait * 1.5)
        self._held[me] = (keys[0], time.monotonic() + _RENEW_EVERY_SECONDS)
        return fence

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_SECONDS / 4)
            now = time.monotonic()
            for me, (turn, due) in list(self._held.items()):
                if due <= now:
                    await self._renew_one(me, turn)

    async def _renew_one(self, me: str, turn: str) -> None:
        try:
            if not await self._renew(keys=[turn], args=[me, round(LEASE_SECONDS * _US)]):
                log.warning("turn_taken_by_another_desk", key=turn)
        except RedisError as error:
            log.warning("lease_not_renewed", key=turn, reason=str(error))
            return
        if me in self._held:
            self._held[me] = (turn, time.monotonic() + _RENEW_EVERY_SECONDS)
