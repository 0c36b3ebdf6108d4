"""Reviews and what came of them in SQL: each step is one transaction with its audit record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from kefu.conversations.transcript import Turn
from kefu.moderation.categories import Category, Direction, Outcome
from kefu.moderation.policy import Reason
from kefu.review.audit import KEFU, review_subject, turn_subject
from kefu.review.examples import Example
from kefu.review.review import Delivery, Due, Held, Review, Status
from kefu.stamps import now_ms
from kefu.stores.audit import append
from kefu.stores.database import Database
from kefu.stores.schema import deliveries, moderation_examples, reviews, turns
from kefu.stores.statements import alone
from kefu.stores.transcript import TURNS, save_turn, turn_of_row

# What a later reply changes of its turn.
_REPLY = (
    "reply",
    "source",
    "intent_label",
    "intent_score",
    "confidence",
    "citations",
    "choices",
    "standalone_question",
    "timings_ms",
)
# Past their deadline in one transaction at most, so that no turn waits long for its own.
_MOST_AT_ONCE = 500


class SqlReviews:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, turn: Turn, review: Review, fence: int = 0) -> None:
        def change(connection: Connection) -> None:
            if save_turn(connection, turn, fence):
                _add(connection, review)

        await self._database.write_async(change)

    async def hold_again(self, review: Review, next_: Review) -> None:
        def change(connection: Connection) -> None:
            if _mark_delivered(connection, review, now_ms()):
                _add(connection, next_)

        await self._database.write_async(change)

    async def block(self, turn: Turn, reasons: Sequence[Reason], fence: int = 0) -> None:
        def change(connection: Connection) -> None:
            if save_turn(connection, turn, fence):
                details = {
                    "source": turn.source,
                    "reasons": [str(reason) for reason in reasons],
                }
                append(connection, KEFU, "stopped", turn_subject(turn.turn_id), details)

        await self._database.write_async(change)

    async def find(self, review_id: str) -> Review | None:
        query = select(reviews).where(reviews.c.id == review_id)
        row = await self._database.read_async(lambda c: c.execute(query).one_or_none())
        return None if row is None else _review(row)

    async def beginning(self, start: str, limit: int) -> list[Review]:
        # Ids are hexadecimal: what begins like this lies before "start" and the letter after f.
        within = reviews.c.id.between(start, start + "g")
        query = select(reviews).where(within).order_by(reviews.c.id).limit(limit)
        rows = await self._database.read_async(lambda c: c.execute(query).all())
        return [_review(row) for row in rows]

    async def page(self, status: Status | None, offset: int, limit: int) -> list[Review]:
        query = (
            select(reviews)
            .where(*_having(status))
            .order_by(reviews.c.deadline_ms, reviews.c.id)
            .offset(offset)
            .limit(limit)
        )
        rows = await self._database.read_async(lambda c: c.execute(query).all())
        return [_review(row) for row in rows]

    async def count(self, status: Status | None) -> int:
        query = select(func.count()).select_from(reviews).where(*_having(status))
        return await self._database.read_async(lambda c: c.execute(query).scalar_one())

    async def decide(
        self, decided: Review, example: Example | None, details: Mapping[str, Any]
    ) -> bool:
        def change(connection: Connection) -> bool:
            if not _decide(connection, decided):
                return False
            append(
                connection, decided.decided_by, decided.status, review_subject(decided.id), details
            )
            if example is not None:
                connection.execute(insert(moderation_examples), asdict(example))
            return True

        return await self._database.write_async(change)

    async def expire(self, at_ms: int) -> int:
        late = reviews.c.status == "pending", reviews.c.deadline_ms <= at_ms
        overdue = select(reviews.c.id).where(*late).limit(_MOST_AT_ONCE)
        if not await self._database.read_async(lambda c: c.execute(overdue).first()):
            return 0

        def change(connection: Connection) -> int:
            values = {"status": "expired", "decided_at_ms": at_ms, "decided_by": KEFU}
            expired = 0
            for id_ in connection.execute(overdue).scalars().all():
                # Another desk may have been quicker.
                this = update(reviews).where(reviews.c.id == id_, *late)
                if connection.execute(this.values(values)).rowcount:
                    append(connection, KEFU, "expired", review_subject(id_))
                    expired += 1
            return expired

        return await self._database.write_async(change)

    async def undelivered(self, limit: int) -> list[Due]:
        query = (
            select(reviews.c.id, reviews.c.uid)
            .where(reviews.c.delivered_at_ms.is_(None), reviews.c.status != "pending")
            .order_by(reviews.c.decided_at_ms)
            .limit(limit)
        )
        rows = await self._database.read_async(lambda c: c.execute(query).all())
        return [Due(row.id, row.uid) for row in rows]

    async def deliver(self, review: Review, turn: Turn) -> bool:
        def change(connection: Connection) -> bool:
            at_ms = now_ms()
            if not _mark_delivered(connection, review, at_ms):
                return False
            if not _replace_reply(connection, turn):
                return False
            alone(
                connection, "deliveries"
            )  # so that who has seen one `seq` has seen those before it
            given = {"turn_id": turn.turn_id, "uid": turn.uid, "created_at_ms": at_ms}
            connection.execute(insert(deliveries), given)
            details = {"turn_id": turn.turn_id, "source": turn.source}
            append(connection, KEFU, "delivered", review_subject(review.id), details)
            return True

        return await self._database.write_async(change)

    async def examples(self) -> list[Example]:
        query = select(moderation_examples).order_by(
            moderation_examples.c.created_at_ms, moderation_examples.c.review_id
        )
        rows = await self._database.read_async(lambda c: c.execute(query).all())
        return [_example(row) for row in rows]

    async def deliveries(self, uid: str, after: int, since_ms: int, limit: int) -> list[Delivery]:
        query = (
            TURNS.add_columns(
                deliveries.c.seq.label("delivery_seq"),
                deliveries.c.created_at_ms.label("delivered_at_ms"),
            )
            .join(deliveries, deliveries.c.turn_id == turns.c.turn_id)
            .where(
                deliveries.c.uid == uid,
                deliveries.c.seq > after,
                deliveries.c.created_at_ms >= since_ms,
            )
            .order_by(deliveries.c.seq)
            .limit(limit)
        )
        rows = await self._database.read_async(lambda c: c.execute(query).all())
        return [_delivery(row) for row in rows]


def _having(status: Status | None) -> list[ColumnElement[bool]]:
    return [] if status is None else [reviews.c.status == status]


def _add(connection: Connection, review: Review) -> None:
    held = review.held
    connection.execute(
        insert(reviews),
        {
            "id": review.id,
            "turn_id": review.turn_id,
            "uid": review.uid,
            "direction": held.direction,
            "text": held.text,
            "category": held.category,
            "reasons": [asdict(reason) for reason in held.reasons],
            "draft": held.draft,
            "status": review.status,
            "deadline_ms": review.deadline_ms,
            "created_at_ms": review.created_at_ms,
        },
    )
    details = {
        "turn_id": review.turn_id,
        "direction": held.direction,
        "category": held.category,
        "reasons": [str(reason) for reason in held.reasons],
    }
    append(connection, KEFU, "held", review_subject(review.id), details)


def _decide(connection: Connection, decided: Review) -> bool:
    """Whether it was pending until now."""
    values = {
        "status": decided.status,
        "decided_at_ms": decided.decided_at_ms,
        "decided_by": decided.decided_by,
        "edited_text": decided.edited_text,
    }
    still = update(reviews).where(reviews.c.id == decided.id, reviews.c.status == "pending")
    return connection.execute(still.values(values)).rowcount == 1


def _mark_delivered(connection: Connection, review: Review, at_ms: int) -> bool:
    """Whether this is the first time. Its text may be masked by now: nobody has to judge it."""
    first = update(reviews).where(
        reviews.c.id == review.id,
        reviews.c.status != "pending",
        reviews.c.delivered_at_ms.is_(None),
    )
    return (
        connection.execute(first.values(delivered_at_ms=at_ms, text=review.held.text)).rowcount == 1
    )


def _replace_reply(connection: Connection, turn: Turn) -> bool:
    """Whether the turn was still waiting for its reply."""
    values = asdict(turn)
    waiting = update(turns).where(turns.c.turn_id == turn.turn_id, turns.c.source == "held")
    return connection.execute(waiting.values({k: values[k] for k in _REPLY})).rowcount == 1


def _review(row: Row[Any]) -> Review:
    held = Held(
        direction=Direction(row.direction),
        text=row.text,
        category=Category(row.category),
        reasons=tuple(_reason(reason) for reason in row.reasons),
        draft=row.draft,
    )
    return Review(
        id=row.id,
        turn_id=row.turn_id,
        uid=row.uid,
        held=held,
        deadline_ms=row.deadline_ms,
        status=row.status,
        created_at_ms=row.created_at_ms,
        decided_at_ms=row.decided_at_ms,
        decided_by=row.decided_by,
        edited_text=row.edited_text,
        delivered_at_ms=row.delivered_at_ms,
    )


def _reason(kept: Mapping[str, Any]) -> Reason:
    known = {"category": Category(kept["category"]), "outcome": Outcome(kept["outcome"])}
    return Reason(**{**kept, **known})


def _example(row: Row[Any]) -> Example:
    known = {"category": Category(row.category), "direction": Direction(row.direction)}
    return Example(**{**row._mapping, **known})


def _delivery(row: Row[Any]) -> Delivery:
    values = dict(row._mapping)
    seq, at_ms = values.pop("delivery_seq"), values.pop("delivered_at_ms")
    return Delivery(seq, turn_of_row(values), at_ms)
