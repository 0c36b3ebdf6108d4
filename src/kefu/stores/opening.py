"""Opens a database of either kind, and what several desks share besides."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from kefu.errors import SettingsError
from kefu.knowledge.index import Index
from kefu.knowledge.searching import MemorySearch, Search
from kefu.knowledge.service import Encoder
from kefu.settings import Settings
from kefu.stores.database import Database
from kefu.stores.sqlite import open_sqlite
from kefu.telemetry import Metrics
from kefu.turn.queues import TurnQueues

if TYPE_CHECKING:
    from kefu.stores.redis.sharing import Shared


def open_database(where: Path | str, metrics: Metrics | None = None) -> Database:
    """The SQLite file at a path, or the PostgreSQL database of a URL, its tables brought up to date.

    Raises `SettingsError` where it cannot be opened or belongs to a newer kefu.
    """
    if isinstance(where, Path):
        return open_sqlite(where, metrics)
    opened: Database = _postgres().open_postgres(where, metrics)
    return opened


@contextmanager
def only_desk_at(where: Path | str) -> Iterator[None]:
    """Raises `SettingsError` where another desk serves from this PostgreSQL database. Of a file it is
    the data folder that has one desk."""
    if isinstance(where, Path):
        yield
        return
    claim = _driven("kefu.stores.claim", "database")
    with claim.require_only_desk(where):
        yield


def open_search(settings: Settings, database: Database, encoder: Encoder) -> Search:
    """Where the knowledge will be searched; nothing is known there as yet. Raises `SettingsError`."""
    if settings.knowledge.search == "memory":
        return MemorySearch(Index(), settings.knowledge)
    module = _driven("kefu.stores.pgvector.search", "knowledge.search")
    search: Search = module.open_pgvector(
        database, encoder.id, encoder.dimensions, settings.knowledge
    )
    return search


async def open_shared(settings: Settings, own: TurnQueues, stack: AsyncExitStack) -> Shared | None:
    """What several desks share in Redis; None for one desk. Raises `SettingsError`."""
    if not settings.redis:
        return None
    sharing = _driven("kefu.stores.redis.sharing", "redis")
    shared: Shared = await sharing.open_shared(settings, own, stack)
    return shared


def redis_version(url: str) -> str:
    """Of the Redis that answers there. Raises `SettingsError`."""
    version: str = asyncio.run(_driven("kefu.stores.redis.connection", "redis").version_at(url))
    return version


def _postgres() -> ModuleType:
    return _driven("kefu.stores.postgres", "database")


def _driven(module: str, setting: str) -> ModuleType:
    """Its driver comes with an extra."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SettingsError(
            f"{setting} is set, but its driver is not installed: pip install 'kefu[cluster]'"
        ) from error
