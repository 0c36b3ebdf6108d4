"""The entries that may be the most relevant: the nearest by their vectors and by their words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import Connection, TextClause, text

from kefu.knowledge.entry import IndexedEntry
from kefu.knowledge.lexical import SATURATION, UNIT, Floats
from kefu.stores.knowledge import entry_of, indexed_of
from kefu.stores.pgvector.counts import LanguageCounts
from kefu.stores.pgvector.rows import EntryTerms, Numbers, TermLists, Units, as_text
from kefu.stores.pgvector.tables import LANGUAGES, look_far

# By vectors and by words, of each: docs/decisions/0026-pgvector.md has what fewer and more find.
CANDIDATES = 128

# Words are looked up from the rarest on until so many entries were touched.
_MOST_TOUCHED = 4000

_VALID = (
    "language = '{language}' AND (valid_from IS NULL OR valid_from <= :today) "
    "AND (valid_until IS NULL OR valid_until >= :today)"
)
_QUERY = f"""
WITH near AS (
    SELECT entry_id FROM search_entries WHERE {_VALID}
    ORDER BY near <#> CAST(:vector AS halfvec) LIMIT :candidates
), worded AS (
    SELECT has.entry_id
    FROM unnest(CAST(:terms AS integer[]), CAST(:asked AS real[]), CAST(:weights AS real[]))
        AS query (term, asked, weight)
    CROSS JOIN LATERAL (
        SELECT entry_id, text_units FROM search_entries
        WHERE {_VALID} AND found_by @> ARRAY[query.term]
    ) AS has
    GROUP BY has.entry_id
    ORDER BY sum(asked * weight / (weight + :soon * text_units)) DESC LIMIT :candidates
), same AS (
    SELECT entry_id FROM search_entries WHERE {_VALID} AND found_by @> ARRAY[CAST(:key AS integer)]
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
_QUERIES: dict[str, TextClause] = {
    language: text(_QUERY.format(language=language)) for language in LANGUAGES
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
    found = connection.execute(
        _QUERIES[language],
        {
            "vector": as_text(asked.vector),
            "key": asked.key,
            "today": today,
            "candidates": CANDIDATES,
            "soon": SATURATION / counts.average_units,
            **_words(asked, counts),
        },
    )
    for row in found:
        entry = entry_of(row)
        item = indexed_of(row, entry, encoder_id)
        # What was changed a moment ago is in no row yet.
        if item is None or entry.language != language or not entry.is_valid_on(today):
            continue
        if row.row_hash != row.content_hash:
            yield candidate_of(item)
        else:
            yield Candidate(item, _terms(row), row.has_key)


def _terms(row: Any) -> EntryTerms:
    return EntryTerms(TermLists.unpacked(row.question_terms), TermLists.unpacked(row.text_terms))


def _words(asked: Asked, counts: LanguageCounts) -> dict[str, Sequence[float]]:
    """The rarest terms, as the query has them."""
    rarity = counts.of_texts(asked.ids)
    found_in = rarity.found_in[:-1]
    order = np.argsort(found_in, kind="stable")
    order = order[found_in[order] > 0]
    touched = np.cumsum(found_in[order]) - found_in[order]
    rarest = order[touched < _MOST_TOUCHED]
    weights = asked.units[rarest] * UNIT
    return {
        "terms": asked.ids[rarest].tolist(),
        "asked": (weights * rarity.of_text_terms[rarest]).tolist(),
        "weights": weights.tolist(),
    }
