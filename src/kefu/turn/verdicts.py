"""What people decided reaches the customer: once, in the order of the customer's turns.

    decided, in whatever process  ->  deliver_due (each second, and at once after the API)
        approved, the customer's words  ->  the pipeline answers as if they had passed;
                                            what it writes may be held in turn
        approved, a reply               ->  the reply as it was written
        edited                          ->  the person's words
        rejected, expired               ->  the shop's words for that
    ->  one transaction: the turn has its reply, the customer an update, the audit a record

A desk that dies before the transaction does all of it again at its next start.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Protocol

import structlog

from kefu.conversations.transcript import Transcript, Turn
from kefu.errors import KefuError, TooManyWaiting, TurnTimedOut
from kefu.language import Language, detect
from kefu.moderation.categories import Direction
from kefu.personal_data import mask
from kefu.review.queue import ReviewQueue
from kefu.review.review import Due, Review, ReviewStore
from kefu.settings import Settings
from kefu.stamps import now_ms
from kefu.telemetry import Metrics
from kefu.turn.context import Contexts, Conversation
from kefu.turn.doorbell import Doorbell
from kefu.turn.draft import Draft
from kefu.turn.held import draft_of
from kefu.turn.queues import TurnQueues
from kefu.turn.reply import Intent, Message, Reply
from kefu.turn.writer import Emit

log = structlog.get_logger("kefu.review")

# After a time without a desk a whole queue may be overdue: customers who write now come first.
MOST_AT_ONCE = 32
# A generator that is down comes back, or it does not: `conversation.turn_seconds` later a person
# has to answer.
RETRY_SECONDS = 5.0


class Answerer(Protocol):
    """The pipeline. A message with `is_approved` is not looked at again, its reply is."""

    async def answer(self, message: Message, talk: Conversation, emit: Emit) -> Reply: ...


class Verdicts:
    """Carries out what was decided about held messages."""

    def __init__(
        self,
        pipeline: Answerer,
        contexts: Contexts,
        queues: TurnQueues,
        transcript: Transcript,
        store: ReviewStore,
        queue: ReviewQueue,
        doorbell: Doorbell,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._pipeline = pipeline
        self._contexts = contexts
        self._queues = queues
        self._transcript = transcript
        self._store = store
        self._queue = queue
        self._doorbell = doorbell
        self._settings = settings
        self._metrics = metrics
        self._running: dict[str, asyncio.Task[None]] = {}
        # Of reviews whose delivery failed: when first, and when it is tried again.
        self._failing: dict[str, tuple[float, float]] = {}
        self._is_closed = False

    async def deliver_due(self) -> None:
        """Begin to carry out all that was decided, or is overdue. Does not wait until it is done.

        Raises when the database does; the next call makes up for it.
        """
        await self._queue.refresh()
        due = await self._store.undelivered(MOST_AT_ONCE + len(self._failing))
        for one in due:
            if len(self._running) >= MOST_AT_ONCE or self._is_closed:
                return
            if one.review_id not in self._running and not self._is_resting(one.review_id):
                self._begin(one)

    async def close(self) -> None:
        """Begin nothing more, and stop what runs: the next start carries it out."""
        self._is_closed = True
        self._doorbell.close()
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _begin(self, due: Due) -> None:
        task = asyncio.create_task(self._carry_out(due), name=f"review-{due.review_id}")
        self._running[due.review_id] = task
        task.add_done_callback(lambda done: self._end(due.review_id, done))

    def _end(self, review_id: str, task: asyncio.Task[None]) -> None:
        del self._running[review_id]
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._failing.pop(review_id, None)
        elif not isinstance(error, TooManyWaiting):  # the customer's own messages come first
            self._note_failure(review_id, error)

    def _note_failure(self, review_id: str, error: BaseException) -> None:
        now = time.monotonic()
        since, _ = self._failing.get(review_id, (now, now))
        self._failing[review_id] = (since, now + RETRY_SECONDS)
        if isinstance(error, KefuError):
            log.warning("verdict_not_delivered", review_id=review_id, reason=str(error))
        else:
            log.error("verdict_crashed", review_id=review_id, exc_info=error)

    def _is_resting(self, review_id: str) -> bool:
        return review_id in self._failing and time.monotonic() < self._failing[review_id][1]

    def _is_hopeless(self, review_id: str) -> bool:
        """Whether it has been tried for longer than an answer may take."""
        if review_id not in self._failing:
            return False
        return time.monotonic() - self._failing[review_id][0] > self._turn_seconds

    @property
    def _turn_seconds(self) -> float:
        return self._settings.conversation.turn_seconds

    async def _carry_out(self, due: Due) -> None:
        """In the customer's turn: whoever writes meanwhile is answered after it, or before."""
        async with self._queues.turn_of(due.uid):
            review = await self._store.find(due.review_id)
            if review is None or review.delivered_at_ms is not None:
                return
            turn = await self._transcript.find_turn(review.turn_id)
            if turn is None:  # forgotten in this very moment, and the review with it
                return
            reply = await self._reply_to(review, turn)
            if self._settings.moderation.mask_transcripts:
                review, reply = _masked(review, reply)
            await self._deliver(review, turn, reply)

    async def _deliver(self, review: Review, turn: Turn, reply: Reply) -> None:
        if reply.held is not None:
            await self._queue.hold_again(review, turn, reply.held)
        elif await self._store.deliver(review, _with_reply(turn, reply)):
            await self._contexts.read_again(turn.uid)
            self._doorbell.ring(turn.uid)
            self._metrics.review_seconds.observe((now_ms() - review.created_at_ms) / 1000)
        self._metrics.review_verdicts.labels(review.status, review.held.direction).inc()

    async def _reply_to(self, review: Review, turn: Turn) -> Reply:
        if review.status == "approved" and review.held.draft is None:
            if not self._is_hopeless(review.id):
                return await self._answer(review, turn)
            return _reply(turn, self._handoff(turn))
        return _reply(turn, self._draft(review, turn))

    async def _answer(self, review: Review, turn: Turn) -> Reply:
        message = Message(
            turn.uid,
            review.held.text,
            is_approved=True,
            turn_id=turn.turn_id,
            received_at_ms=turn.created_at_ms,
        )
        talk = await self._contexts.before(turn)
        try:
            async with asyncio.timeout(self._turn_seconds):
                return await self._pipeline.answer(message, talk, _nobody_listens)
        except TimeoutError as error:
            raise TurnTimedOut(f"No answer within {self._turn_seconds:g} s.") from error

    def _draft(self, review: Review, turn: Turn) -> Draft:
        """The reply that needs no pipeline. What a person wrote is the shop's own word (canned)."""
        if review.status == "approved" and review.held.draft is not None:
            return draft_of(review.held.draft)
        if review.status == "edited":
            return _said(turn, "canned", review.edited_text, 1.0)
        words = self._settings.replies
        is_chinese = self._language_of(turn) == "zh"
        if review.status == "rejected":
            return _said(turn, "blocked", words.rejected_zh if is_chinese else words.rejected_en)
        if self._settings.review.on_timeout == "handoff":
            return self._handoff(turn)
        return _said(turn, "canned", words.unreviewed_zh if is_chinese else words.unreviewed_en)

    def _handoff(self, turn: Turn) -> Draft:
        words = self._settings.replies
        is_chinese = self._language_of(turn) == "zh"
        return _said(turn, "handoff", words.handoff_zh if is_chinese else words.handoff_en)

    def _language_of(self, turn: Turn) -> Language:
        return detect(turn.question, self._settings.language)


def _said(turn: Turn, source: str, text: str, confidence: float = 0.0) -> Draft:
    return Draft(text, source, Intent(turn.intent_label, turn.intent_score), confidence)


def _reply(turn: Turn, draft: Draft) -> Reply:
    return Reply(
        text=draft.text,
        source=draft.source,
        intent=draft.intent,
        confidence=draft.confidence,
        conversation_id=turn.conversation_id,
        turn_id=turn.turn_id,
        citations=draft.citations,
        choices=draft.choices,
        standalone_question=draft.standalone_question,
        timings_ms=turn.timings_ms,
    )


def _with_reply(turn: Turn, reply: Reply) -> Turn:
    """The turn with what its customer is told now."""
    return replace(
        turn,
        reply=reply.text,
        source=reply.source,
        intent_label=reply.intent.label,
        intent_score=reply.intent.score,
        confidence=reply.confidence,
        citations=reply.citations,
        choices=reply.choices,
        standalone_question=reply.standalone_question,
        timings_ms=reply.timings_ms,
    )


def _masked(review: Review, reply: Reply) -> tuple[Review, Reply]:
    """Without the personal details of the customer, which a person had to see until now.

    The reply keeps those that are in it: this is how the customer reads it.
    """
    held = review.held
    if held.direction is Direction.CUSTOMER:
        review = replace(review, held=replace(held, text=mask(held.text)))
    return review, replace(reply, standalone_question=mask(reply.standalone_question))


def _nobody_listens(_: object) -> None:
    """The customer gets the reply when it is whole."""
