"""Knowledge that is searched in memory or in PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.settings import KnowledgeSettings
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.pgvector.search import open_pgvector

SETTINGS = KnowledgeSettings()


@dataclass(frozen=True)
class Searched:
    database: Database
    in_postgres: bool

    async def open(self, store: SqlKnowledge, encoder: BatchedEncoder) -> Knowledge:
        """As one desk more."""
        if not self.in_postgres:
            return await open_knowledge(store, encoder, SETTINGS)
        search = await asyncio.to_thread(
            open_pgvector, self.database, encoder.id, encoder.dimensions, SETTINGS
        )
        return await open_knowledge(store, encoder, SETTINGS, search)
