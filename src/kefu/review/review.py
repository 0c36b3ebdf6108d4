"""A held message or reply on its way through the hands of a person, and the port of its store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from kefu.conversations.transcript import Turn
from kefu.errors import KefuError
from kefu.moderation.categories import Category, Direction
from kefu.moderation.policy import Reason
from kefu.review.examples import Example
from kefu.stamps import new_id, now_ms

# `expired`: nobody decided in time. The others are what a person decided.
Status = Literal["pending", "approved", "edited", "rejected", "expired"]


class AlreadyDecided(KefuError):
    """Somebody else, or the deadline, was first."""

    status = 409
    code = "review_decided"


@dataclass(frozen=True)
class Held:
    """What must wait, and why. `draft` is a held reply as it would have gone out, None where it is
    the customer's own words."""

    direction: Direction
    text: str
    category: Category
    reasons: tuple[Reason, ...] = ()
    draft: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Review:
    """`edited_text` is what a person wrote instead. Delivered is what the desk has dealt with: the
    customer was told, or what the desk would have told them is held in turn."""

    turn_id: str
    uid: str
    held: Held
    deadline_ms: int
    status: Status = "pending"
    created_at_ms: int = field(default_factory=now_ms)
    decided_at_ms: int | None = None
    decided_by: str = ""
    edited_text: str = ""
    delivered_at_ms: int | None = None
    id: str = field(default_factory=new_id)


@dataclass(frozen=True)
class Due:
    """A decided review whose customer has not been told."""

    review_id: str
    uid: str


@dataclass(frozen=True)
class Delivery:
    """A reply that came later than its turn, which has it by now. `seq` rises with each one."""

    seq: int
    turn: Turn
    created_at_ms: int


class ReviewStore(Protocol):
    """Keeps reviews. Every change is one transaction with its audit record, and on disk when the
    method returns."""

    async def hold(self, turn: Turn, review: Review, fence: int = 0) -> None:
        """Keep a turn that is held. Nothing is kept where its key was answered before. As
        `Transcript.save` otherwise."""

    async def hold_again(self, review: Review, next_: Review) -> None:
        """What `review` let pass led to something that is held: that one waits in its place."""

    async def block(self, turn: Turn, reasons: Sequence[Reason], fence: int = 0) -> None:
        """Keep a turn in which words were not answered: blocked, or those of a person in danger. As
        `Transcript.save` otherwise."""

    async def find(self, review_id: str) -> Review | None: ...

    async def beginning(self, start: str, limit: int) -> list[Review]:
        """Reviews whose ids begin like this."""

    async def page(self, status: Status | None, offset: int, limit: int) -> list[Review]:
        """Oldest deadline first."""

    async def count(self, status: Status | None) -> int: ...

    async def decide(
        self, decided: Review, example: Example | None, details: Mapping[str, Any]
    ) -> bool:
        """Set what was decided; False, and nothing is changed, where it is pending no more."""

    async def expire(self, at_ms: int) -> int:
        """Decide what is past its deadline; how many there were."""

    async def undelivered(self, limit: int) -> list[Due]:
        """Decided and not delivered, what was decided first coming first."""

    async def deliver(self, review: Review, turn: Turn) -> bool:
        """Give the turn its reply, once: False where that was done before. The review keeps its
        text as it is now."""

    async def examples(self) -> list[Example]:
        """What people decided, oldest first."""


class DeliveryStore(Protocol):
    """Replies that came later than their turn."""

    async def deliveries(self, uid: str, after: int, since_ms: int, limit: int) -> list[Delivery]:
        """Those of a customer that follow `after` and came since then, in their order."""
