"""An open database: readers in a pool, one writer that commits in batches. What is asked of it is SQL
that both kinds understand (`sqlite.py`, `postgres.py`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol, Self, TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Executable, inspect
from sqlalchemy.exc import DBAPIError

from kefu.errors import KefuError, SettingsError
from kefu.stores.group_commit import DatabaseClosed, GroupCommitWriter
from kefu.telemetry import Metrics

__all__ = ["Database", "DatabaseClosed", "DatabaseFailed", "Direct", "Reader", "Versions"]

T = TypeVar("T")

_ASK_AGAIN_SECONDS = 0.1
_LAST_READS_SECONDS = 5.0


class DatabaseFailed(KefuError):
    """The database cannot be read: its disk fails, its file is gone, or its server is away."""

    status = 503
    code = "database_failed"


class Reader(Protocol):
    """A connection of its own for what is asked so often, of a database so near, that it may be asked
    on the event loop. Not for several threads."""

    def rows(self, sql: str, *values: str | int) -> list[Any]:
        """All rows, so that no read transaction stays open. Raises `DatabaseFailed`."""
        ...

    def close(self) -> None: ...


class Direct(Protocol):
    """A way to a server without a thread, for what every message asks and keeps. For one event loop."""

    async def rows(
        self, query: Executable, values: Mapping[str, Any]
    ) -> Sequence[Mapping[str, Any]]:
        """What one statement finds, a transaction of its own, with these values of its `bindparam`s.
        Raises `DatabaseFailed`."""
        ...

    def close(self) -> None: ...


class Versions(Protocol):
    """The counters of the table `versions` as they are now, without a wait."""

    def now(self, name: str) -> int:
        """0 for one that nobody raised. Raises `DatabaseFailed` where it is not known for sure."""
        ...

    def call_on_change(self, told: Callable[[], None]) -> None:
        """`told` is called, in any thread, as soon as one may have changed; never where the database
        does not say so itself."""
        ...

    def close(self) -> None: ...


class Database:
    """To be closed by whoever opened it (`with open_database(...)`). Thread-safe. Closing finishes the
    writes that wait.

    `open_reader` is None where the database is not near enough for one, `direct` where it is, or the
    event loop is none that its driver knows. What is asked with `await` waits `patience_seconds` for a
    database that is away.
    """

    def __init__(
        self,
        engine: Engine,
        versions: Versions,
        metrics: Metrics | None = None,
        *,
        reading: Engine | None = None,
        direct: Direct | None = None,
        open_reader: Callable[[], Reader] | None = None,
        patience_seconds: float = 0.0,
    ) -> None:
        self._engine = engine
        self._reading = engine if reading is None else reading
        self.direct = direct
        self.metrics = metrics or Metrics()
        self._writer = GroupCommitWriter(engine, self.metrics)
        self._open_reader = open_reader
        self._patience_seconds = patience_seconds
        self._looking: asyncio.Task[None] | None = None
        self._reads = 0
        self._is_closed = False
        self._ended = threading.Condition()
        self._readers: list[Reader] = []
        self._versions = versions

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def versions(self) -> Versions:
        return self._versions

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent snapshot."""
        with self._counted(), self._reading.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """A read whose caller was cancelled goes on in its thread, and may outlive what asked for it."""
        with self._ended:
            if self._is_closed:  # it would open a connection that nobody closes
                raise DatabaseClosed("The database is closed: the desk is stopping.")
            self._reads += 1
        try:
            yield
        finally:
            with self._ended:
                self._reads -= 1
                self._ended.notify_all()

    def ping(self) -> None:
        """Raises `DatabaseFailed` where it does not answer now."""
        with self.read() as connection:
            connection.exec_driver_sql("SELECT 1").all()

    def open_reader(self) -> Reader | None:
        """Closed with the database."""
        if self._open_reader is None:
            return None
        reader = self._open_reader()
        self._readers.append(reader)
        return reader

    async def ask_async(self, query: Executable, **values: Any) -> Sequence[Mapping[str, Any]]:
        """What one statement finds with these values of its `bindparam`s, the shortest way."""
        direct = self.direct
        if direct is None:
            return await self.read_async(lambda c: _found(c, query, values))
        return await self.patiently(lambda: direct.rows(query, values))

    async def read_async(self, query: Callable[[Connection], T]) -> T:
        return await self.patiently(lambda: asyncio.to_thread(self._read, query))

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self.read() as connection:
            return query(connection)

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run `change` in the writer and return once it is on disk. Not for the event loop."""
        return self._writer.submit(change).result()

    def write_apart(self, change: Callable[[Connection], T]) -> T:
        """Run `change` in a transaction of its own, for what takes long: who writes besides need not
        wait for it. For databases that have room for several writers."""
        with self._counted(), self._engine.connect() as connection, connection.begin():
            return change(connection)

    async def write_async(self, change: Callable[[Connection], T]) -> T:
        return await self.patiently(lambda: self._writer.submit_async(change))

    async def patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """A server that is started again is there in seconds: nobody need write their message anew."""
        until = time.monotonic() + self._patience_seconds
        while True:
            try:
                return await attempt()
            except DatabaseFailed:
                if time.monotonic() >= until:
                    raise
            await self._back_within(until - time.monotonic())

    async def _back_within(self, seconds: float) -> None:
        """One looks whether it is back, and all wait for that: a server that recovers is not to be
        kept busy by those who ask whether it has."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="kefu-database-back")
        await asyncio.wait([self._looking], timeout=seconds)

    async def _look(self) -> None:
        until = time.monotonic() + self._patience_seconds
        while time.monotonic() < until:
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            with suppress(DatabaseFailed):
                await asyncio.to_thread(self.ping)
                return

    def close(self) -> None:
        self._writer.close()
        self._versions.close()
        for reader in self._readers:
            reader.close()
        with self._ended:
            self._is_closed = True
            self._ended.wait_for(lambda: self._reads == 0, _LAST_READS_SECONDS)
        self._engine.dispose()
        if self.direct is not None:
            self.direct.close()


def _found(
    connection: Connection, query: Executable, values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query, values).mappings()]


def is_up_to_date(connection: Connection) -> bool:
    """Whether the tables are those of this kefu."""
    return revision_of(connection) == ScriptDirectory.from_config(_config()).get_current_head()


def bring_up_to_date(connection: Connection, name: str) -> None:
    """Run the migrations that are missing. Raises `SettingsError` where a newer kefu was here."""
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SettingsError(
            f"The database {name} was written by a newer kefu. Update kefu, or give it another "
            "database."
        ) from error


def reason_of(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "kefu.stores:migrations")
    config.set_main_option("path_separator", "os")
    return config


def revision_of(connection: Connection) -> str | None:
    """Alembic's stamp, read directly: asking alembic costs more than the rest of the start."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
