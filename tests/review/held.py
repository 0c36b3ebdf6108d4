"""Messages that are held, as the pipeline puts them into the queue."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kefu.conversations.transcript import Citation, Turn
from kefu.moderation.categories import Category, Direction, Outcome
from kefu.moderation.policy import Reason
from kefu.review.review import Held

WHY = (
    Reason(Category.FRAUD, Outcome.HOLD, word="刷单", disguise="homophone", start=2, end=4),
    Reason(Category.FRAUD, Outcome.HOLD, score=0.71),
)
HOLDING = "这条消息需要同事先看一下，看完我会马上在这里回复您。"
DOUBTFUL = "运费是多少"
CITATION = Citation("fee-zh", "运费是多少", 0.9)
DRAFT: dict[str, Any] = {
    "text": "运费8元。",
    "source": "model",
    "intent": {"label": "delivery", "score": 0.9},
    "confidence": 0.8,
    "citations": [asdict(CITATION)],
    "choices": [{"id": "fee-zh", "title": "运费是多少"}],
    "standalone_question": "鞋的运费是多少",
}


def held_turn(turn_id: str = "t1", uid: str = "ann", **changes: Any) -> Turn:
    kept = {
        "conversation_id": f"talk-{uid}",
        "question": DOUBTFUL,
        "reply": HOLDING,
        "source": "held",
        "intent_label": "oos",
        "intent_score": 1.0,
        "turn_id": turn_id,
    }
    return Turn(uid=uid, **{**kept, **changes})


def held_message(text: str = DOUBTFUL, **changes: Any) -> Held:
    return Held(**{"direction": Direction.CUSTOMER, "text": text, **_WHAT, **changes})


def held_reply() -> Held:
    return Held(direction=Direction.REPLY, text=DRAFT["text"], draft=DRAFT, **_WHAT)


_WHAT: dict[str, Any] = {"category": Category.FRAUD, "reasons": WHY}
