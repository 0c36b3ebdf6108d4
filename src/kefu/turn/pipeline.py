"""One customer message, from the words to the reply: the product on one screen.

    message -> a word that must not pass: not answered; a person in danger:
               kind words and a person                                      (blocked, handoff)
            -> the same words before? the answer that was given then            (cache)
            -> encode (one vector) -> what does the customer want?  search the knowledge;
               a follow-up is completed from the turns before it
            -> sure:              the vetted answer, word for word              (faq)
            -> doubtful words, or a doubtful meaning: a person looks first      (held)
            -> a plain intent that has an action: the shop's own words          (canned, handoff)
            -> between a few entries: ask back                                  (canned)
            -> another question that asked the same: its answer                 (cache)
            -> something near it that may answer: write from the passages       (model)
               not supported by them: ask back, or quote what is near           (canned, faq)
               not fit to be said: a person looks first                         (held)
            -> nothing, or the writer does not know: say so, offer a person     (handoff)
            -> the caller saves question and answer together, then acknowledges

Generating costs a thousand times more than every other step together, so it comes last.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kefu.answers.cache import AnswerCache
from kefu.answers.key import Scope
from kefu.courtesies import without_courtesies
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.encoder.compared import Vector
from kefu.intent.actions import Action
from kefu.intent.service import Intents
from kefu.knowledge.match import Choices, Decision, Nothing, Passages, Sure
from kefu.knowledge.service import Knowledge
from kefu.language import Language, detect
from kefu.moderation.categories import Outcome
from kefu.moderation.policy import Verdict
from kefu.telemetry import Metrics, StageClock
from kefu.turn.context import Contexts, Conversation
from kefu.turn.draft import (
    NO_TOPIC,
    Draft,
    from_action,
    from_cache,
    from_choices,
    from_faq,
    handoff,
)
from kefu.turn.follow_up import Topic, goes_on, points_back, search_in_talk
from kefu.turn.gate import Gate
from kefu.turn.looked_up import LookedUp, Recent
from kefu.turn.reply import Intent, Message, Reply
from kefu.turn.writer import Emit, Question, Writer


@dataclass(frozen=True)
class Asked:
    """A message on its way through the steps. `text` is the question in it, rude words masked; `words`
    what the listed ones among all its words say; `topic` is what a follow-up goes on from."""

    message: Message
    text: str
    words: Verdict
    talk: Conversation
    language: Language
    scope: Scope
    topic: Topic | None
    emit: Emit
    clock: StageClock


@dataclass(frozen=True)
class Pipeline:
    """The steps of a turn. `answer` runs them; nothing here writes to the transcript."""

    gate: Gate
    encoder: BatchedEncoder
    intents: Intents
    knowledge: Knowledge
    answers: AnswerCache
    writer: Writer
    contexts: Contexts
    default_language: Language
    model_id: str
    metrics: Metrics
    recent: Recent = field(default_factory=Recent)

    async def answer(self, message: Message, talk: Conversation, emit: Emit) -> Reply:
        """The reply to `message`. `emit` gets its text piece by piece as it is known.

        Raises `Overloaded` when a queue is full and `GeneratorUnavailable` when the generator
        fails; nothing is saved here.
        """
        asked = self._asked(message, talk, emit)
        draft = (
            self.gate.stop_at_once(message, asked.words, asked.language)
            or self._given_before(asked)
            or await self._decide(asked)
        )
        if draft.unsent:
            emit(draft.unsent)
        return _reply(asked, draft)

    def _asked(self, message: Message, talk: Conversation, emit: Emit) -> Asked:
        language = detect(message.text, self.default_language)
        clock = StageClock(self.metrics)
        with clock("words"):
            words = self.gate.look_at_words(message)
        return Asked(
            message=message,
            text=without_courtesies(words.masked(message.text)),
            words=words,
            talk=talk,
            language=language,
            scope=Scope(language, self.model_id, self.writer.prompts.digest, message.max_tokens),
            topic=self._topic_of(talk) if goes_on(message.text, language) else None,
            emit=emit,
            clock=clock,
        )

    def _given_before(self, asked: Asked) -> Draft | None:
        """What was generated for these very words before; never for a follow-up, nor for what a
        person must look at."""
        if asked.topic is not None or asked.words.outcome is Outcome.HOLD:
            return None
        kept = self.answers.find_exact(asked.text, asked.scope)
        return from_cache(kept) if kept else None

    async def _decide(self, asked: Asked) -> Draft:
        version = self.knowledge.version
        found = await self._look_up(asked)
        vector, decision, prediction = found.vector, found.decision, found.prediction
        self.intents.count(prediction)
        intent = Intent(prediction.label, prediction.score) if prediction else None
        draft = self._stopped(asked, found.verdict, decision)
        if draft is None:
            is_foreign = self.intents.is_foreign(prediction)
            asked = self._with_topic(asked, decision, is_foreign=is_foreign)
            action = self.intents.action_for(prediction)
            draft = await self._answered(asked, vector, version, decision, action, intent)
        return replace(draft, intent=intent or draft.intent)

    async def _look_up(self, asked: Asked) -> LookedUp:
        """What its words alone tell; as for the customer who wrote the very same before."""
        key = (asked.message.text, asked.text, asked.language, asked.message.is_approved)
        of = (*self.knowledge.in_use, self.intents.in_use, self.gate.in_use)
        if (known := self.recent.get(key, of)) is not None:
            return known
        with asked.clock("encode"):
            compared = await self.encoder.compare(asked.text)
        with asked.clock("meaning"):
            verdict = await self.gate.look_at_meaning(asked.message, compared, asked.words)
        with asked.clock("intent"):
            prediction = await self.intents.predict(asked.text, compared)
        with asked.clock("search"):
            decision = await self.knowledge.find(asked.text, compared, asked.language)
        found = LookedUp(compared.vector, verdict, prediction, decision)
        if prediction is not None or self.intents.in_use is None:  # one that failed may do better
            self.recent.keep(key, of, found)
        return found

    def _stopped(self, asked: Asked, verdict: Verdict, decision: Decision) -> Draft | None:
        """What is said instead of an answer. What is asked just as the shop's own entry asks it is
        nothing to hold."""
        if isinstance(decision, Sure) and verdict.outcome is Outcome.HOLD:
            return None
        return self.gate.stop(asked.message, verdict, asked.language)

    async def _answered(
        self,
        asked: Asked,
        vector: Vector,
        version: int,
        decision: Decision,
        action: Action | None,
        intent: Intent | None,
    ) -> Draft:
        """The answer, from the cheapest that has one."""
        if asked.topic and not action:
            decision = await self._completed(asked, asked.topic, vector, decision)
        match decision:
            case Sure():
                draft = from_faq(decision)
            case _ if action and intent:
                draft = from_action(action, intent, asked.language)
            case Choices():
                draft = from_choices(decision.matches, asked.language, self.writer.replies)
            case Passages():
                draft = await self._write(asked, vector, version, decision)
            case Nothing():
                draft = handoff(NO_TOPIC, asked.language, self.writer.replies)
        standalone = asked.topic.under_entry(asked.text) if asked.topic and not action else ""
        return replace(draft, standalone_question=standalone)

    async def _completed(
        self, asked: Asked, topic: Topic, vector: Vector, alone: Decision
    ) -> Decision:
        """What is found in the light of the talk.

        A vetted answer is never chosen by words the customer did not just say: it stays sure only
        where the words alone were sure of the same entry.
        """
        with asked.clock("follow_up"):
            weighed = await search_in_talk(
                self.knowledge, self.encoder, asked.text, vector, asked.language, topic
            )
        if isinstance(alone, Sure) and weighed and weighed[0].entry.id == alone.entry.id:
            return alone
        return self.knowledge.passages(weighed, "it was completed from the turn before")

    async def _write(
        self, asked: Asked, vector: Vector, knowledge_version: int, found: Passages
    ) -> Draft:
        """What another customer got who asked the same, or what the generator writes now."""
        rounds = self.contexts.fitting(asked.talk.rounds) if asked.topic else ()
        if not rounds:
            with asked.clock("cache"):
                kept = await self.answers.find_alike(asked.text, vector, asked.scope)
            if kept is not None:
                return from_cache(kept)
        question = Question(
            asked.message,
            asked.text,
            asked.language,
            vector,
            asked.scope,
            knowledge_version,
            rounds,
        )
        return await self.writer.write(question, found, asked.emit, asked.clock)

    def _with_topic(self, asked: Asked, alone: Decision, *, is_foreign: bool) -> Asked:
        """Whether it goes on from the talk, now that it is known what its words alone find.

        What points back does. What does not is alone where it is sure or plainly about something
        else, and goes on where nothing is found.
        """
        if points_back(asked.text, asked.language):
            return asked
        if is_foreign or isinstance(alone, Sure):
            return replace(asked, topic=None)
        if isinstance(alone, Nothing):
            return replace(asked, topic=self._topic_of(asked.talk))
        return asked

    def _topic_of(self, talk: Conversation) -> Topic | None:
        """What the talk is about: its last round."""
        if not talk.rounds:
            return None
        last = talk.rounds[-1]
        return Topic(last.question, self.knowledge.entries.get(last.entry_id))


def _reply(asked: Asked, draft: Draft) -> Reply:
    clock = asked.clock
    clock.timings_ms["total"] = round(clock.seconds * 1000, 3)
    return Reply(
        text=draft.text,
        source=draft.source,
        intent=draft.intent,
        confidence=draft.confidence,
        conversation_id=asked.talk.id,
        turn_id=asked.message.turn_id,
        citations=draft.citations,
        choices=draft.choices,
        standalone_question=draft.standalone_question,
        timings_ms=clock.timings_ms,
        usage=draft.usage,
        held=draft.held,
        reasons=draft.reasons,
    )
