"""What is said where no vetted answer is sure: written from passages, quoted, or asked back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, replace

import structlog

from kefu.answers.answer import NewAnswer
from kefu.answers.cache import AnswerCache
from kefu.answers.flights import Flight, Flights, InLine, Stopped
from kefu.answers.key import Scope
from kefu.errors import GeneratorUnavailable, KefuError, Overloaded
from kefu.inference.encoder.compared import Vector
from kefu.inference.generator.protocol import Generator, Piece, Prompt, PromptRefused, Usage
from kefu.knowledge.index import Match
from kefu.knowledge.match import Passages
from kefu.language import Language
from kefu.moderation.streaming import StreamGuard
from kefu.reading.reader import Told
from kefu.reading.rows import Passage
from kefu.reading.shared import SharedReader
from kefu.settings import RepliesSettings
from kefu.telemetry import Metrics, StageClock
from kefu.turn.draft import (
    Draft,
    busy,
    citation_of,
    from_choices,
    from_quote,
    handoff,
    intent_of,
)
from kefu.turn.extraction import extract
from kefu.turn.gate import Gate
from kefu.turn.grounding import Grounding, Verdict
from kefu.turn.prompt import PromptWriter, prompt_tokens
from kefu.turn.reply import Message, Round
from kefu.turn.written import Written

log = structlog.get_logger("kefu.turn")

Emit = Callable[[str | InLine], None]

# Passages that the reader looks at: the right one is hardly ever further down.
MOST_READ = 4


@dataclass(frozen=True)
class Question:
    """What is to be answered, in the words of `text`: those of the message, rude ones masked.
    `rounds` are those it cannot be understood without: none, and the answer may be shared and kept.
    """

    message: Message
    text: str
    language: Language
    vector: Vector
    scope: Scope
    knowledge_version: int
    rounds: tuple[Round, ...] = ()


@dataclass(frozen=True)
class Writer:
    """Lets the generator answer from passages, as far as they say what it says.

    Where it may not, or nothing of it holds, the customer is asked back, or the nearest passage is
    quoted as what it is: a passage that is near. Who waits for the generator stands `aside`.
    """

    generator: Generator
    gate: Gate
    prompts: PromptWriter
    answers: AnswerCache
    flights: Flights[Draft]
    replies: RepliesSettings
    metrics: Metrics
    reader: SharedReader | None = None
    aside: Callable[[], AbstractContextManager[None]] = nullcontext

    async def write(
        self, question: Question, found: Passages, emit: Emit, clock: StageClock
    ) -> Draft:
        """Answer from `found`. Raises as the generator does."""
        is_plain = self._is_plain(question, found)
        # The reader costs as much as everything before it ten times over.
        is_read = is_plain or found.matches[0].entry.kind == "passage"
        try:
            told = await self._read(question, found, clock) if is_read else None
        except Overloaded as full:
            return self._instead(question, found, (), full)
        if not is_plain or (self.prompts.needs_reader and not self._finds(told)):
            return self._point_out(found.matches, told, question.language)
        entries = [match.entry for match in self.prompts.choose(found.matches)]
        key = None
        if not question.rounds:
            key = self.answers.flight_key(question.text, question.scope, entries)

        async def generate(flight: Flight[Draft]) -> Draft:
            return await self._generate(question, found, told, flight.emit)

        with self.aside(), clock("generate"), self.flights.join(key, generate) as flight:
            async with aclosing(flight.pieces()) as pieces:
                async for piece in pieces:
                    if not isinstance(piece, InLine):
                        self._note_first_token(clock)
                    emit(piece)
            return await flight.result()

    async def _read(
        self, question: Question, found: Passages, clock: StageClock
    ) -> Sequence[Told] | None:
        """How likely each sentence of the passages answers; None where nobody reads them."""
        is_passage = found.matches[0].entry.kind == "passage"
        if self.reader is None or not (is_passage or self.prompts.needs_reader):
            return None
        passages = [
            Passage(match.entry.question, match.entry.answer) for match in found.matches[:MOST_READ]
        ]
        before = question.rounds[-1].question if question.rounds else ""
        with clock("read"):
            return await self.reader.read(question.text, before, passages)

    def _point_out(
        self, matches: Sequence[Match], told: Sequence[Told] | None, language: Language
    ) -> Draft:
        """Between several entries ask back; one is quoted where it is near enough; or a person."""
        best = matches[0]
        own = [m for m in matches if m.entry.kind == "faq" and not m.foreign]
        if best in own and (len(own) > 1 or not self._may_quote(best)):
            return from_choices(own, language, self.replies)
        if not self._may_quote(best):
            return handoff(intent_of(best), language, self.replies)
        if told is not None and best.entry.kind == "passage":
            return self._found(matches, told, language)
        return from_quote(best, language, self.replies)

    def _found(self, matches: Sequence[Match], told: Sequence[Told], language: Language) -> Draft:
        """The sentences of a document that the reader found, quoted; a person where it found none."""
        found = extract(told, self.replies.tells_score, language)
        if found and matches[found.passage].entry.kind == "passage":
            return from_quote(matches[found.passage], language, self.replies, found.text)
        return handoff(intent_of(matches[0]), language, self.replies)

    async def _generate(
        self, question: Question, found: Passages, told: Sequence[Told] | None, emit: Emit
    ) -> Draft:
        """One generation, for everybody who asks this at the moment; kept where it may be."""
        best = found.matches[0]
        shown = self.prompts.choose(found.matches)
        message, language = question.message, question.language
        grounding = Grounding(
            question.text,
            [match.entry for match in shown],
            copies_only=self.prompts.copies_only,
            told=told if self.prompts.needs_reader else None,
            tells_score=self.replies.tells_score,
        )
        written, guard = Written(grounding, self.prompts.refusal(language)), self.gate.guard()
        prompt = self.prompts.write(question.text, question.rounds, found.matches, language)
        try:
            usage = await self._stream(prompt, message, written, guard, emit)
        except (Overloaded, GeneratorUnavailable) as failure:
            # What a person let pass is tried again later, and a refused prompt is our fault.
            waits = message.is_approved and isinstance(failure, GeneratorUnavailable)
            if waits or isinstance(failure, (Stopped, PromptRefused)) or guard.has_sent:
                raise
            return self._instead(question, found, told, failure)
        if written.fault:
            self.metrics.ungrounded_replies.labels(written.fault).inc()
            log.info("reply_not_grounded", reason=written.fault, turn_id=message.turn_id)
        if written.text:
            draft = Draft(
                text=self.gate.masked(written.text),
                source="model",
                intent=intent_of(best),
                confidence=best.score,
                citations=tuple(citation_of(shown[number]) for number in written.passages),
                usage=usage,
            )
            self.gate.count_reply(guard.verdict)
            if not guard.is_stopped:
                self._keep(question, draft, shown, is_whole=not written.fault)
                return draft
            draft = self.gate.stop_reply(draft, guard.verdict, language)
        elif written.fault is Verdict.REFUSED:
            draft = self._found(found.matches, told or (), language)
        else:
            draft = self._point_out(found.matches, told, language)
        # Callers that show only the deltas read on after what was sent; others replace it.
        gap = "\n\n" if guard.has_sent else ""
        return replace(draft, usage=usage, unsent=gap + draft.unsent)

    def _instead(
        self,
        question: Question,
        found: Passages,
        told: Sequence[Told] | None,
        failure: KefuError,
    ) -> Draft:
        """What is said where nobody can write now: the best that is known as it is, or that a person
        will come back."""
        draft = self._point_out(found.matches, told, question.language)
        if draft.source == "handoff" and isinstance(failure, Overloaded):
            draft = busy(intent_of(found.matches[0]), question.language, self.replies)
        self.metrics.unwritten_replies.labels(draft.source).inc()
        log.info(
            "not_written", source=draft.source, turn_id=question.message.turn_id, why=str(failure)
        )
        return draft

    def _keep(
        self, question: Question, draft: Draft, shown: Sequence[Match], *, is_whole: bool
    ) -> None:
        """Keep what was written to be given again; the cache has its own reasons not to."""
        if question.rounds:
            return
        self.answers.keep(
            NewAnswer(
                question=question.text,
                vector=question.vector,
                reply=draft.text,
                intent_label=draft.intent.label,
                intent_score=draft.intent.score,
                confidence=draft.confidence,
                citations=draft.citations,
                entries=tuple(match.entry for match in shown),
                knowledge_version=question.knowledge_version,
                is_whole=is_whole,
            ),
            question.scope,
        )

    def _is_plain(self, question: Question, found: Passages) -> bool:
        """Whether a model may try. What a small one says of a FAQ entry must be as good as asked
        for: else its question is shown too, by quoting it or asking back, so that nobody takes it
        for an answer to another one. Of documents it may say what the reader finds."""
        if self.prompts.style == "chat":
            return True
        best = found.matches[0]
        if best.entry.kind == "passage" and self.prompts.needs_reader:
            return True
        is_near = best.entry.kind == "passage" or best.relevance >= self.replies.copy_score
        return (
            is_near
            and self._may_quote(best)
            and self.prompts.may_answer(question.text, question.rounds, found.matches)
        )

    def _finds(self, told: Sequence[Told] | None) -> bool:
        return any(one.probability >= self.replies.tells_score for one in told or ())

    def _may_quote(self, match: Match) -> bool:
        """A passage has no question of its own that could be asked back: it is quoted as soon as it
        is near enough to be read."""
        is_near = match.entry.kind == "passage" or match.relevance >= self.replies.quote_score
        return is_near and not match.foreign

    async def _stream(
        self, prompt: Prompt, message: Message, written: Written, guard: StreamGuard, emit: Emit
    ) -> Usage | None:
        """Send on what holds and may be said. Leaving at the first fault stops the generator."""

        async def send(text: str) -> None:
            if text and (passed := await guard.add(text)):
                emit(passed)

        last, tokens = Piece(""), 0
        usage: Usage | None = None
        pieces = self.generator.stream(prompt, max_tokens=message.max_tokens, session=message.uid)
        async with aclosing(pieces):
            async for last in pieces:
                if last.position:
                    emit(InLine(last.position))
                    continue
                tokens += 1  # servers send a piece for each token
                await send(written.add(last.text))
                if written.fault or guard.is_blocked:
                    # Stopped before the server counted: ours is a count and an estimate.
                    usage = last.usage or Usage(prompt_tokens(prompt), tokens, None, None)
                    break
            else:
                await send(written.finish(last.finish_reason))
        if rest := await guard.finish():
            emit(rest)
        return usage or last.usage

    def _note_first_token(self, clock: StageClock) -> None:
        if "first_token" not in clock.timings_ms:
            clock.timings_ms["first_token"] = round(clock.seconds * 1000, 3)
            self.metrics.first_token_seconds.observe(clock.seconds)
