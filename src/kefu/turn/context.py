"""What was said before: the last rounds of a conversation, within a token budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from kefu.conversations.transcript import Transcript, Turn
from kefu.settings import ConversationSettings
from kefu.stamps import new_id, now_ms
from kefu.turn.reply import Round
from kefu.turn.tokens import estimate_tokens

# Contexts kept in memory; a customer beyond these costs one query.
MAX_REMEMBERED = 10_000


@dataclass(frozen=True)
class Conversation:
    """A talk that is still going on. `rounds` are its last answered ones, oldest first."""

    id: str
    rounds: tuple[Round, ...]
    last_at_ms: int


class Contexts:
    """The running conversation of each customer, read from the transcript once and then kept."""

    def __init__(self, transcript: Transcript, settings: ConversationSettings) -> None:
        self._transcript = transcript
        self._settings = settings
        self._remembered: OrderedDict[str, Conversation] = OrderedDict()

    async def get(self, uid: str) -> Conversation:
        """The conversation this customer is in: a new one after `idle_seconds` of silence."""
        known = self._remembered.get(uid) or await self._load(uid)
        if known is None or self._is_over(known):
            return Conversation(new_id(), (), now_ms())
        return known

    def remember(self, uid: str, conversation: Conversation, new: Round) -> None:
        """Add an answered round. Call it when the turn is on disk, not before."""
        rounds = self._newest((*conversation.rounds, new))
        self._remembered[uid] = Conversation(conversation.id, rounds, now_ms())
        self._remembered.move_to_end(uid)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

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
        if turn.conversation_id == last.conversation_id and turn.status == "answered"
    )
