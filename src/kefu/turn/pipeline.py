"""One customer message, from the words to the reply: the product on one screen.

    message -> encode (one vector) -> what does the customer want?  search the knowledge
            -> sure:              the vetted answer, word for word      (faq)
            -> a plain intent that has an action: the shop's own words  (canned, handoff)
            -> something near it: write an answer from the passages     (model)
               not supported by them: quote the nearest as what it is   (faq)
            -> nothing, or the writer does not know: say so, offer a person   (handoff)
            -> the caller saves question and answer together, then acknowledges

Generating costs a thousand times more than every other step together, so it comes last.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from kefu.conversations.transcript import Citation
from kefu.inference.encoder.batcher import BatchedEncoder, Vector
from kefu.inference.generator.protocol import Generator, Piece, Prompt, Usage
from kefu.intent.actions import Action
from kefu.intent.dataset import OUT_OF_SCOPE
from kefu.intent.service import Intents
from kefu.knowledge.index import Match
from kefu.knowledge.match import Decision, Nothing, Passages, Sure
from kefu.knowledge.service import Knowledge
from kefu.language import Language, detect
from kefu.settings import RepliesSettings
from kefu.telemetry import Metrics, StageClock
from kefu.turn.context import Contexts, Conversation
from kefu.turn.grounding import Grounding, Verdict
from kefu.turn.prompt import PromptWriter, prompt_tokens
from kefu.turn.reply import Intent, Message, Reply, Round
from kefu.turn.written import Written

log = structlog.get_logger("kefu.turn")

# Of the quotations of the shop's questions fewer than half are what the customer needed
# (docs/replies.md). The widget shows a reply of the source faq up to here as "related" only.
MOST_CONFIDENCE_OF_QUOTE = 0.5
# An entry with this tag ("let me talk to a person") is answered and marks the talk as waiting.
HANDOFF_TAG = "handoff"

Emit = Callable[[str], None]


@dataclass(frozen=True)
class Pipeline:
    """The steps of a turn. `answer` runs them; nothing here writes to a store."""

    encoder: BatchedEncoder
    intents: Intents
    knowledge: Knowledge
    generator: Generator
    contexts: Contexts
    prompts: PromptWriter
    replies: RepliesSettings
    default_language: Language
    metrics: Metrics

    async def answer(self, message: Message, talk: Conversation, emit: Emit) -> Reply:
        """The reply to `message`. `emit` gets its text piece by piece as it is known.

        Raises `Overloaded` when a queue is full and `GeneratorUnavailable` when the generator
        fails; nothing is saved here.
        """
        clock = StageClock(self.metrics)
        language = detect(message.text, self.default_language)
        rounds = self.contexts.fitting(talk.rounds)
        with clock("encode"):
            vector = await self.encoder.encode(message.text)
        with clock("intent"):
            prediction = await self.intents.predict(message.text, vector)
        intent = Intent(prediction.label, prediction.score) if prediction else None
        action = self.intents.action_for(prediction)
        decision = self._search(message.text, vector, language, clock)
        if isinstance(decision, Nothing) and not action and not self.intents.is_foreign(prediction):
            decision = await self._completed(message.text, rounds, language, clock)
        match decision:
            case Sure():
                draft = _from_faq(decision)
            case _ if action and intent:
                draft = _from_action(action, intent, language)
            case Passages():
                draft = await self._write(message, rounds, decision, language, emit, clock)
            case Nothing():
                draft = self._handoff(_NO_TOPIC, language)
        if intent:
            draft = replace(draft, intent=intent)
        if draft.unsent:
            emit(draft.unsent)
        return self._reply(message, talk, draft, clock)

    async def _completed(
        self, text: str, rounds: tuple[Round, ...], language: Language, clock: StageClock
    ) -> Decision:
        """What is found with the question before it: "and for shoes?" says too little alone.

        A vetted answer is never chosen by words the customer did not just say.
        """
        if not rounds:
            return Nothing()
        completed = f"{rounds[-1].question} {text}"
        with clock("encode"):
            vector = await self.encoder.encode(completed)
        decision = self._search(completed, vector, language, clock)
        if isinstance(decision, Sure):
            return Passages((decision.match,), "it was completed from the question before")
        return decision

    def _search(self, text: str, vector: Vector, language: Language, clock: StageClock) -> Decision:
        with clock("search"):
            matches = self.knowledge.search(text, vector, language)
            return self.knowledge.decide(text, matches)

    async def _write(
        self,
        message: Message,
        rounds: tuple[Round, ...],
        found: Passages,
        language: Language,
        emit: Emit,
        clock: StageClock,
    ) -> Draft:
        """Let the generator answer from the passages, as far as they say what it says.

        Where it may not, or nothing of it holds, the nearest passage is quoted as what it is: a
        passage that is near.
        """
        best = found.matches[0]
        if not self._may_write(message.text, rounds, found):
            return self._quote(best, language)
        shown = self.prompts.choose(found.matches)
        grounding = Grounding(
            message.text,
            [match.entry for match in shown],
            copies_only=self.prompts.copies_only,
        )
        written = Written(grounding, self.prompts.refusal(language))
        prompt = self.prompts.write(message.text, rounds, found.matches, language)
        usage = await self._stream(prompt, message.max_tokens, written, emit, clock)
        if written.fault:
            self.metrics.ungrounded_replies.labels(written.fault).inc()
            log.info("reply_not_grounded", reason=written.fault, turn_id=message.turn_id)
        if written.text:
            return Draft(
                text=written.text,
                source="model",
                intent=_intent(best),
                confidence=best.score,
                citations=tuple(_citation(shown[number]) for number in written.passages),
                usage=usage,
            )
        if written.fault is Verdict.REFUSED:
            draft = self._handoff(_intent(best), language)
        else:
            draft = self._quote(best, language)
        # Callers that show only the deltas read on after what was sent; others replace it.
        gap = "\n\n" if written.has_sent else ""
        return replace(draft, usage=usage, unsent=gap + draft.unsent)

    def _may_write(self, text: str, rounds: tuple[Round, ...], found: Passages) -> bool:
        """What a model copies must at least be worth quoting, and in the customer's language."""
        worth = self._may_quote(found.matches[0]) or not self.prompts.copies_only
        return worth and self.prompts.may_answer(text, rounds, found.matches)

    def _may_quote(self, match: Match) -> bool:
        return match.relevance >= self.replies.quote_score and not match.foreign

    async def _stream(
        self, prompt: Prompt, max_tokens: int, written: Written, emit: Emit, clock: StageClock
    ) -> Usage | None:
        """Send on what holds. Leaving at the first fault stops the generator."""

        def send(text: str) -> None:
            if text and "first_token" not in clock.timings_ms:
                clock.timings_ms["first_token"] = round(clock.seconds * 1000, 3)
                self.metrics.first_token_seconds.observe(clock.seconds)
            if text:
                emit(text)

        last, tokens = Piece(""), 0
        with clock("generate"):
            pieces = self.generator.stream(prompt, max_tokens=max_tokens)
            async with aclosing(pieces):
                async for last in pieces:
                    tokens += 1  # servers send a piece for each token
                    send(written.add(last.text))
                    if written.fault:
                        # Stopped before the server counted: ours is a count and an estimate.
                        return last.usage or Usage(prompt_tokens(prompt), tokens, None, None)
            send(written.finish(last.finish_reason))
        return last.usage

    def _quote(self, match: Match, language: Language) -> Draft:
        """The nearest passage word for word, called no more than that; or a person."""
        if not self._may_quote(match):
            return self._handoff(_intent(match), language)
        entry = match.entry
        template = self.replies.quote_zh if language == "zh" else self.replies.quote_en
        text = template.replace("{question}", entry.question).replace("{answer}", entry.answer)
        confidence = min(match.relevance, MOST_CONFIDENCE_OF_QUOTE)
        return Draft(text, "faq", _intent(match), confidence, (_citation(match),), unsent=text)

    def _handoff(self, intent: Intent, language: Language, usage: Usage | None = None) -> Draft:
        text = self.replies.handoff_zh if language == "zh" else self.replies.handoff_en
        return Draft(text, "handoff", intent, confidence=0.0, usage=usage, unsent=text)

    def _reply(
        self, message: Message, talk: Conversation, draft: Draft, clock: StageClock
    ) -> Reply:
        clock.timings_ms["total"] = round(clock.seconds * 1000, 3)
        return Reply(
            text=draft.text,
            source=draft.source,
            intent=draft.intent,
            confidence=draft.confidence,
            conversation_id=talk.id,
            turn_id=message.turn_id,
            citations=draft.citations,
            timings_ms=clock.timings_ms,
            usage=draft.usage,
        )


@dataclass(frozen=True)
class Draft:
    """A reply before it belongs to a turn. `unsent` is text the customer has not been sent yet."""

    text: str
    source: str
    intent: Intent
    confidence: float
    citations: tuple[Citation, ...] = ()
    usage: Usage | None = None
    unsent: str = ""


def _from_faq(sure: Sure) -> Draft:
    entry = sure.match.entry
    answer = entry.answer
    return Draft(
        text=answer,
        source="handoff" if HANDOFF_TAG in entry.tags else "faq",
        intent=_intent(sure.match),
        confidence=sure.match.score,
        citations=(_citation(sure.match),),
        unsent=answer,
    )


# Nothing in the knowledge is near to the message.
_NO_TOPIC = Intent(OUT_OF_SCOPE, 1.0)


def _from_action(action: Action, intent: Intent, language: Language) -> Draft:
    text = action.text(language)
    source = "handoff" if action.kind == "handoff" else "canned"
    return Draft(text, source, intent, intent.score, unsent=text)


def _intent(match: Match) -> Intent:
    """The topic of the nearest entry: a nearest-neighbour guess until a shop trains its own."""
    return Intent(match.entry.tags[0] if match.entry.tags else match.entry.id, match.score)


def _citation(match: Match) -> Citation:
    return Citation(match.entry.id, match.entry.question, match.score)
