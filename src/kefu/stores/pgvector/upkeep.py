"""Keeps the tables that are searched in line with what is known.

Whoever saves entries need not know of them: each desk looks after every change which rows are not
those of the entries any more, and writes them, a part at a time and one desk at a time. Until then
an entry is found by what it said before, and what is shown and compared is what it says now.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection, text

from kefu.knowledge.entry import IndexedEntry
from kefu.stores.database import Database
from kefu.stores.knowledge import read_indexed
from kefu.stores.pgvector.rows import EntryTerms, TermLists, as_text, found_by, near_vector
from kefu.stores.pgvector.tables import make_quick, make_slow
from kefu.stores.statements import alone, raise_version

log = structlog.get_logger("kefu.pgvector")

VERSION = "search"

_ENTRIES_PER_STEP = 500
# More new rows than this, and than there are: the indexes are made afterwards.
_MANY = 5000

# Entries whose row is missing or says something else, and rows that no entry has.
_STALE = """
SELECT coalesce(e.id, s.entry_id) AS id FROM (
    SELECT id, content_hash FROM entries JOIN entry_vectors ON entry_id = id
    WHERE enabled AND encoder_id = :encoder_id {of_entries}
) AS e
FULL JOIN (SELECT entry_id, content_hash FROM search_entries {of_rows}) AS s ON s.entry_id = e.id
WHERE s.content_hash IS DISTINCT FROM e.content_hash
ORDER BY 1
"""
_ALL_STALE = text(_STALE.format(of_entries="", of_rows=""))
_STALE_AMONG = text(
    _STALE.format(of_entries="AND id = ANY(:ids)", of_rows="WHERE entry_id = ANY(:ids)")
)

_ADD = text(
    """
    INSERT INTO search_entries VALUES (
        :entry_id, :content_hash, :language, :valid_from, :valid_until, :text_units,
        CAST(:found_by AS integer[]), :question_terms, :text_terms, CAST(:near AS halfvec)
    )
    """
)
_REMOVE = text(
    """
    DELETE FROM search_entries WHERE entry_id = ANY(:ids)
    RETURNING language, text_units, question_terms, text_terms
    """
)
_COUNT_TERMS = text(
    """
    INSERT INTO search_terms (language, term, questions, texts, version)
    SELECT :language, *, :version FROM unnest(
        CAST(:terms AS integer[]), CAST(:questions AS integer[]), CAST(:texts AS integer[])
    ) AS t (term, questions, texts)
    ON CONFLICT (language, term) DO UPDATE SET
        questions = search_terms.questions + excluded.questions,
        texts = search_terms.texts + excluded.texts,
        version = excluded.version
    """
)
_COUNT_TEXTS = text(
    """
    INSERT INTO search_languages VALUES (:language, :questions, :texts, :text_units)
    ON CONFLICT (language) DO UPDATE SET
        questions = search_languages.questions + excluded.questions,
        texts = search_languages.texts + excluded.texts,
        text_units = search_languages.text_units + excluded.text_units
    """
)


def bring_in_line(database: Database, encoder_id: str, among: Collection[str] | None = None) -> int:
    """Write the rows that are missing or out of date, of all entries or of some; how many."""
    with database.read() as connection:
        stale = _stale(connection, encoder_id, among)
        known = connection.execute(text("SELECT sum(texts) FROM search_languages")).scalar() or 0
    many = len(stale) > max(_MANY, known)
    if many:
        database.write_apart(make_slow)
    for start in range(0, len(stale), _ENTRIES_PER_STEP):
        if many and start % _MANY == 0:
            log.info("search_rows_are_written", rows=start, of=len(stale))
        _renew(database, encoder_id, stale[start : start + _ENTRIES_PER_STEP])
    if many:
        make_quick(database)
    return len(stale)


def _stale(connection: Connection, encoder_id: str, among: Collection[str] | None) -> list[str]:
    if among is None:
        rows = connection.execute(_ALL_STALE, {"encoder_id": encoder_id})
    else:
        rows = connection.execute(_STALE_AMONG, {"encoder_id": encoder_id, "ids": list(among)})
    return list(rows.scalars())


def _renew(database: Database, encoder_id: str, ids: Sequence[str]) -> None:
    with database.read() as connection:
        read, _ = read_indexed(connection, ids, encoder_id)
    # Worked out before anybody has to wait for it.
    rows = {item.entry.id: _row(item) for item in read if item.entry.enabled}

    def change(connection: Connection) -> None:
        alone(connection, "search")
        stale = _stale(connection, encoder_id, ids)  # another desk may have been faster
        counts = _Counts()
        for gone in connection.execute(_REMOVE, {"ids": stale}):
            counts.add(gone._asdict(), -1)
        added = [rows[id_] for id_ in stale if id_ in rows]
        for row in added:
            counts.add(row, 1)
        if added:
            connection.execute(_ADD, added)
        if stale:
            counts.save(connection)

    database.write_apart(change)


def _row(item: IndexedEntry) -> dict[str, Any]:
    entry, terms = item.entry, EntryTerms.of(item.entry)
    return {
        "entry_id": entry.id,
        "content_hash": entry.content_hash,
        "language": entry.language,
        "valid_from": entry.valid_from,
        "valid_until": entry.valid_until,
        "text_units": terms.text_units,
        "found_by": found_by(entry, terms),
        "question_terms": terms.questions.packed(),
        "text_terms": terms.text.packed(),
        "near": as_text(near_vector(item)),
    }


class _Counts:
    """What rows add to the counts of their languages, or take from them."""

    def __init__(self) -> None:
        self._terms: dict[str, Counter[tuple[int, bool]]] = defaultdict(Counter)
        self._texts: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, row: Mapping[str, Any], sign: int) -> None:
        terms, texts = self._terms[row["language"]], self._texts[row["language"]]
        questions = TermLists.unpacked(row["question_terms"])
        for id_ in questions.ids.tolist():
            terms[id_, True] += sign
        for id_ in TermLists.unpacked(row["text_terms"]).ids.tolist():
            terms[id_, False] += sign
        texts["questions"] += sign * len(questions.sizes)
        texts["texts"] += sign
        texts["text_units"] += sign * row["text_units"]

    def save(self, connection: Connection) -> None:
        version = raise_version(connection, VERSION)
        for language, counts in self._terms.items():
            terms = sorted({id_ for (id_, _), change in counts.items() if change})
            changed = {
                "terms": terms,
                "questions": [counts[id_, True] for id_ in terms],
                "texts": [counts[id_, False] for id_ in terms],
            }
            connection.execute(_COUNT_TERMS, {"language": language, "version": version, **changed})
        for language, texts in self._texts.items():
            change = {name: texts[name] for name in ("questions", "texts", "text_units")}
            connection.execute(_COUNT_TEXTS, {"language": language, **change})
