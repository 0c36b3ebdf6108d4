from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.intent.service import Intents, open_intents
from kefu.knowledge.entry import Entry
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.settings import IntentSettings, Settings
from kefu.stores.database import Database
from kefu.stores.golden import SqlGolden
from kefu.stores.intents import SqlActions
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder

FEE = Entry("fee", "运费是多少", "运费8元。", ("要付邮费吗",), ("delivery",), "zh")
RETURN = Entry("return", "怎么申请退货", "在订单页点“申请退货”。", (), ("returns",), "zh")


@pytest.fixture
async def encoder() -> AsyncIterator[BatchedEncoder]:
    async with BatchedEncoder(HashingEncoder(), 8, 64, Metrics()) as encoder:
        yield encoder


@pytest.fixture
async def knowledge(database: Database, encoder: BatchedEncoder, settings: Settings) -> Knowledge:
    knowledge = await open_knowledge(SqlKnowledge(database), encoder, settings.knowledge)
    await knowledge.import_entries([FEE, RETURN])
    return knowledge


@pytest.fixture
def transcript(database: Database) -> SqlTranscript:
    return SqlTranscript(database)


@pytest.fixture
def golden(database: Database) -> SqlGolden:
    return SqlGolden(database)


@pytest.fixture
async def untrained(database: Database, tmp_path: Path) -> AsyncIterator[Intents]:
    """A shop that has taught no intents."""
    settings = IntentSettings()
    intents = await open_intents(
        tmp_path / "intents", SqlActions(database), "hashing-128", settings, Metrics()
    )
    yield intents
    intents.close()
