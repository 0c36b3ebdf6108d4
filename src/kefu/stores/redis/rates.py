"""How many messages a customer may send in a minute, whichever desk they come to."""

from __future__ import annotations

from kefu.stores.redis.connection import Client, key_of, patiently
from kefu.turn.rates import WINDOW_SECONDS, too_many

# As `OwnRates.count`, in microseconds of Redis's clock; the wait, 0 for none.
_COUNT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local window, share = tonumber(ARGV[1]), tonumber(ARGV[2])
local free_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now)) + share
if free_at - now > window + 1 then return math.ceil(free_at - now - window) end
redis.call('SET', KEYS[1], free_at, 'PX', math.ceil(window / 1000))
return 0
"""


class SharedRates:
    """`Rates` in Redis. A message that is counted twice because an answer of Redis was lost costs its
    customer a share of the minute."""

    def __init__(self, redis: Client, per_minute: int) -> None:
        self._per_minute = per_minute
        self._count = redis.register_script(_COUNT)

    async def count(self, uid: str) -> None:
        keys, window = [key_of(uid, "rate")], round(WINDOW_SECONDS * 1_000_000)
        args = [window, window // self._per_minute]
        wait = await patiently(lambda: self._count(keys=keys, args=args))
        if wait:
            raise too_many(self._per_minute, wait / 1_000_000)
