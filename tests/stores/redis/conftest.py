from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from kefu.stores.redis.connection import Client, open_redis
from kefu.stores.redis.turns import SharedTurns
from kefu.turn.queues import UidQueues
from tests.redis_server import RedisServer, started_redis


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Client]:
    async with open_redis(redis_server.url) as client:
        yield client


@pytest.fixture
def mortal_redis() -> Iterator[RedisServer]:
    """One that may be killed."""
    with started_redis() as server:
        yield server


def desk_at(url: str) -> AbstractAsyncContextManager[SharedTurns]:
    """The turns of one more desk, with a connection of its own."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[SharedTurns]:
        async with open_redis(url) as client, SharedTurns(client, UidQueues(60)) as turns:
            yield turns

    return opened()
