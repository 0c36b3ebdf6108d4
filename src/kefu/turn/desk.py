"""Takes messages: joins retries, keeps one turn at a time per customer, saves, acknowledges."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog

from kefu.conversations.masking import masked_turn
from kefu.conversations.transcript import Status, Transcript, Turn
from kefu.errors import (
    IdempotencyKeyReused,
    InvalidInput,
    KefuError,
    Overloaded,
    TurnTimedOut,
)
from kefu.personal_data import is_masked_of
from kefu.review.queue import ReviewQueue
from kefu.settings import ConversationSettings
from kefu.stamps import new_id
from kefu.telemetry import Metrics
from kefu.turn.context import UNANSWERED_SOURCES, Contexts, Conversation
from kefu.turn.limit import ConcurrencyLimit
from kefu.turn.live import LiveTurn
from kefu.turn.pipeline import Pipeline
from kefu.turn.queues import TurnQueues
from kefu.turn.rates import Rates
from kefu.turn.reply import Message, Reply, Round, reply_of, turn_of

log = structlog.get_logger("kefu.turn")

# Told to come again before anything was done: not taken, so there is nothing to keep.
_REFUSED = (InvalidInput, Overloaded)


class Stopping(Overloaded):
    """The desk is shutting down; another start will answer."""

    code = "stopping"


class Desk:
    """Where every message arrives, whatever protocol it came by."""

    def __init__(
        self,
        pipeline: Pipeline,
        contexts: Contexts,
        transcript: Transcript,
        reviews: ReviewQueue,
        queues: TurnQueues,
        limit: ConcurrencyLimit,
        settings: ConversationSettings,
        metrics: Metrics,
        *,
        rates: Rates | None = None,
        masks_transcripts: bool = False,
    ) -> None:
        self._pipeline = pipeline
        self._contexts = contexts
        self._transcript = transcript
        self._reviews = reviews
        self._settings = settings
        self._metrics = metrics
        self._rates = rates
        self._masks_transcripts = masks_transcripts
        self._by_key: dict[tuple[str, str], LiveTurn] = {}
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._queues = queues
        self._limit = limit
        self._stopping = False

    def take(self, message: Message) -> LiveTurn:
        """Begin to answer, or join the turn that this idempotency key already began.

        Raises `IdempotencyKeyReused` if the key named another text, `Overloaded` where more are
        worked on than are answered in time, and `Stopping` at shutdown.
        """
        key = (message.uid, message.idempotency_key or "")
        if (running := self._by_key.get(key)) is not None:
            _require_same_text(running.message.text, message)
            if running.is_open:
                return running
        if self._stopping:
            raise Stopping("This desk is stopping. Send the message again in a moment.")
        self._limit.enter()
        turn = LiveTurn(message)
        if message.idempotency_key:
            self._by_key[key] = turn
        task = turn.start(self._run(turn, running))
        self._tasks.add(task)
        self._metrics.open_turns.inc()
        task.add_done_callback(lambda done: self._forget(key, turn, done))
        return turn

    async def close(self, timeout_seconds: float) -> None:
        """Take nothing new, let open turns end, cancel those that take longer."""
        self._stopping = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _forget(self, key: tuple[str, str], turn: LiveTurn, task: asyncio.Task[Reply]) -> None:
        self._tasks.discard(task)
        if self._by_key.get(key) is turn:
            del self._by_key[key]
        self._limit.leave()
        self._metrics.open_turns.dec()
        if not task.cancelled():
            task.exception()  # followers were told; asyncio need not warn that nobody asked

    async def _run(self, turn: LiveTurn, left: LiveTurn | None) -> Reply:
        """Answer. `left`: the turn of the same key that everybody has left; what it still saves must
        be there before this one looks."""
        try:
            if left is not None:
                await left.ended()
            return await self._answer_in_time(turn)
        except _REFUSED:
            raise
        except Exception as error:  # whatever failed, the customer's words are kept
            await self._keep_unanswered(turn.message, "failed", getattr(error, "code", "internal"))
            raise
        except asyncio.CancelledError:
            await self._keep_unanswered(turn.message, "stopped", "stopped")
            if self._stopping:
                raise Stopping("This desk stopped before the answer was done.") from None
            raise

    async def _answer_in_time(self, turn: LiveTurn) -> Reply:
        limit = self._settings.turn_seconds
        try:
            async with asyncio.timeout(limit), AsyncExitStack() as own:
                with self._limit.aside():  # it may wait for an earlier message of its customer
                    fence = await own.enter_async_context(self._queues.turn_of(turn.message.uid))
                return await self._answer_once(turn, fence)
        except TimeoutError as error:
            raise TurnTimedOut(f"No answer within {limit:g} s. Please try again.") from error

    async def _answer_once(self, turn: LiveTurn, fence: int) -> Reply:
        message = turn.message
        began = time.monotonic()
        if (known := await self._known(message)) is not None:
            turn.emit(known.text)
            return known
        if self._rates is not None:  # a retry is not counted again
            await self._rates.count(message.uid)
        talk = await self._talk_of(message)
        reply = await self._pipeline.answer(message, talk, turn.emit)
        await _to_the_end(self._acknowledge(message, talk, reply, fence))
        if not reply.was_written:
            self._limit.note(time.monotonic() - began)
        return reply

    async def _known(self, message: Message) -> Reply | None:
        """The reply that this key already got, from before a restart or a lost connection."""
        if message.idempotency_key is None:
            return None
        kept = await self._transcript.find_by_key(message.uid, message.idempotency_key)
        if kept is None:
            return None
        _require_same_text(kept.question, message)
        return reply_of(kept) if kept.status == "answered" else None

    async def _talk_of(self, message: Message) -> Conversation:
        if message.history is not None:
            return Conversation(new_id(), message.history, message.received_at_ms)
        return await self._contexts.get(message.uid)

    async def _acknowledge(
        self, message: Message, talk: Conversation, reply: Reply, fence: int
    ) -> None:
        await self._save(turn_of(message, reply), reply, fence)
        if message.history is None:
            await self._contexts.remember(message.uid, talk, _round_of(message, reply), fence)
        self._metrics.turns.labels(reply.source).inc()
        self._metrics.turn_seconds.labels(reply.source).observe(reply.timings_ms["total"] / 1000)

    async def _save(self, turn: Turn, reply: Reply, fence: int) -> None:
        """Keep the turn, together with what is to be looked at and with why it was stopped."""
        turn = self._kept(turn)
        if reply.held is not None:
            await self._reviews.hold(turn, reply.held, fence)
        elif reply.reasons:
            await self._reviews.block(turn, reply.reasons, fence)
        else:
            await self._transcript.save(turn, fence)

    def _kept(self, turn: Turn) -> Turn:
        return masked_turn(turn) if self._masks_transcripts else turn

    async def _keep_unanswered(self, message: Message, status: Status, code: str) -> None:
        """Keep the words of a customer whose answer never came, so that a person can see them."""
        self._metrics.turn_failures.labels(code).inc()
        try:
            talk = await self._talk_of(message)
            turn = Turn(
                uid=message.uid,
                conversation_id=talk.id,
                question=message.text,
                status=status,
                error_code=code,
                idempotency_key=message.idempotency_key,
                turn_id=message.turn_id,
                created_at_ms=message.received_at_ms,
            )
            await _to_the_end(self._transcript.save(self._kept(turn)))
        except KefuError as failure:
            log.warning("unanswered_turn_not_kept", turn_id=message.turn_id, reason=str(failure))


def _require_same_text(text: str, message: Message) -> None:
    """`text` may be kept without the personal details of the message."""
    if text != message.text and not is_masked_of(text, message.text):
        raise IdempotencyKeyReused(
            "This Idempotency-Key was already used for another message. Use a new key for each "
            "message, and the same one only to retry it."
        )


def _round_of(message: Message, reply: Reply) -> Round | None:
    """The round as the context of what follows; none of what did not pass."""
    if reply.source in UNANSWERED_SOURCES or reply.reasons:
        return None
    return Round(message.text, reply.text, reply.entry_id)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work` even when the customer goes away meanwhile, and only then be cancelled.

    Until the turn is saved its key stays joined, so that a retry cannot start a second answer.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
