"""The transcript in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    case,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from kefu.conversations.ratings import Rating
from kefu.conversations.transcript import Choice, Citation, ConversationSummary, Turn, TurnLost
from kefu.stores.database import Database
from kefu.stores.ratings import RATING_COLUMNS, rate, take_rating, turns_with_ratings
from kefu.stores.saving import (
    TURN_COLUMNS,
    Saving,
    adding_turns,
    raising_fences,
    values_of,
)
from kefu.stores.schema import fences, reviews, turns

# A rating lies in a table of its own.
TURNS: Select[Any] = select(*(turns.c[name] for name in TURN_COLUMNS), *RATING_COLUMNS).select_from(
    turns_with_ratings()
)
_BY_ID = TURNS.where(turns.c.turn_id == bindparam("turn_id"))
_BY_KEY = TURNS.where(turns.c.uid == bindparam("uid"), turns.c.idempotency_key == bindparam("key"))
_LAST = (
    TURNS.where(turns.c.uid == bindparam("uid"))
    .order_by(turns.c.seq.desc())
    .limit(bindparam("most", type_=Integer))
)
# What a person has to deal with: somebody to talk to, or something to look at.
_FOR_A_PERSON = ("handoff", "held")
# Whether it was kept is asked: SQLAlchemy counts the rows of an INSERT only when told to.
_SAVE = adding_turns(insert(turns).execution_options(preserve_rowcount=True))
_RAISE_FENCE = raising_fences(insert(fences).execution_options(preserve_rowcount=True))

_ANY_OF_UID = "SELECT 1 FROM turns WHERE uid = ? LIMIT 1"


class SqlTranscript:
    """Read from one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reader = database.open_reader()
        direct = database.direct
        self._saving = Saving(direct, database.metrics) if direct else None

    async def save(self, turn: Turn, fence: int = 0) -> None:
        saving = self._saving
        if saving is None:
            await self._database.write_async(lambda c: save_turn(c, turn, fence) and None)
        elif not await self._database.patiently(lambda: saving.save(turn, fence)):
            raise _lost()

    async def rate(self, uid: str, turn_id: str, rating: Rating | None) -> bool:
        return await self._database.write_async(lambda c: rate(c, uid, turn_id, rating))

    async def find_turn(self, turn_id: str) -> Turn | None:
        return _one_of(await self._database.ask_async(_BY_ID, turn_id=turn_id))

    async def find_by_key(self, uid: str, idempotency_key: str) -> Turn | None:
        return _one_of(await self._database.ask_async(_BY_KEY, uid=uid, key=idempotency_key))

    async def last_turns(self, uid: str, limit: int) -> list[Turn]:
        if not self._knows(uid):
            return []
        rows = await self._database.ask_async(_LAST, uid=uid, most=limit)
        return [turn_of_row(dict(row)) for row in reversed(rows)]

    def _knows(self, uid: str) -> bool:
        """In 10 µs, so that a new customer does not wait for a thread; maybe where that takes longer."""
        return self._reader is None or bool(self._reader.rows(_ANY_OF_UID, uid))

    async def around(self, turn_id: str, before: int, after: int) -> list[Turn]:
        this = select(turns.c.seq, turns.c.uid, turns.c.conversation_id)
        row = await self._database.read_async(
            lambda c: c.execute(this.where(turns.c.turn_id == turn_id)).one_or_none()
        )
        if row is None:
            return []
        # The uid too: it has the index.
        talk = TURNS.where(turns.c.uid == row.uid, turns.c.conversation_id == row.conversation_id)
        earlier = talk.where(turns.c.seq <= row.seq).order_by(turns.c.seq.desc()).limit(before + 1)
        later = talk.where(turns.c.seq > row.seq).order_by(turns.c.seq).limit(after)
        rows = await self._database.read_async(
            lambda c: [*reversed(c.execute(earlier).all()), *c.execute(later).all()]
        )
        return [turn_of_row(dict(row._mapping)) for row in rows]

    async def latest(self, limit: int) -> list[Turn]:
        query = TURNS.order_by(turns.c.seq.desc()).limit(limit)
        rows = await self._database.read_async(lambda c: c.execute(query).all())
        return [turn_of_row(dict(row._mapping)) for row in rows]

    async def conversations(
        self, limit: int, before_ms: int | None = None, waiting_only: bool = False
    ) -> list[ConversationSummary]:
        query = _summaries(limit, before_ms, waiting_only)
        rows = await self._database.read_async(lambda c: c.execute(query).all())
        return [ConversationSummary(**row._mapping) for row in rows]

    async def sweep(self, before_ms: int) -> int:
        old = (
            select(turns.c.conversation_id)
            .group_by(turns.c.conversation_id)
            .having(func.max(turns.c.created_at_ms) < before_ms)
        )
        # Somebody still waits for a verdict on a message of theirs.
        waiting = (
            select(turns.c.conversation_id)
            .join(reviews, reviews.c.turn_id == turns.c.turn_id)
            .where(reviews.c.delivered_at_ms.is_(None))
        )
        gone = delete(turns).where(
            turns.c.conversation_id.in_(old), turns.c.conversation_id.not_in(waiting)
        )
        # A fence is a time (stores/redis/turns.py), and no turn takes days.
        passed = delete(fences).where(fences.c.fence < before_ms * 1000)

        def sweep(connection: Connection) -> int:
            connection.execute(passed)
            return connection.execute(gone).rowcount

        return await self._database.write_async(sweep)


def save_turn(connection: Connection, turn: Turn, fence: int) -> bool:
    """Keep a turn; False where its key was answered before, or where it is kept already, and nothing
    was done. Raises `TurnLost`."""
    is_held = not fence or _raise_fence(connection, turn.uid, fence)
    is_first = is_held if fence else connection.dialect.name == "sqlite"
    if not is_first and _is_kept(connection, turn.turn_id):
        return False  # by a commit whose answer never came, as a file's always does
    if not is_held:
        raise _lost()
    return connection.execute(_SAVE, values_of(turn)).rowcount == 1


def _lost() -> TurnLost:
    return TurnLost(
        "This desk stood still for so long that another one went on with this customer. "
        "Send the message again."
    )


def _raise_fence(connection: Connection, uid: str, fence: int) -> bool:
    return connection.execute(_RAISE_FENCE, {"uid": uid, "fence": fence}).rowcount == 1


def _is_kept(connection: Connection, turn_id: str) -> bool:
    query = select(turns.c.seq).where(turns.c.turn_id == turn_id)
    return connection.execute(query).first() is not None


def _summaries(limit: int, before_ms: int | None, waiting_only: bool) -> Select[Any]:
    grouped = (
        select(
            turns.c.uid,
            turns.c.conversation_id,
            func.count().label("turns"),
            _count_of(turns.c.status != "answered").label("unanswered"),
            _count_of(turns.c.source.in_(_FOR_A_PERSON)).label("handoffs"),
            func.min(turns.c.created_at_ms).label("first_at_ms"),
            func.max(turns.c.created_at_ms).label("last_at_ms"),
            func.max(turns.c.seq).label("last_seq"),
        )
        .group_by(turns.c.uid, turns.c.conversation_id)
        .subquery()
    )
    query = (
        select(
            *(c for c in grouped.c if c.name != "last_seq"), turns.c.question.label("last_question")
        )
        .join(turns, turns.c.seq == grouped.c.last_seq)
        .order_by(grouped.c.last_at_ms.desc())
        .limit(limit)
    )
    if before_ms is not None:
        query = query.where(grouped.c.last_at_ms < before_ms)
    if waiting_only:
        query = query.where(grouped.c.unanswered + grouped.c.handoffs > 0)
    return query


def _count_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _one_of(rows: Sequence[Mapping[str, Any]]) -> Turn | None:
    return turn_of_row(dict(rows[0])) if rows else None


def turn_of_row(values: dict[str, Any]) -> Turn:
    """The turn of a row of `TURNS`, whose columns are taken out of `values`."""
    values["citations"] = tuple(Citation(**c) for c in values["citations"])
    values["choices"] = tuple(Choice(**c) for c in values["choices"])
    return Turn(rating=take_rating(values), **values)
