"""What a person decides about a held message, by API or command line, in whatever process."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from kefu.errors import InvalidInput, NotFound
from kefu.moderation.categories import Direction
from kefu.personal_data import mask
from kefu.review.examples import Example
from kefu.review.review import AlreadyDecided, Review, ReviewStore
from kefu.stamps import now_ms

MAX_TEXT = 8000
MAX_NOTE = 500
# So much of an id names a review, where no other begins like it.
LEAST_OF_ID = 6

_ID = re.compile(r"[0-9a-f]{6,64}")
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Decision:
    """`text` is what the customer is told instead (`edited`).

    `is_bad` says of an edited one whether the held text should have been stopped. Left open, the
    customer's words were innocent, as they got an answer, and the model's were not.
    """

    status: Literal["approved", "edited", "rejected"]
    text: str = ""
    note: str = ""
    is_bad: bool | None = None


async def get_review(store: ReviewStore, review_id: str) -> Review:
    """By its id or the beginning of it. Raises `NotFound`, and `InvalidInput` where several begin
    like that."""
    found = []
    if _ID.fullmatch(review_id):
        exact = await store.find(review_id)
        found = [exact] if exact else await store.beginning(review_id, 2)
    if not found:
        raise NotFound(
            f"There is no review {review_id[:64]!r}. `kefu review list` shows those that wait; a "
            "decided one goes with its conversation."
        )
    if len(found) > 1:
        raise InvalidInput(f"Several reviews begin with {review_id!r}. Give more of the id.")
    return found[0]


async def decide(store: ReviewStore, review_id: str, decision: Decision, actor: str) -> Review:
    """Take a decision, once: raises `AlreadyDecided` to whoever comes second.

    The customer is told by the desk, at once or within a second (`turn/verdicts.py`).
    """
    _require_sound(decision)
    review = await get_review(store, review_id)
    decided = replace(
        review,
        status=decision.status,
        decided_at_ms=now_ms(),
        decided_by=actor,
        edited_text=decision.text.strip(),
    )
    example = _example(decided, decision)
    if not await store.decide(decided, example, _details(decided, example, decision)):
        raise _already_decided(await get_review(store, review.id))
    return decided


def _require_sound(decision: Decision) -> None:
    if decision.status == "edited" and not decision.text.strip():
        raise InvalidInput("The text for the customer is empty.")
    for name, text, most in (
        ("text", decision.text, MAX_TEXT),
        ("note", decision.note, MAX_NOTE),
    ):
        if len(text) > most:
            raise InvalidInput(f"The {name} has {len(text)} characters; {most} are allowed.")
        if _NOT_TEXT.search(text):
            raise InvalidInput(f"The {name} contains a character that is not text.")


def _example(decided: Review, decision: Decision) -> Example:
    held = decided.held
    is_bad = decision.status == "rejected"
    if decision.status == "edited":
        is_bad = held.direction is Direction.REPLY if decision.is_bad is None else decision.is_bad
    return Example(
        review_id=decided.id,
        text=mask(held.text),
        is_bad=is_bad,
        category=held.category,
        direction=held.direction,
        created_at_ms=decided.decided_at_ms or now_ms(),
    )


def _details(decided: Review, example: Example, decision: Decision) -> dict[str, Any]:
    """For the audit, which outlives the conversation: no word of the customer, nor to them."""
    return {
        "turn_id": decided.turn_id,
        "direction": decided.held.direction,
        "category": decided.held.category,
        "is_bad": example.is_bad,
        "note": mask(decision.note.strip()),
    }


def _already_decided(review: Review) -> AlreadyDecided:
    moment = datetime.fromtimestamp((review.decided_at_ms or 0) / 1000, UTC)
    return AlreadyDecided(
        f"The review {review.id} was {review.status} by {review.decided_by} at "
        f"{moment.isoformat(timespec='seconds')}. Nothing was changed."
    )
