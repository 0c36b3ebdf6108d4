"""Which messages are answered: plain ones are, what is listed is not, doubtful ones wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kefu.inference.encoder.compared import Compared
from kefu.language import Language
from kefu.moderation.categories import Direction, Outcome
from kefu.moderation.checker import Checker
from kefu.moderation.policy import PASSED, Verdict, joined
from kefu.moderation.streaming import StreamGuard, guard_of
from kefu.settings import RepliesSettings
from kefu.turn.draft import NO_TOPIC, Draft, handoff
from kefu.turn.held import hold_message, hold_reply
from kefu.turn.reply import Message


class Encoder(Protocol):
    async def compare(self, text: str) -> Compared: ...


class Moderation(Protocol):
    """What is asked of `kefu.moderation.service.Moderation`."""

    @property
    def is_enabled(self) -> bool: ...
    @property
    def checker(self) -> Checker: ...
    def check_words(self, text: str, direction: Direction) -> Verdict: ...
    async def check_meaning(self, text: str, vector: Compared, direction: Direction) -> Verdict: ...
    def count(self, verdict: Verdict, direction: Direction) -> None: ...


class Queue(Protocol):
    """Where held messages wait; `has_room` for one more."""

    @property
    def has_room(self) -> bool: ...


@dataclass(frozen=True)
class Gate:
    """Holds the customer's words and the model's against the policy. Keeps nothing itself."""

    moderation: Moderation
    queue: Queue
    encoder: Encoder
    replies: RepliesSettings

    @property
    def in_use(self) -> object:
        """The words and the head of this moment: while it is the same, so are the verdicts."""
        return self.moderation.checker

    def look_at_words(self, message: Message) -> Verdict:
        """What the listed words in a message say; nothing where a person let it pass."""
        if message.is_approved:
            return PASSED
        return self.moderation.check_words(message.text, Direction.CUSTOMER)

    async def look_at_meaning(self, message: Message, vector: Compared, words: Verdict) -> Verdict:
        """`words` together with what the message means."""
        if message.is_approved:
            return PASSED
        meaning = await self.moderation.check_meaning(message.text, vector, Direction.CUSTOMER)
        return joined(words, meaning)

    def stop_at_once(self, message: Message, verdict: Verdict, language: Language) -> Draft | None:
        """The reply to what is blocked, or to a person in danger; None for everything else."""
        if verdict.outcome is Outcome.BLOCK:
            text = self.replies.blocked_zh if language == "zh" else self.replies.blocked_en
            draft = Draft(text, "blocked", NO_TOPIC, 0.0, unsent=text, reasons=verdict.reasons)
        elif verdict.outcome is Outcome.CARE:
            text = self.replies.care_zh if language == "zh" else self.replies.care_en
            draft = Draft(text, "handoff", NO_TOPIC, 0.0, unsent=text, reasons=verdict.reasons)
        else:
            return None
        self.moderation.count(verdict, Direction.CUSTOMER)
        return draft

    def stop(self, message: Message, verdict: Verdict, language: Language) -> Draft | None:
        """The reply to what is stopped at once, or must wait for a person; None where it passes."""
        if draft := self.stop_at_once(message, verdict, language):
            return draft
        self.moderation.count(verdict, Direction.CUSTOMER)
        if verdict.outcome is not Outcome.HOLD:
            return None
        if not self.queue.has_room:
            return handoff(NO_TOPIC, language, self.replies)
        return hold_message(message.text, verdict, language, self.replies)

    def guard(self) -> StreamGuard:
        """What a reply goes through while it is written: words, and the meaning of each sentence."""
        if not self.moderation.is_enabled:
            return StreamGuard(lambda _: PASSED, len)
        checker = self.moderation.checker
        return guard_of(checker, self._look_at_sentence if checker.head else None)

    async def _look_at_sentence(self, sentence: str) -> Verdict:
        vector = await self.encoder.compare(sentence)
        return await self.moderation.check_meaning(sentence, vector, Direction.REPLY)

    def masked(self, text: str) -> str:
        """A reply without the rude words in it."""
        return self.moderation.check_words(text, Direction.REPLY).masked(text)

    def count_reply(self, verdict: Verdict) -> None:
        self.moderation.count(verdict, Direction.REPLY)

    def stop_reply(self, draft: Draft, verdict: Verdict, language: Language) -> Draft:
        """What is said in place of a reply that the model had better not have written."""
        if verdict.outcome is Outcome.HOLD and self.queue.has_room:
            return hold_reply(draft, verdict, language, self.replies)
        return handoff(draft.intent, language, self.replies)
