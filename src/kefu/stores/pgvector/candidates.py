"""The entries that may be the most relevant: the nearest by their vectors and by their words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import numpy as np
import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection

from kefu.knowledge.entry import IndexedEntry
from kefu.knowledge.lexical import SATURATION, UNIT, Floats
from kefu.stores.database import DatabaseFailed
from kefu.stores.knowledge import entry_of, indexed_of
from kefu.stores.pgvector.counts import LanguageCounts
from kefu.stores.pgvector.rows import EntryTerms, Numbers, TermLists, Units, as_text
from kefu.stores.pgvector.tables import LANGUAGES, look_far

# By vectors and by words, of each: docs/decisions/0026-pgvector.md has what fewer and more find.
CANDIDATES = 96

# Words are looked up from the rarest on until so many entries were touched.
_MOST_TOUCHED = 2000

_VALID = (
    "language = {language} AND (valid_from IS NULL OR valid_from <= %(today)s) "
    "AND (valid_until IS NULL OR valid_until >= %(today)s)"
)
_QUERY = f"""
WITH near AS (
    SELECT entry_id FROM search_entries WHERE {_VALID}
    ORDER BY near <#> CAST(%(vector)s AS halfvec) LIMIT %(candidates)s
), worded AS (
    SELECT has.entry_id
    FROM unnest(CAST(%(terms)s AS integer[]), CAST(%(asked)s AS real[]), CAST(%(weights)s AS real[]))
        AS query (term, asked, weight)
    CROSS JOIN LATERAL (
        SELECT entry_id, text_units FROM search_entries
        WHERE {_VALID} AND found_by @> ARRAY[query.term]
    ) AS has
    GROUP BY has.entry_id
    ORDER BY sum(asked * weight / (weight + %(soon)s * text_units)) DESC LIMIT %(candidates)s
), same AS (
    SELECT entry_id FROM search_entries WHERE {_VALID} AND found_by @> ARRAY[CAST(%(key)s AS integer)]
), found AS (
    SELECT entry_id FROM near UNION SELECT entry_id FROM worded UNION SELECT entry_id FROM same
)
SELECT entries.*, encoder_id, dimensions, vectors,
    rows.content_hash AS row_hash, question_terms, text_terms,
    rows.entry_id IN (SELECT entry_id FROM same) AS has_key
FROM found
JOIN search_entries AS rows USING (entry_id)
JOIN entry_vectors USING (entry_id)
JOIN entries ON entries.id = entry_id
"""  # noqa: S608 - of constants of this file
_QUERIES = {
    language: sql.SQL(_QUERY).format(language=sql.Literal(language)) for language in LANGUAGES
}


@dataclass(frozen=True, eq=False)
class Asked:
    """A question: its different terms with their weights in units, the number of its exact key, and
    its vector (d,)."""

    ids: Numbers
    units: Units
    key: int
    vector: Floats


@dataclass(frozen=True, eq=False)
class Candidate:
    """`may_be_same`: whether one of its questions may be the very one that is asked."""

    item: IndexedEntry
    terms: EntryTerms
    may_be_same: bool


def candidate_of(item: IndexedEntry) -> Candidate:
    return Candidate(item, EntryTerms.of(item.entry), True)


def read_candidates(
    connection: Connection,
    asked: Asked,
    language: str,
    counts: LanguageCounts,
    encoder_id: str,
    today: date,
) -> Iterator[Candidate]:
    """Those of a language, in no order."""
    if not counts.texts:
        return
    look_far(connection)
    values = {
        "vector": as_text(asked.vector),
        "key": asked.key,
        "today": today,
        "candidates": CANDIDATES,
        "soon": SATURATION / counts.average_units,
        **_words(asked, counts),
    }
    for row in _rows(connection, _QUERIES[language], values):
        entry = entry_of(row)
        item = indexed_of(row, entry, encoder_id)
        # What was changed a moment ago is in no row yet.
        if item is None or entry.language != language or not entry.is_valid_on(today):
            continue
        if row.row_hash != row.content_hash:
            yield candidate_of(item)
        else:
            yield Candidate(item, _terms(row), row.has_key)


def _rows(connection: Connection, query: sql.Composed, values: dict[str, Any]) -> list[Any]:
    """A megabyte of vectors: SQLAlchemy asks for them as text, of twice the length."""
    driver = cast(psycopg.Connection, connection.connection.driver_connection)
    try:
        with driver.cursor(binary=True, row_factory=namedtuple_row) as cursor:
            return cursor.execute(query, values).fetchall()
    except psycopg.OperationalError as error:
        raise DatabaseFailed(f"The database is away: {error}") from error


def _terms(row: Any) -> EntryTerms:
    return EntryTerms(TermLists.unpacked(row.question_terms), TermLists.unpacked(row.text_terms))


def _words(asked: Asked, counts: LanguageCounts) -> dict[str, Sequence[float]]:
    """The rarest terms, as the query has them."""
    rarity = counts.of_texts(asked.ids)
    found_in = rarity.found_in[:-1]
    order = np.argsort(found_in, kind="stable")
    order = order[found_in[order] > 0]
    rarest = order[np.cumsum(found_in[order]) <= _MOST_TOUCHED]
    weights = asked.units[rarest] * UNIT
    return {
        "terms": asked.ids[rarest].tolist(),
        "asked": (weights * rarity.of_text_terms[rarest]).tolist(),
        "weights": weights.tolist(),
    }
