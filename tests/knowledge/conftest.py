"""Knowledge is the same wherever it is searched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.service import Knowledge
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder
from tests.knowledge.searched import Searched


@pytest.fixture(params=["memory", "pgvector"])
def searched_in(request: pytest.FixtureRequest) -> str:
    place: str = request.param
    return place


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """In PostgreSQL where it is searched there."""
    if (
        "searched_in" not in request.fixturenames
        or request.getfixturevalue("searched_in") == "memory"
    ):
        yield ""
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture
def searched(database: Database, searched_in: str) -> Searched:
    return Searched(database, searched_in == "pgvector")


@pytest.fixture
async def encoder() -> AsyncIterator[BatchedEncoder]:
    async with BatchedEncoder(HashingEncoder(), 32, 64, Metrics()) as encoder:
        yield encoder


@pytest.fixture
def store(database: Database) -> SqlKnowledge:
    return SqlKnowledge(database)


@pytest.fixture
async def knowledge(store: SqlKnowledge, encoder: BatchedEncoder, searched: Searched) -> Knowledge:
    return await searched.open(store, encoder)
