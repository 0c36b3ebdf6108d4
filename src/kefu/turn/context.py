"""What was said before: the last rounds of a conversation, within a token budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kefu.conversations.transcript import Transcript, Turn
from kefu.settings import ConversationSettings
from kefu.stamps import new_id, now_ms
from kefu.turn.reply import Round
from kefu.turn.tokens import estimate_tokens

# What did not pass is no context: the generator is not to read it.
UNANSWERED_SOURCES = frozenset({"blocked", "held"})
# Talks kept in memory; a customer beyond these costs one query.
MAX_REMEMBERED = 10_000


@dataclass(frozen=True)
class Conversation:
    """A talk that is still going on. `rounds` are its last answered ones, oldest first."""

    id: str
    rounds: tuple[Round, ...]
    last_at_ms: int


class Talks(Protocol):
    """The running talk of each customer, ready to hand. To be changed in the customer's turn only."""

    async def find(self, uid: str) -> Conversation | None:
        """None where it must be read from the transcript."""
        ...

    async def go_on(self, uid: str, talk: Conversation, new: Round | None, fence: int) -> None:
        """Keep `talk`, of which all is known but perhaps its last round, which is `new`. `fence` is
        the turn's number (`TurnQueues`)."""
        ...

    async def forget(self, uid: str) -> None: ...


class MemoryTalks:
    """For one desk. The newest `MAX_REMEMBERED`."""

    def __init__(self) -> None:
        self._remembered: OrderedDict[str, Conversation] = OrderedDict()

    async def find(self, uid: str) -> Conversation | None:
        return self._remembered.get(uid)

    async def go_on(self, uid: str, talk: Conversation, new: Round | None, fence: int) -> None:
        self._remembered[uid] = talk
        self._remembered.move_to_end(uid)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    async def forget(self, uid: str) -> None:
        self._remembered.pop(uid, None)


class Contexts:
    """The running conversation of each customer, read from the transcript once and then kept."""

    def __init__(
        self, transcript: Transcript, settings: ConversationSettings, talks: Talks | None = None
    ) -> None:
        self._transcript = transcript
        self._settings = settings
        self._talks = talks or MemoryTalks()

    async def get(self, uid: str) -> Conversation:
        """The conversation this customer is in: a new one after `idle_seconds` of silence."""
        known = await self._talks.find(uid) or await self._load(uid)
        if known is None or self._is_over(known):
            return Conversation(new_id(), (), now_ms())
        return known

    async def remember(
        self, uid: str, conversation: Conversation, new: Round | None, fence: int = 0
    ) -> None:
        """Add an answered round, or (None) that the talk goes on without one, as when a message is
        held. Call it when the turn is on disk, not before."""
        rounds = self._newest((*conversation.rounds, new) if new else conversation.rounds)
        await self._talks.go_on(uid, Conversation(conversation.id, rounds, now_ms()), new, fence)

    async def read_again(self, uid: str) -> None:
        """Have the talk read from the transcript when it is next needed: a reply has changed."""
        await self._talks.forget(uid)

    async def before(self, turn: Turn) -> Conversation:
        """The talk as it was when this turn came."""
        earlier = await self._transcript.around(
            turn.turn_id, before=self._settings.context_rounds, after=0
        )
        return Conversation(turn.conversation_id, _rounds(earlier[:-1], turn), turn.created_at_ms)

    def fitting(self, rounds: Sequence[Round]) -> tuple[Round, ...]:
        """The newest rounds within the round and token budget, oldest first."""
        kept: list[Round] = []
        left = self._settings.context_tokens
        for earlier in reversed(self._newest(tuple(rounds))):
            left -= estimate_tokens(earlier.question) + estimate_tokens(earlier.reply)
            if left < 0:
                break
            kept.append(earlier)
        return tuple(reversed(kept))

    def _is_over(self, conversation: Conversation) -> bool:
        return now_ms() - conversation.last_at_ms > self._settings.idle_seconds * 1000

    def _newest(self, rounds: tuple[Round, ...]) -> tuple[Round, ...]:
        return rounds[max(0, len(rounds) - self._settings.context_rounds) :]

    async def _load(self, uid: str) -> Conversation | None:
        turns = await self._transcript.last_turns(uid, self._settings.context_rounds + 1)
        if not turns:
            return None
        last = turns[-1]
        rounds = self._newest(_rounds(turns, last))
        return Conversation(last.conversation_id, rounds, last.created_at_ms)


def _rounds(turns: Sequence[Turn], last: Turn) -> tuple[Round, ...]:
    return tuple(
        Round(turn.question, turn.reply, turn.citations[0].id if turn.citations else "")
        for turn in turns
        if turn.conversation_id == last.conversation_id
        and turn.status == "answered"
        and turn.source not in UNANSWERED_SOURCES
    )
