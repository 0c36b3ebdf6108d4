"""Kept answers in SQL, and the quickest way to ask whether the knowledge has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, bindparam, delete, or_, select, true, update

from kefu.answers.answer import CachedAnswer
from kefu.answers.kept import ChangedEntry
from kefu.conversations.transcript import Citation
from kefu.stores.database import Database
from kefu.stores.schema import cached_answers, entries, entry_vectors
from kefu.stores.statements import raise_version, upsert, version_of

_ANSWERS = "answers"
_KNOWLEDGE = "knowledge"
_IDS_PER_STATEMENT = 500

_SAVE = upsert(cached_answers, "id")
_COUNT_HITS = (
    update(cached_answers)
    .where(cached_answers.c.id == bindparam("answer_id"))
    .values(
        exact_hits=bindparam("exact"),
        semantic_hits=bindparam("semantic"),
        last_hit_at_ms=bindparam("at_ms"),
    )
)


class SqlAnswers:
    """Synchronous. Each change is one transaction; all but `knowledge_version` are thread-safe.

    The desk that keeps the answers writes with `apply`. Any other process writes with `change` and
    `clear`, which raise the version that the desk looks at.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int:
        """How often people changed answers from outside the desk."""
        with self._database.read() as connection:
            return version_of(connection, _ANSWERS)

    def knowledge_version(self) -> int:
        """The version of the knowledge as it is in the database, in 2 µs. Not for several threads."""
        return self._database.versions.now(_KNOWLEDGE)

    def load(self) -> tuple[int, list[CachedAnswer]]:
        """The version and all answers, the one that waited longest for a hit first."""
        query = select(cached_answers).order_by(cached_answers.c.last_hit_at_ms)
        with self._database.read() as connection:
            found = [answer_of(row) for row in connection.execute(query)]
            return version_of(connection, _ANSWERS), found

    def find(self, id_: str) -> CachedAnswer | None:
        query = select(cached_answers).where(cached_answers.c.id == id_)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else answer_of(row)

    def apply(
        self,
        saved: Sequence[CachedAnswer],
        hit: Sequence[CachedAnswer],
        dropped: Sequence[str],
        *,
        by_people: bool = False,
    ) -> None:
        """Add or replace answers, count the hits of others and delete some, all or nothing.

        `by_people`: for other desks to notice.
        """

        def change(connection: Connection) -> None:
            _apply(connection, saved, hit, dropped)
            if by_people:
                raise_version(connection, _ANSWERS)

        self._database.write(change)

    def change(self, answer: CachedAnswer) -> None:
        """Add or replace an answer, for a running desk to notice."""

        def change(connection: Connection) -> None:
            _apply(connection, [answer], [], [])
            raise_version(connection, _ANSWERS)

        self._database.write(change)

    def clear(self, ids: Sequence[str]) -> int:
        """Delete answers, for a running desk to notice; how many there were."""

        def change(connection: Connection) -> int:
            deleted = _delete(connection, ids)
            raise_version(connection, _ANSWERS)
            return deleted

        return self._database.write(change)

    def changed_entries(self, since_ms: int, encoder_id: str, limit: int) -> list[ChangedEntry]:
        """At most `limit` entries that were changed, or became valid, at that time or later."""
        today = date.today()
        first_day = datetime.fromtimestamp(since_ms / 1000).date()
        about = [entries.c.id, entries.c.updated_at_ms, entries.c.valid_from]
        query = (
            select(*about, entry_vectors.c.dimensions, entry_vectors.c.vectors)
            .join(entry_vectors)
            .where(entry_vectors.c.encoder_id == encoder_id, entries.c.enabled == true())
            .where(or_(entries.c.valid_from.is_(None), entries.c.valid_from <= today))
            .where(or_(entries.c.updated_at_ms >= since_ms, entries.c.valid_from >= first_day))
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_changed_entry(row) for row in connection.execute(query)]


def _apply(
    connection: Connection,
    saved: Sequence[CachedAnswer],
    hit: Sequence[CachedAnswer],
    dropped: Sequence[str],
) -> None:
    _delete(connection, dropped)
    if saved:
        # An answer takes the place of the one that had its key, whoever wrote that.
        rivals = delete(cached_answers).where(
            cached_answers.c.key == bindparam("rival_key"),
            cached_answers.c.id != bindparam("rival_id"),
        )
        connection.execute(rivals, [{"rival_key": a.key, "rival_id": a.id} for a in saved])
        connection.execute(_SAVE, [row_of(answer) for answer in saved])
    if hit:
        connection.execute(_COUNT_HITS, [_hits(answer) for answer in hit])


def _delete(connection: Connection, ids: Sequence[str]) -> int:
    deleted = 0
    for start in range(0, len(ids), _IDS_PER_STATEMENT):
        some = ids[start : start + _IDS_PER_STATEMENT]
        found = connection.execute(delete(cached_answers).where(cached_answers.c.id.in_(some)))
        deleted += found.rowcount
    return deleted


def row_of(answer: CachedAnswer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "key": answer.key,
        "question": answer.question,
        "language": answer.language,
        "reply": answer.reply,
        "intent_label": answer.intent_label,
        "intent_score": answer.intent_score,
        "confidence": answer.confidence,
        "citations": [{"id": c.id, "title": c.title, "score": c.score} for c in answer.citations],
        "entry_hashes": dict(answer.entry_hashes),
        "model": answer.model,
        "pinned": answer.pinned,
        "edited": answer.edited,
        "encoder_id": answer.encoder_id,
        "vector": None if answer.vector is None else _bytes(answer.vector),
        "exact_hits": answer.exact_hits,
        "semantic_hits": answer.semantic_hits,
        "created_at_ms": answer.created_at_ms,
        "last_hit_at_ms": answer.last_hit_at_ms,
    }


def _hits(answer: CachedAnswer) -> dict[str, Any]:
    return {
        "answer_id": answer.id,
        "exact": answer.exact_hits,
        "semantic": answer.semantic_hits,
        "at_ms": answer.last_hit_at_ms,
    }


def answer_of(row: Any) -> CachedAnswer:
    return CachedAnswer(
        key=row.key,
        question=row.question,
        language=row.language,
        reply=row.reply,
        intent_label=row.intent_label,
        intent_score=row.intent_score,
        confidence=row.confidence,
        citations=tuple(Citation(c["id"], c["title"], c["score"]) for c in row.citations),
        entry_hashes=row.entry_hashes,
        model=row.model,
        pinned=row.pinned,
        edited=row.edited,
        encoder_id=row.encoder_id,
        vector=None if row.vector is None else np.frombuffer(row.vector, np.float32),
        exact_hits=row.exact_hits,
        semantic_hits=row.semantic_hits,
        id=row.id,
        created_at_ms=row.created_at_ms,
        last_hit_at_ms=row.last_hit_at_ms,
    )


def _changed_entry(row: Row[*tuple[Any, ...]]) -> ChangedEntry:
    vectors = np.frombuffer(row.vectors, np.float32).reshape(-1, row.dimensions)
    return ChangedEntry(row.id, max(row.updated_at_ms, _first_ms(row.valid_from)), vectors)


def _first_ms(day: date | None) -> int:
    """The beginning of a day by this computer's clock; 0 for no day."""
    return 0 if day is None else round(datetime.combine(day, time()).timestamp() * 1000)


def _bytes(vector: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(vector, dtype=np.float32).tobytes()
