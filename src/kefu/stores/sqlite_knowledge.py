"""Knowledge entries and their vectors in SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection, Row, delete, func, select

from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.stamps import now_ms
from kefu.stores.schema import entries, entry_vectors
from kefu.stores.sqlite import Database
from kefu.stores.sqlite_statements import raise_version, upsert, version_of

T = TypeVar("T")

_KNOWLEDGE = "knowledge"
_ROWS_PER_STATEMENT = 500

_SAVE_ENTRY = upsert(entries, "id")
_SAVE_VECTORS = upsert(entry_vectors, "entry_id")


class SqliteKnowledge:
    """Synchronous and thread-safe; every change is one transaction and a new version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int:
        with self._database.read() as connection:
            return version_of(connection, _KNOWLEDGE)

    def count(self) -> int:
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(entries)).scalar_one()

    def hashes(self) -> dict[str, str]:
        """The content hash of each entry by id: what an import compares with."""
        with self._database.read() as connection:
            rows = connection.execute(select(entries.c.id, entries.c.content_hash))
            return {row.id: row.content_hash for row in rows}

    def load(self, encoder_id: str) -> tuple[int, list[IndexedEntry], list[Entry]]:
        """Version, entries with their vectors, and entries that another encoder's vectors have."""
        query = select(
            entries, entry_vectors.c.encoder_id, entry_vectors.c.dimensions, entry_vectors.c.vectors
        ).outerjoin(entry_vectors)
        indexed: list[IndexedEntry] = []
        unencoded: list[Entry] = []
        with self._database.read() as connection:
            version = version_of(connection, _KNOWLEDGE)
            for row in connection.execute(query.order_by(entries.c.id)):
                if row.encoder_id == encoder_id:
                    indexed.append(IndexedEntry(_entry(row), _vectors(row)))
                else:
                    unencoded.append(_entry(row))
        return version, indexed, unencoded

    def save(
        self, changed: Sequence[IndexedEntry], encoder_id: str, delete: Sequence[str] = ()
    ) -> int:
        """Add or replace entries and delete others, all or nothing; the new version."""
        return self._database.write(lambda c: _save(c, changed, encoder_id, delete))


def _save(
    connection: Connection, changed: Sequence[IndexedEntry], encoder_id: str, gone: Sequence[str]
) -> int:
    for ids in _chunks(gone):
        connection.execute(delete(entries).where(entries.c.id.in_(ids)))
    for chunk in _chunks(changed):
        connection.execute(_SAVE_ENTRY, [_entry_row(item.entry) for item in chunk])
        connection.execute(_SAVE_VECTORS, [_vector_row(item, encoder_id) for item in chunk])
    return raise_version(connection, _KNOWLEDGE)


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _ROWS_PER_STATEMENT):
        yield items[start : start + _ROWS_PER_STATEMENT]


def _entry_row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "question": entry.question,
        "answer": entry.answer,
        "alternatives": list(entry.alternatives),
        "tags": list(entry.tags),
        "language": entry.language,
        "kind": entry.kind,
        "source": entry.source,
        "page": entry.page,
        "enabled": entry.enabled,
        "valid_from": entry.valid_from,
        "valid_until": entry.valid_until,
        "content_hash": entry.content_hash,
        "updated_at_ms": now_ms(),
    }


def _vector_row(item: IndexedEntry, encoder_id: str) -> dict[str, Any]:
    vectors = np.ascontiguousarray(item.vectors, dtype=np.float32)
    return {
        "entry_id": item.entry.id,
        "encoder_id": encoder_id,
        "dimensions": vectors.shape[1],
        "vectors": vectors.tobytes(),
    }


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        id=row.id,
        question=row.question,
        answer=row.answer,
        alternatives=tuple(row.alternatives),
        tags=tuple(row.tags),
        language=row.language,
        kind=row.kind,
        source=row.source,
        page=row.page,
        enabled=row.enabled,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
    )


def _vectors(row: Row[Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.frombuffer(row.vectors, dtype=np.float32).reshape(-1, row.dimensions)
