"""Knowledge entries and their vectors in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, delete, func, select

from kefu.knowledge.changes import Changes
from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.stamps import now_ms
from kefu.stores.database import Database
from kefu.stores.schema import entries, entry_vectors
from kefu.stores.statements import alone, raise_version, upsert, version_of

T = TypeVar("T")

_KNOWLEDGE = "knowledge"
_ROWS_PER_STATEMENT = 500

_SAVE_ENTRY = upsert(entries, "id")
_SAVE_VECTORS = upsert(entry_vectors, "entry_id")


class SqlKnowledge:
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

    def entries(self) -> tuple[int, list[Entry]]:
        """Version and all entries by id, without their vectors."""
        with self._database.read() as connection:
            version = version_of(connection, _KNOWLEDGE)
            rows = connection.execute(select(entries).order_by(entries.c.id))
            return version, [entry_of(row) for row in rows]

    def load(self, encoder_id: str) -> tuple[int, list[IndexedEntry], list[Entry]]:
        """Version, entries with their vectors, and entries that another encoder's vectors have."""
        changes = self.changes({}, encoder_id)
        return changes.version, list(changes.indexed), list(changes.unencoded)

    def changes(
        self,
        known: Mapping[str, str],
        encoder_id: str,
        among: Collection[str] | None = None,
        most: int | None = None,
        with_vectors: bool = True,
    ) -> Changes:
        """What differs from the content hashes `known` by id, at most so many entries.

        With `among` only these ids are looked at, which costs no more than they are many. Entries come
        with vectors of no rows where these are not wanted: reading them takes longer than all else.
        """
        with self._database.read() as connection:
            version = version_of(connection, _KNOWLEDGE)
            hashes = dict(_hashes(connection, among))
            looked_at = known.keys() if among is None else known.keys() & set(among)
            fresh = [id_ for id_, hash_ in hashes.items() if known.get(id_) != hash_]
            given = fresh[:most]
            indexed, unencoded = read_indexed(connection, given, encoder_id, with_vectors)
        return Changes(
            version,
            tuple(indexed),
            tuple(unencoded),
            frozenset(looked_at - hashes.keys()),
            {id_: hashes[id_] for id_ in given},
            complete=len(given) == len(fresh),
        )

    def save(
        self,
        changed: Sequence[IndexedEntry],
        encoder_id: str,
        delete: Sequence[str] = (),
        *,
        renewed: Sequence[Entry] = (),
        if_version: int | None = None,
    ) -> int | None:
        """Add or replace entries and delete others, all or nothing; the new version.

        `renewed` are entries that keep their vectors, because their questions stay the same. With
        `if_version` and another version in the database nothing is saved: None.
        """
        return self._database.write(
            lambda c: _save(c, changed, encoder_id, delete, renewed, if_version)
        )


def _save(
    connection: Connection,
    changed: Sequence[IndexedEntry],
    encoder_id: str,
    gone: Sequence[str],
    renewed: Sequence[Entry],
    if_version: int | None,
) -> int | None:
    alone(connection, _KNOWLEDGE)
    if if_version is not None and version_of(connection, _KNOWLEDGE) != if_version:
        return None
    for ids in _chunks(gone):
        connection.execute(delete(entries).where(entries.c.id.in_(ids)))
    for chunk in _chunks(changed):
        connection.execute(_SAVE_ENTRY, [_entry_row(item.entry) for item in chunk])
        connection.execute(_SAVE_VECTORS, [_vector_row(item, encoder_id) for item in chunk])
    for part in _chunks(renewed):
        connection.execute(_SAVE_ENTRY, [_entry_row(entry) for entry in part])
    return raise_version(connection, _KNOWLEDGE)


def _hashes(connection: Connection, among: Collection[str] | None) -> Iterator[tuple[str, str]]:
    query = select(entries.c.id, entries.c.content_hash).order_by(entries.c.id)
    if among is None:
        yield from ((row.id, row.content_hash) for row in connection.execute(query))
        return
    for ids in _chunks(sorted(among)):
        rows = connection.execute(query.where(entries.c.id.in_(ids)))
        yield from ((row.id, row.content_hash) for row in rows)


def read_indexed(
    connection: Connection, ids: Sequence[str], encoder_id: str, with_vectors: bool = True
) -> tuple[list[IndexedEntry], list[Entry]]:
    """Entries whose vectors can be used, with them or with vectors of no rows, and the others."""
    vectors = entry_vectors.c.vectors
    column = vectors if with_vectors else func.length(vectors).label("size")
    indexed: list[IndexedEntry] = []
    unencoded: list[Entry] = []
    for row in _joined(connection, ids, column):
        entry = entry_of(row)
        if (item := indexed_of(row, entry, encoder_id)) is not None:
            indexed.append(item)
        else:
            unencoded.append(entry)
    return indexed, unencoded


def _joined(
    connection: Connection, ids: Sequence[str], column: ColumnElement[Any]
) -> Iterator[Row[Any]]:
    query = select(entries, entry_vectors.c.encoder_id, entry_vectors.c.dimensions, column)
    query = query.outerjoin(entry_vectors).order_by(entries.c.id)
    for chunk in _chunks(ids):
        yield from connection.execute(query.where(entries.c.id.in_(chunk)))


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
    """The vectors of the questions and below them that of the answer, zeros where it has none."""
    answer = np.zeros_like(item.vectors[0]) if item.answer is None else item.answer
    vectors = np.vstack((item.vectors, answer)).astype(np.float32)
    return {
        "entry_id": item.entry.id,
        "encoder_id": encoder_id,
        "dimensions": vectors.shape[1],
        "vectors": vectors.tobytes(),
    }


def entry_of(row: Row[Any]) -> Entry:
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


def indexed_of(row: Row[Any], entry: Entry, encoder_id: str) -> IndexedEntry | None:
    """None where another encoder made the vectors, or a kefu that made none of the answer."""
    if row.encoder_id != encoder_id:
        return None
    wanted = len(entry.questions) + 1, row.dimensions
    if hasattr(row, "size"):
        nothing = np.empty((0, row.dimensions), np.float32)
        return IndexedEntry(entry, nothing) if row.size == 4 * wanted[0] * wanted[1] else None
    vectors = np.frombuffer(row.vectors, dtype=np.float32)
    if vectors.size != wanted[0] * wanted[1]:
        return None
    vectors = vectors.reshape(wanted)
    return IndexedEntry(entry, vectors[:-1], vectors[-1])
