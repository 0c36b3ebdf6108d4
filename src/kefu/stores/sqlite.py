"""The embedded database: one SQLite file.

The standard library may carry an old SQLite with a bug that can corrupt a WAL database (fixed in
3.51.3, docs/decisions/0002-embedded-sqlite.md), so a recent one comes with `pysqlite3`; where that has no wheel the
interpreter's own is taken if it is new enough.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from kefu.errors import SettingsError
from kefu.stores.database import (
    Database,
    DatabaseFailed,
    bring_up_to_date,
    is_up_to_date,
    reason_of,
)
from kefu.telemetry import Metrics

OLDEST_SAFE_SQLITE = (3, 51, 3)
BUSY_TIMEOUT_MS = 10_000

_VERSION = "SELECT version FROM versions WHERE name = ?"


def open_sqlite(path: Path, metrics: Metrics | None = None) -> Database:
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
        raise SettingsError(f"Cannot open the database {path}: {reason_of(error)}") from error
    except BaseException:  # Ctrl-C too: the file must not stay open
        engine.dispose()
        raise
    return Database(engine, FileVersions(engine), metrics, open_reader=lambda: FileReader(engine))


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


class FileReader:
    """A plain connection of its own: a query takes 2 µs instead of 120. See `database.Reader`."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection()
        self._connection.detach()  # the pool would hand it on
        self._cursor = self._connection.cursor()

    def rows(self, sql: str, *values: str | int) -> list[Any]:
        try:
            return list(self._cursor.execute(sql, values).fetchall())
        except sqlite_module().Error as error:
            raise DatabaseFailed(f"The database cannot be read: {error}.") from error

    def close(self) -> None:
        self._connection.close()


class FileVersions:
    """The file is asked each time. For one thread, by which it is opened when it is first asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader: FileReader | None = None

    def now(self, name: str) -> int:
        if self._reader is None:
            self._reader = FileReader(self._engine)
        rows = self._reader.rows(_VERSION, name)
        return int(rows[0][0]) if rows else 0

    def call_on_change(self, told: Callable[[], None]) -> None:
        """A file does not say so."""

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


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
    with engine.connect() as connection:
        if is_up_to_date(connection):
            return
    with engine.connect().execution_options(kefu_write=True) as connection, connection.begin():
        bring_up_to_date(connection, str(path))
