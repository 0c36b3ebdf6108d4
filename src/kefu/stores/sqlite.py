"""The embedded database: one SQLite file, readers in a pool, one writer that commits in batches.

The standard library may carry an old SQLite with a bug that can corrupt a WAL database (fixed in
3.51.3, docs/decisions/0002-embedded-sqlite.md), so a recent one comes with `pysqlite3`; where that has no wheel the
interpreter's own is taken if it is new enough.
"""

from __future__ import annotations

import asyncio
import importlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeVar

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from kefu.errors import KefuError, Overloaded, SettingsError
from kefu.telemetry import Metrics

T = TypeVar("T")
log = structlog.get_logger("kefu.sqlite")

OLDEST_SAFE_SQLITE = (3, 51, 3)
MAX_WRITES_PER_COMMIT = 64
MAX_WAITING_WRITES = 4096
BUSY_TIMEOUT_MS = 10_000


class DatabaseClosed(KefuError):
    """A write came after the database was closed: the desk is stopping."""

    status = 503
    code = "stopping"


class DatabaseFailed(KefuError):
    """The database cannot be read: its disk fails, or its file is gone."""

    status = 503
    code = "database_failed"


class Database:
    """An open database, to be closed by whoever opened it (`with open_database(...)`).

    Thread-safe. Closing finishes the writes that wait.
    """

    def __init__(self, engine: Engine, metrics: Metrics | None = None) -> None:
        self._engine = engine
        self._writer = GroupCommitWriter(engine, metrics or Metrics())
        self._readers: list[Reader] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent snapshot."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def open_reader(self) -> Reader:
        """For a query so frequent that the pool would cost more. Closed with the database."""
        reader = Reader(self._engine)
        self._readers.append(reader)
        return reader

    async def read_async(self, query: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._read, query)

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self.read() as connection:
            return query(connection)

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run `change` in the writer and return once it is on disk. Not for the event loop."""
        return self._writer.submit(change).result()

    async def write_async(self, change: Callable[[Connection], T]) -> T:
        return await self._writer.submit_async(change)

    def close(self) -> None:
        self._writer.close()
        for reader in self._readers:
            reader.close()
        self._engine.dispose()


class Reader:
    """A plain connection of its own: a query takes 2 µs instead of 120. Not for several threads."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection()
        self._connection.detach()  # the pool would hand it on
        self._cursor = self._connection.cursor()

    def rows(self, sql: str, *values: str | int) -> list[Any]:
        """All rows, so that no read transaction stays open. Raises `DatabaseFailed`."""
        try:
            return list(self._cursor.execute(sql, values).fetchall())
        except sqlite_module().Error as error:
            raise DatabaseFailed(f"The database cannot be read: {error}.") from error

    def close(self) -> None:
        self._connection.close()


# What a write returned, or how it failed.
_Outcome = tuple[Any, Exception | None]


@dataclass(frozen=True)
class _Write:
    change: Callable[[Connection], Any]
    future: Future[Any] | asyncio.Future[Any]

    def is_wanted(self) -> bool:
        """Whether somebody still waits for it."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return not self.future.cancelled()


def _tell(
    futures: Sequence[Future[Any] | asyncio.Future[Any]], outcomes: Sequence[_Outcome]
) -> None:
    on_loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Outcome]]] = {}
    for future, outcome in zip(futures, outcomes, strict=True):
        if isinstance(future, Future):
            _settle(future, outcome)
        else:
            on_loops.setdefault(future.get_loop(), []).append((future, outcome))
    for loop, told in on_loops.items():
        with suppress(RuntimeError):  # the loop is closed, and nobody waits there any more
            loop.call_soon_threadsafe(_settle_those_left, told)


def _settle_those_left(told: Sequence[tuple[asyncio.Future[Any], _Outcome]]) -> None:
    for future, outcome in told:
        if not future.done():
            _settle(future, outcome)


def _settle(future: Future[Any] | asyncio.Future[Any], outcome: _Outcome) -> None:
    result, failure = outcome
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)


class GroupCommitWriter:
    """One thread owns the only writing connection and commits whatever waits in one transaction.

    An fsync costs far more than the inserts, so under load one serves many turns. Where one of them
    fails all are undone and run again, each in a savepoint: that one is rolled back alone and its
    caller gets the exception. So a write changes nothing but the database. A future is resolved
    only after the commit, so an acknowledged write is on disk.
    """

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._queue: queue.Queue[_Write | None] = queue.Queue(MAX_WAITING_WRITES)
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="kefu-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Callable[[Connection], T]) -> Future[T]:
        """Queue a write. Raises `Overloaded` when too many wait, `DatabaseClosed` after `close`."""
        future: Future[T] = Future()
        self._enqueue(_Write(change, future))
        return future

    def submit_async(self, change: Callable[[Connection], T]) -> asyncio.Future[T]:
        """As `submit`, for a caller on an event loop: one wake-up tells it of a whole batch."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(_Write(change, future))
        return future

    def _enqueue(self, write: _Write) -> None:
        with self._closing:  # nothing may slip in behind the mark that ends the thread
            if self._closed:
                raise DatabaseClosed("The database is closed: the desk is stopping.")
            try:
                self._queue.put_nowait(write)
            except queue.Full as error:
                raise Overloaded("Too many writes wait for the disk. Try again shortly.") from error
        self._metrics.commit_waiting.set(self._queue.qsize())

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        with self._engine.connect().execution_options(kefu_write=True) as connection:
            while (batch := self._next_batch()) is not None:
                self._commit(connection, batch)

    def _next_batch(self) -> list[_Write] | None:
        """Wait for one write, then take all that wait already; None when closed and empty."""
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MAX_WRITES_PER_COMMIT:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._queue.put(None)  # the next round ends the thread
                break
            batch.append(item)
        self._metrics.commit_waiting.set(self._queue.qsize())
        return batch

    def _commit(self, connection: Connection, batch: list[_Write]) -> None:
        """Run a batch in one transaction and tell every caller how its own write ended."""
        # A caller that gave up before its turn came must not find its write done.
        wanted = [write for write in batch if write.is_wanted()]
        outcomes = self._together(connection, [write.change for write in wanted])
        self._metrics.commit_batch.observe(len(wanted))
        _tell([write.future for write in wanted], outcomes)

    def _together(
        self, connection: Connection, changes: Sequence[Callable[[Connection], Any]]
    ) -> list[_Outcome]:
        try:
            with connection.begin():
                return [(change(connection), None) for change in changes]
        except Exception:  # noqa: BLE001 - which one failed, and why, the second run says
            return self._apart(connection, changes)

    def _apart(
        self, connection: Connection, changes: Sequence[Callable[[Connection], Any]]
    ) -> list[_Outcome]:
        """Each in a savepoint, which costs twice as much as a turn's own insert."""
        try:
            with connection.begin():
                return [self._attempt(connection, change) for change in changes]
        except Exception as error:  # noqa: BLE001 - a failed commit fails each of its callers
            log.error("commit_failed", writes=len(changes), error=str(error))
            return [(None, error)] * len(changes)

    @staticmethod
    def _attempt(connection: Connection, change: Callable[[Connection], Any]) -> _Outcome:
        try:
            with connection.begin_nested():
                return change(connection), None
        except Exception as error:  # noqa: BLE001 - handed to the caller through its future
            return None, error


def open_database(path: Path, metrics: Metrics | None = None) -> Database:
    """Open the database at `path`, creating it and bringing its tables up to date.

    Raises `SettingsError` when the file cannot be opened or belongs to a newer kefu.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"Cannot create the data folder {path.parent}: {error}") from error
    engine = _engine(path)
    try:
        _migrate(engine, path)
    except DatabaseError as error:
        engine.dispose()
        raise SettingsError(f"Cannot open the database {path}: {error.orig}") from error
    except BaseException:  # Ctrl-C too: the file must not stay open
        engine.dispose()
        raise
    return Database(engine, metrics)


def sqlite_module() -> ModuleType:
    """The newest SQLite at hand. Raises `SettingsError` when even that one may lose data."""
    try:
        module: ModuleType = importlib.import_module("pysqlite3.dbapi2")
    except ImportError:
        module = sqlite3
    if module.sqlite_version_info < OLDEST_SAFE_SQLITE:
        raise SettingsError(
            f"SQLite {module.sqlite_version} has a bug that can corrupt the database; kefu needs "
            f"{'.'.join(map(str, OLDEST_SAFE_SQLITE))} or newer. Install pysqlite3 for this Python."
        )
    return module


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        module=sqlite_module(),
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=4,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # kefu says BEGIN itself (below): the driver's implicit one comes too late for snapshots.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # A writer that begins deferred and reads first can lose to another process's commit.
        write = connection.get_execution_options().get("kefu_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _migrate(engine: Engine, path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", "kefu.stores:migrations")
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        if _revision(connection) == ScriptDirectory.from_config(config).get_current_head():
            return
    with engine.connect().execution_options(kefu_write=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SettingsError(
                f"The database {path} was written by a newer kefu. Update kefu, or give another "
                "--data-dir."
            ) from error


def _revision(connection: Connection) -> str | None:
    """Alembic's stamp, read directly: asking alembic costs more than the rest of the start."""
    tables = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE name = 'alembic_version'"
    ).all()
    if not tables:
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
