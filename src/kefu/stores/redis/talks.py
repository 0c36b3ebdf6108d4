"""The running talk of each customer, for all desks: a stream of what was said, two entries a round.

What a turn adds goes to Redis when the turn is given back (turns.py), both entries in one step and
once, for only its holder gives it back. Each entry's id begins with the turn's fence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kefu.settings import ConversationSettings
from kefu.stores.redis.connection import Client, key_of, patiently
from kefu.stores.redis.turns import SharedTurns
from kefu.turn.context import Conversation
from kefu.turn.reply import Round


class RedisTalks:
    """`Talks` in Redis. What is there is as the transcript has it, or it is not there."""

    def __init__(self, redis: Client, turns: SharedTurns, settings: ConversationSettings) -> None:
        self._redis = redis
        self._turns = turns
        self._most = 2 * settings.context_rounds
        self._ttl_ms = round(settings.idle_seconds * 1000)

    async def find(self, uid: str) -> Conversation | None:
        held = self._turns.held(uid)
        talk, entries = (held.talk, held.entries) if held else await self._read(uid)
        return None if talk is None else _conversation(json.loads(talk), entries)

    async def go_on(self, uid: str, talk: Conversation, new: Round | None, fence: int) -> None:
        held = self._turns.held(uid)
        if held is None:  # the turn was lost; the transcript has what was said
            return
        known = None if held.talk is None else _conversation(json.loads(held.talk), held.entries)
        goes_on = known is not None and known.id == talk.id
        added = ([new] if new else []) if goes_on else talk.rounds
        about = json.dumps({"id": talk.id, "at_ms": str(talk.last_at_ms)})
        held.said = [about, self._most, self._ttl_ms, int(not goes_on), *_entries(added)]

    async def forget(self, uid: str) -> None:
        """In its turn or not."""
        if held := self._turns.held(uid):
            held.talk, held.said = None, ()

        async def forget() -> None:
            async with self._redis.pipeline(transaction=True) as both:
                both.hdel(key_of(uid, "turn"), "talk")
                both.delete(key_of(uid, "talk"))
                await both.execute()

        await patiently(forget)

    async def _read(self, uid: str) -> Any:
        async def read() -> Any:
            async with self._redis.pipeline(transaction=True) as both:
                both.hget(key_of(uid, "turn"), "talk")
                both.xrange(key_of(uid, "talk"))
                return await both.execute()

        return await patiently(read)


def _conversation(
    about: Mapping[str, Any], entries: Sequence[tuple[str, Mapping[str, str]]]
) -> Conversation | None:
    """None where a part of it has run out, or Redis was short of memory."""
    if len(entries) != about["entries"]:
        return None
    said = [fields for _, fields in entries]
    rounds = zip(said[::2], said[1::2], strict=True)
    return Conversation(
        about["id"],
        tuple(Round(asked["text"], told["text"], told["entry"]) for asked, told in rounds),
        int(about["at_ms"]),
    )


def _entries(rounds: Sequence[Round]) -> list[str]:
    """Fields and values of each entry, as JSON."""
    said = []
    for one in rounds:
        said.append(["role", "customer", "text", one.question])
        said.append(["role", "desk", "text", one.reply, "entry", one.entry_id])
    return [json.dumps(fields, ensure_ascii=False) for fields in said]
