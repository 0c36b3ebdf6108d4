"""The connection to Redis, and how a customer's keys are called."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import quote, urlsplit

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kefu.errors import KefuError, SettingsError

Client = redis.asyncio.Redis
T = TypeVar("T")

PATIENCE_SECONDS = 10.0
_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 2.0
# A connection that was silent for longer is asked whether it is still there.
_LOOK_SECONDS = 5
_ASK_AGAIN_SECONDS = 0.05
_AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, OSError)


class SharedStateAway(KefuError):
    """Redis cannot be asked, so that nobody knows which desk has a customer's turn."""

    status = 503
    code = "shared_state_away"
    retry_after_seconds = 2


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[Client]:
    """The Redis at `redis://[:password@]host[:port]/number`. Raises `SettingsError`."""
    try:
        # Who asks knows better whether and how long to ask again.
        client: Client = redis.asyncio.from_url(
            url,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            health_check_interval=_LOOK_SECONDS,
        )
    except ValueError as error:
        raise SettingsError(
            "redis is not an address. Give it as redis://:password@host:6379/0."
        ) from error
    try:
        await client.ping()
    except RedisError as error:
        await client.aclose()
        host = urlsplit(url).netloc.rpartition("@")[2]  # without the password
        raise SettingsError(f"Cannot ask Redis at {host}: {error}") from error
    try:
        yield client
    finally:
        await client.aclose()


async def version_at(url: str) -> str:
    """What answers there. Raises `SettingsError`."""
    async with open_redis(url) as client:
        return str((await client.info("server"))["redis_version"])


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """A Redis that is started again is there in seconds. `attempt` may be made twice though the first
    one did its work. Raises `SharedStateAway`."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await attempt()
        except _AWAY as error:
            if time.monotonic() >= until:
                raise SharedStateAway(f"Redis is away: {error}") from error
        except RedisError as error:
            raise SharedStateAway(f"Redis refuses: {error}") from error
        await asyncio.sleep(_ASK_AGAIN_SECONDS)


def key_of(uid: str, what: str) -> str:
    """All keys of a customer carry the same hash tag: in a cluster they lie together."""
    return f"kefu:{{{quote(uid, safe='')}}}:{what}"
