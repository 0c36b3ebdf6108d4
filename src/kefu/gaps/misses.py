"""Which turns left a customer without the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kefu.conversations.transcript import Turn

# unanswered: kefu said that it does not know. quoted: it quoted the nearest entry, unsure of it.
# rated_down: the customer said that the reply was of no use. failed: an error instead of a reply.
Why = Literal["unanswered", "quoted", "rated_down", "failed"]

# A quotation never has more (turn/draft.py), a vetted answer always has.
MOST_CONFIDENCE_OF_QUOTE = 0.5


@dataclass(frozen=True)
class Miss:
    """A question that was not answered. `text` is it with all that it takes to understand it."""

    turn_id: str
    text: str
    uid: str
    at_ms: int
    why: Why
    reason: str = ""


def misses_of(turns: Sequence[Turn]) -> list[Miss]:
    """The misses among turns, in their order."""
    return [_miss(turn, why) for turn in turns if (why := why_missed(turn))]


def why_missed(turn: Turn) -> Why | None:
    """None where the customer was answered, asked back, or got the person they asked for."""
    thumb = turn.rating.value if turn.rating else None
    if thumb == "down":
        return "rated_down"
    if turn.status == "failed":
        return "failed"
    # Where an entry or an intent calls for a person, the handoff has that one's confidence.
    if turn.source == "handoff" and turn.confidence == 0:
        return "unanswered"
    if turn.source == "faq" and turn.confidence <= MOST_CONFIDENCE_OF_QUOTE:
        return None if thumb == "up" else "quoted"
    return None


def _miss(turn: Turn, why: Why) -> Miss:
    reason = turn.rating.reason if turn.rating and why == "rated_down" else ""
    return Miss(turn.turn_id, turn.meaning, turn.uid, turn.created_at_ms, why, reason)
