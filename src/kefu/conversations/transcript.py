"""A turn as it is kept, and the port of the stores that keep it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from kefu.conversations.ratings import Rating
from kefu.errors import KefuError
from kefu.stamps import new_id, now_ms

Source = Literal["canned", "faq", "cache", "model", "handoff", "blocked", "held"]

# `answered`: the reply was acknowledged. `failed` and `stopped` keep the words of a customer whose
# answer never came (an error; a client that went away), so that a person can see them.
Status = Literal["answered", "failed", "stopped"]


@dataclass(frozen=True)
class Citation:
    """A knowledge entry that a reply rests on. `score` is 0..1."""

    id: str
    title: str
    score: float


@dataclass(frozen=True)
class Choice:
    """An entry offered by a reply that asks back: `title` is the question to be sent."""

    id: str
    title: str


@dataclass(frozen=True)
class Turn:
    """One message of a customer and what became of it.

    `standalone_question` is a follow-up as it was completed from the turns before it, "" where the
    words of `question` said it all. `rating` comes later than the turn, through `Transcript.rate`.
    """

    uid: str
    conversation_id: str
    question: str
    reply: str = ""
    source: str = ""
    status: Status = "answered"
    intent_label: str = ""
    intent_score: float = 0.0
    confidence: float = 0.0
    citations: tuple[Citation, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    standalone_question: str = ""
    error_code: str | None = None
    idempotency_key: str | None = None
    turn_id: str = field(default_factory=new_id)
    created_at_ms: int = field(default_factory=now_ms)
    rating: Rating | None = None

    @property
    def meaning(self) -> str:
        """The question with all that it takes to understand it."""
        return self.standalone_question or self.question


class TurnLost(KefuError):
    """Another desk has held this customer's turn since: what this one worked out may be out of date,
    and was not kept."""

    status = 503
    code = "turn_lost"
    retry_after_seconds = 1


@dataclass(frozen=True)
class ConversationSummary:
    """One line of `kefu conversations list`."""

    uid: str
    conversation_id: str
    turns: int
    unanswered: int
    handoffs: int
    first_at_ms: int
    last_at_ms: int
    last_question: str


class Transcript(Protocol):
    """Keeps turns. `save` and `rate` return once it is on disk."""

    async def save(self, turn: Turn, fence: int = 0) -> None:
        """Keep a turn; an unanswered one of the same uid and idempotency key is replaced.

        `fence` is the number under which its desk holds the customer's turn, where several desks may
        (Kleppmann 2016, "How to do distributed locking"). Raises `TurnLost` where one with a higher
        fence was kept.
        """

    async def rate(self, uid: str, turn_id: str, rating: Rating | None) -> bool:
        """Set or (None) withdraw the rating of an answered turn; whether this customer has it."""

    async def find_turn(self, turn_id: str) -> Turn | None:
        """Any customer's turn."""

    async def find_by_key(self, uid: str, idempotency_key: str) -> Turn | None:
        """The turn that this key already named, answered or not."""

    async def last_turns(self, uid: str, limit: int) -> list[Turn]:
        """The newest turns of a customer, oldest first, unanswered ones included."""

    async def around(self, turn_id: str, before: int, after: int) -> list[Turn]:
        """A turn with so many of its conversation before and after it, oldest first."""

    async def latest(self, limit: int) -> list[Turn]:
        """The newest turns of all customers, newest first."""

    async def conversations(
        self, limit: int, before_ms: int | None = None, waiting_only: bool = False
    ) -> list[ConversationSummary]:
        """Conversations, the most recently active first; `waiting_only`: a person is needed."""

    async def sweep(self, before_ms: int) -> int:
        """Delete conversations whose last turn is older, except where a message is held; the number
        of turns that went."""
