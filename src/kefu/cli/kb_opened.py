"""Opens the knowledge of a data folder for a command, as a desk would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.encoder.opening import open_encoder
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.settings import Settings
from kefu.stores.database import Database
from kefu.stores.golden import SqlGolden
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database, open_search
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics, configure_logging


@dataclass(frozen=True)
class Opened:
    """What a desk knows and has been asked, without the desk."""

    database: Database
    encoder: BatchedEncoder
    knowledge: Knowledge

    @property
    def golden(self) -> SqlGolden:
        return SqlGolden(self.database)

    @property
    def transcript(self) -> SqlTranscript:
        return SqlTranscript(self.database)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Opened]:
    """Closed when the block ends."""
    # A command's output is its result; what went on inside is said where something is odd.
    configure_logging(settings.log.model_copy(update={"level": "warning"}))
    chosen = settings.encoder
    model = open_encoder(settings)
    # One core, as in a desk: such small products wait for each other where others use the cores.
    with threadpool_limits(1, user_api="blas"), open_database(settings.database_at) as database:
        async with BatchedEncoder(
            model, chosen.max_batch, chosen.max_waiting, Metrics()
        ) as encoder:
            store, search = SqlKnowledge(database), open_search(settings, database, encoder)
            knowledge = await open_knowledge(store, encoder, settings.knowledge, search)
            yield Opened(database, encoder, knowledge)
