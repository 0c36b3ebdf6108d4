"""Ratings of replies in SQL: a row beside the turn, gone with it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, FromClause, delete, select

from kefu.conversations.ratings import Rating
from kefu.stores.schema import ratings, turns
from kefu.stores.statements import upsert

_SAVE = upsert(ratings, "turn_id")

# What a query of turns takes along, by names that no column of a turn has.
RATING_COLUMNS = (
    ratings.c.is_good.label("rated_good"),
    ratings.c.reason.label("rated_because"),
    ratings.c.created_at_ms.label("rated_at_ms"),
)


def turns_with_ratings() -> FromClause:
    return turns.outerjoin(ratings, ratings.c.turn_id == turns.c.turn_id)


def take_rating(values: dict[str, Any]) -> Rating | None:
    """The rating among the columns of a row, which are taken out of it."""
    is_good = values.pop("rated_good")
    reason, at_ms = values.pop("rated_because"), values.pop("rated_at_ms")
    return None if is_good is None else Rating("up" if is_good else "down", reason, at_ms)


def rate(connection: Connection, uid: str, turn_id: str, rating: Rating | None) -> bool:
    """Whether this customer has such an answered turn; if not, nothing is changed."""
    theirs = select(turns.c.seq).where(
        turns.c.turn_id == turn_id, turns.c.uid == uid, turns.c.status == "answered"
    )
    if connection.execute(theirs).scalar() is None:
        return False
    if rating is None:
        connection.execute(delete(ratings).where(ratings.c.turn_id == turn_id))
        return True
    row = {
        "turn_id": turn_id,
        "is_good": rating.value == "up",
        "reason": rating.reason,
        "created_at_ms": rating.created_at_ms,
    }
    connection.execute(_SAVE, row)
    return True
