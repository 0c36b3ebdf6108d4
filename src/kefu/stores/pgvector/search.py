"""Knowledge that is searched in PostgreSQL: candidates from there, weighed here as in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import date

import numpy as np
from sqlalchemy import Connection

from kefu.inference.encoder.compared import Compared
from kefu.knowledge.closely import Match
from kefu.knowledge.entry import IndexedEntry
from kefu.knowledge.index import best_of
from kefu.knowledge.lexical import Floats
from kefu.knowledge.match import Decision, Sure, decide
from kefu.knowledge.searching import MATCHES
from kefu.knowledge.shelf import Wording, wording_of
from kefu.settings import KnowledgeSettings
from kefu.stores.database import Database
from kefu.stores.pgvector.candidates import Asked, Candidate, candidate_of, read_candidates
from kefu.stores.pgvector.counts import Counts
from kefu.stores.pgvector.rows import number_of, number_of_key, units_of
from kefu.stores.pgvector.tables import LANGUAGES, make_quick, prepare
from kefu.stores.pgvector.upkeep import bring_in_line
from kefu.stores.pgvector.weighing import weighed

# After more changes than these all are looked at, which is quicker.
_FEW_CHANGES = 1000

_Tried = dict[str, IndexedEntry]


class PgvectorSearch:
    """See `Search`. Open with `open_pgvector`."""

    keeps_vectors = False

    def __init__(
        self,
        database: Database,
        encoder_id: str,
        settings: KnowledgeSettings,
        counts: Counts,
        tried: _Tried | None = None,
    ) -> None:
        self._database = database
        self._encoder_id = encoder_id
        self._settings = settings
        self._counts = counts
        self._tried = tried or {}

    @property
    def compared_with(self) -> list[Floats]:
        return []

    async def find(self, text: str, vector: Compared, language: str) -> Decision:
        own = await self._search(text, vector.vector, [language], MATCHES, foreign=False)
        decision = decide(text, own, self._settings)
        if isinstance(decision, Sure):
            return decision
        foreign = await self._search(text, vector.vector, _others(language), MATCHES, foreign=True)
        return decide(text, [*own, *foreign], self._settings) if foreign else decision

    async def search(self, text: str, vector: Floats, language: str, limit: int) -> list[Match]:
        own = await self._search(text, vector, [language], limit, foreign=False)
        foreign = await self._search(text, vector, _others(language), limit, foreign=True)
        return [*own, *foreign]

    async def changed(self, items: Sequence[IndexedEntry], gone: Collection[str]) -> PgvectorSearch:
        ids = {*gone, *(item.entry.id for item in items)}
        counts = await asyncio.to_thread(self._caught_up, ids)
        return PgvectorSearch(self._database, self._encoder_id, self._settings, counts)

    async def tried(self, items: Sequence[IndexedEntry]) -> PgvectorSearch:
        tried = {item.entry.id: item for item in items}
        return PgvectorSearch(self._database, self._encoder_id, self._settings, self._counts, tried)

    def _caught_up(self, ids: Collection[str]) -> Counts:
        among = ids if len(ids) <= _FEW_CHANGES else None
        bring_in_line(self._database, self._encoder_id, among)
        with self._database.read() as connection:
            return self._counts.caught_up(connection)

    async def _search(
        self, text: str, vector: Floats, languages: Iterable[str], limit: int, *, foreign: bool
    ) -> list[Match]:
        languages = [one for one in languages if self._counts.of(one).texts or self._tried]
        if not languages:
            return []
        wording, today = wording_of(text), date.today()
        asked = _asked(wording, vector)

        def search(connection: Connection) -> list[Match]:
            found: list[Match] = []
            for language in languages:
                counts = self._counts.of(language)
                read = read_candidates(connection, asked, language, counts, self._encoder_id, today)
                candidates = [*self._instead(read), *self._tried_in(language, today)]
                found += weighed(candidates, wording, asked, counts, limit, foreign=foreign)
            return best_of(found, limit)

        return await self._database.read_async(search)

    def _instead(self, candidates: Iterable[Candidate]) -> Iterable[Candidate]:
        return (c for c in candidates if c.item.entry.id not in self._tried)

    def _tried_in(self, language: str, today: date) -> list[Candidate]:
        return [
            candidate_of(item)
            for item in self._tried.values()
            if item.entry.language == language and item.entry.is_valid_on(today)
        ]


def open_pgvector(
    database: Database, encoder_id: str, dimensions: int, settings: KnowledgeSettings
) -> PgvectorSearch:
    """A search that has its tables, in which nothing is known as yet. Raises `SettingsError` where the
    database cannot do it."""
    prepare(database, encoder_id, dimensions)
    make_quick(database)
    return PgvectorSearch(database, encoder_id, settings, Counts())


def _others(language: str) -> list[str]:
    return [other for other in LANGUAGES if other != language]


def _asked(wording: Wording, vector: Floats) -> Asked:
    units = {number_of(term): units_of(term) for term in wording.terms}
    return Asked(
        np.fromiter(units, np.int32, len(units)),
        np.fromiter(units.values(), np.uint8, len(units)),
        number_of_key(wording.key),
        vector,
    )
