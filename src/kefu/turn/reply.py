"""A customer's message and the reply to it, as the pipeline and the endpoints pass them on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kefu.conversations.transcript import Choice, Citation, Turn
from kefu.inference.generator.protocol import Usage
from kefu.moderation.policy import Reason
from kefu.review.review import Held
from kefu.stamps import new_id, now_ms


@dataclass(frozen=True)
class Round:
    """An earlier question and its answer: the context of a follow-up.

    `entry_id` is the entry that answered, "" where none did or nobody knows.
    """

    question: str
    reply: str
    entry_id: str = ""


@dataclass(frozen=True)
class Message:
    """What a customer wrote. `history` is given by callers that keep the talk themselves;
    `is_approved`: a person has read it and let it pass."""

    uid: str
    text: str
    max_tokens: int = 256
    idempotency_key: str | None = None
    history: tuple[Round, ...] | None = None
    is_approved: bool = False
    turn_id: str = field(default_factory=new_id)
    received_at_ms: int = field(default_factory=now_ms)


@dataclass(frozen=True)
class Intent:
    label: str
    score: float


@dataclass(frozen=True)
class Reply:
    """What the customer is told, where it came from and how sure kefu is (0..1).

    A reply that asks back has the `choices`; `standalone_question` is a follow-up as completed.
    `held` is what must wait for a person, where this is only the holding reply; `reasons` say why the
    message was stopped at once.
    """

    text: str
    source: str
    intent: Intent
    confidence: float
    conversation_id: str
    turn_id: str
    citations: tuple[Citation, ...] = ()
    choices: tuple[Choice, ...] = ()
    standalone_question: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)
    usage: Usage | None = None
    held: Held | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def entry_id(self) -> str:
        """The entry it rests on most, "" where there is none."""
        return self.citations[0].id if self.citations else ""

    @property
    def was_written(self) -> bool:
        """Whether it waited for the generator, whatever came of that."""
        return "generate" in self.timings_ms

    def as_json(self) -> dict[str, Any]:
        """The public reply object of `POST /chat`."""
        return {
            "reply": self.text,
            "intent": {"label": self.intent.label, "score": round(self.intent.score, 4)},
            "source": self.source,
            "citations": [
                {"id": c.id, "title": c.title, "score": round(c.score, 4)} for c in self.citations
            ],
            "confidence": round(self.confidence, 4),
            "choices": [{"id": choice.id, "title": choice.title} for choice in self.choices],
            "conversation_id": self.conversation_id,
            "turn_id": self.turn_id,
            "timings_ms": self.timings_ms,
        }


def turn_of(message: Message, reply: Reply) -> Turn:
    """The answered turn as it is kept."""
    return Turn(
        uid=message.uid,
        conversation_id=reply.conversation_id,
        question=message.text,
        reply=reply.text,
        source=reply.source,
        intent_label=reply.intent.label,
        intent_score=reply.intent.score,
        confidence=reply.confidence,
        citations=reply.citations,
        choices=reply.choices,
        standalone_question=reply.standalone_question,
        timings_ms=reply.timings_ms,
        idempotency_key=message.idempotency_key,
        turn_id=reply.turn_id,
        created_at_ms=message.received_at_ms,
    )


def reply_of(turn: Turn) -> Reply:
    """The reply of a kept turn, for a retry that comes after the answer."""
    return Reply(
        text=turn.reply,
        source=turn.source,
        intent=Intent(turn.intent_label, turn.intent_score),
        confidence=turn.confidence,
        conversation_id=turn.conversation_id,
        turn_id=turn.turn_id,
        citations=turn.citations,
        choices=turn.choices,
        standalone_question=turn.standalone_question,
        timings_ms=turn.timings_ms,
    )
