"""The running talk of each customer, for all desks: a stream of what was said, two entries a round."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import structlog
from redis.exceptions import RedisError

from kefu.settings import ConversationSettings
from kefu.stores.redis.connection import Client, key_of, patiently
from kefu.turn.context import Conversation
from kefu.turn.reply import Round

log = structlog.get_logger("kefu.redis")

# All of it or nothing, once for each fence: a second time changes nothing. The field `talk` of the
# turn says of which conversation the stream is, when it last went on, and how many entries it has.
_GO_ON = """
local turn, stream = KEYS[1], KEYS[2]
local id, at_ms, fence, most, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local from_nothing = ARGV[6] == '1'
local known = redis.call('HGET', turn, 'talk')
known = known and cjson.decode(known)
if known and known.id == id and known.fence == fence then return 1 end
if from_nothing then
  redis.call('DEL', stream)
elseif not known or known.id ~= id or redis.call('XLEN', stream) ~= known.entries then
  return 0
end
for number = 7, #ARGV do
  redis.call('XADD', stream, 'MAXLEN', '=', most, fence .. '-' .. (number - 6), unpack(cjson.decode(ARGV[number])))
end
local entries = redis.call('XLEN', stream)
redis.call('PEXPIRE', stream, ttl)
redis.call('HSET', turn, 'talk', cjson.encode({id = id, at_ms = at_ms, fence = fence, entries = entries}))
return 1
"""


class RedisTalks:
    """`Talks` in Redis. What is there is as the transcript has it, or it is not there."""

    def __init__(self, redis: Client, settings: ConversationSettings) -> None:
        self._redis = redis
        self._go_on = redis.register_script(_GO_ON)
        self._most = 2 * settings.context_rounds
        self._ttl_ms = round(settings.idle_seconds * 1000)

    async def find(self, uid: str) -> Conversation | None:
        known, entries = await patiently(lambda: self._read(uid))
        if known is None:
            return None
        about = json.loads(known)
        if len(entries) != about["entries"]:  # it has run out, or Redis was short of memory
            return None
        said = [fields for _, fields in reversed(entries)]
        rounds = zip(said[::2], said[1::2], strict=True)
        return Conversation(
            about["id"],
            tuple(Round(asked["text"], told["text"], told["entry"]) for asked, told in rounds),
            int(about["at_ms"]),
        )

    async def go_on(self, uid: str, talk: Conversation, new: Round | None, fence: int) -> None:
        """Where Redis is away the next turn reads the transcript (turns.py)."""
        keys = [key_of(uid, "turn"), key_of(uid, "talk")]
        added = [new] if new else []
        about: list[str | int] = [talk.id, talk.last_at_ms, fence, self._most, self._ttl_ms]
        try:
            if not await self._go_on(keys=keys, args=[*about, "0", *_entries(added)]):
                await self._go_on(keys=keys, args=[*about, "1", *_entries(talk.rounds)])
        except RedisError as error:
            log.warning("talk_not_kept", reason=str(error))

    async def forget(self, uid: str) -> None:
        async def forget() -> None:
            async with self._redis.pipeline(transaction=True) as both:
                both.hdel(key_of(uid, "turn"), "talk")
                both.delete(key_of(uid, "talk"))
                await both.execute()

        await patiently(forget)

    async def _read(self, uid: str) -> Any:
        async with self._redis.pipeline(transaction=True) as both:
            both.hget(key_of(uid, "turn"), "talk")
            both.xrevrange(key_of(uid, "talk"), count=self._most + 1)
            return await both.execute()


def _entries(rounds: Sequence[Round]) -> list[str]:
    """Fields and values of each entry, as JSON."""
    said = []
    for one in rounds:
        said.append(["role", "customer", "text", one.question])
        said.append(["role", "desk", "text", one.reply, "entry", one.entry_id])
    return [json.dumps(fields, ensure_ascii=False) for fields in said]
