"""All that desks share through Redis, opened together."""

from __future__ import annotations

import base64
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import SimpleNamespace

from kefu.answers.answer import CachedAnswer
from kefu.answers.cache import AnswerCache
from kefu.settings import Settings
from kefu.stores.answers import answer_of, row_of
from kefu.stores.redis.channels import Channels
from kefu.stores.redis.connection import open_redis
from kefu.stores.redis.rates import SharedRates
from kefu.stores.redis.talks import RedisTalks
from kefu.stores.redis.turns import SharedTurns
from kefu.turn.doorbell import Doorbell
from kefu.turn.queues import TurnQueues
from kefu.turn.rates import Rates

_RINGS = "rings"
_ANSWERS = "answers"


@dataclass(frozen=True)
class Shared:
    turns: TurnQueues
    talks: RedisTalks
    rates: Rates | None
    channels: Channels

    def join(self, doorbell: Doorbell, answers: AnswerCache) -> None:
        """Tell other desks of later replies and of kept answers, and hear of theirs. Before the
        channels are entered."""
        doorbell.share(lambda uid: self.channels.tell(_RINGS, uid))
        self.channels.hear(_RINGS, doorbell.ring_here)
        self.channels.after_gap(doorbell.ring_all_here)
        answers.share(
            lambda answer, version: self.channels.tell(_ANSWERS, as_text(answer, version))
        )
        self.channels.hear(_ANSWERS, lambda text: answers.adopt(*of_text(text)))


async def open_shared(settings: Settings, own: TurnQueues, stack: AsyncExitStack) -> Shared:
    """`own` keeps the turns of this desk in order. Raises `SettingsError`."""
    redis = await stack.enter_async_context(open_redis(settings.redis))
    turns = await stack.enter_async_context(SharedTurns(redis, own))
    per_minute = settings.conversation.max_per_minute
    return Shared(
        turns,
        RedisTalks(redis, turns, settings.conversation),
        SharedRates(redis, per_minute) if per_minute else None,
        Channels(redis),
    )


def as_text(answer: CachedAnswer, knowledge_version: int) -> str:
    row = row_of(answer)
    row["vector"] = base64.b64encode(row["vector"] or b"").decode()
    return json.dumps({"knowledge_version": knowledge_version, "answer": row}, ensure_ascii=False)


def of_text(text: str) -> tuple[CachedAnswer, int]:
    told = json.loads(text)
    row = told["answer"]
    row["vector"] = base64.b64decode(row["vector"]) or None
    return answer_of(SimpleNamespace(**row)), told["knowledge_version"]
