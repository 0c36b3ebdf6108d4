"""The grown database: PostgreSQL, which several desks share."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from kefu.errors import SettingsError
from kefu.stores.database import (
    Database,
    DatabaseFailed,
    bring_up_to_date,
    is_up_to_date,
    reason_of,
)
from kefu.stores.direct import DirectPostgres
from kefu.telemetry import Metrics

log = structlog.get_logger("kefu.postgres")

CONNECT_SECONDS = 5
# PostgreSQL that was killed is back after its recovery, mostly within 3 s.
_PATIENCE_SECONDS = 10.0
# A server that vanished is given up after about 20 s; Linux would wait for two hours.
_CONNECTION: dict[str, str | int] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "kefu",
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_POOL_SIZE = 8
# Any number that nothing else locks: "kefu" in ASCII. The next is in `claim.py`.
_MIGRATING = 0x6B656675
# The channel of the trigger on `versions` (migration 0005).
_CHANNEL = "kefu_versions"
_ASK_EVERY_SECONDS = 0.25
_SURE_SECONDS = 1.0


def open_postgres(url: str, metrics: Metrics | None = None) -> Database:
    """Open the database at `url` (`postgresql://user:password@host/name`), its tables brought up to
    date, by one desk where several start.

    Raises `SettingsError` when it cannot be opened or belongs to a newer kefu.
    """
    place, name = parsed(url), shown(url)
    engine = _engine(place)
    try:
        _migrate(engine, name)
    except (DBAPIError, DatabaseFailed) as error:
        engine.dispose()
        why = reason_of(error) if isinstance(error, DBAPIError) else error
        raise SettingsError(f"Cannot open the database {name}: {why}") from error
    except BaseException:  # Ctrl-C too: no connection may stay open
        engine.dispose()
        raise
    reading = engine.execution_options(isolation_level="REPEATABLE READ")
    return Database(
        engine,
        PushedVersions(place),
        metrics,
        reading=reading,
        # psycopg does not know the event loop of Windows.
        direct=None if sys.platform == "win32" else DirectPostgres(_told(place), engine.dialect),
        patience_seconds=_PATIENCE_SECONDS,
    )


class PushedVersions:
    """A thread hears of every change from the database, and asks now and then whether it is still
    there. For one thread, by which it is started when a version is first asked for."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._known: dict[str, int] = {}
        self._sure_at = float("-inf")
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: list[Callable[[], None]] = []

    def call_on_change(self, told: Callable[[], None]) -> None:
        self._told.append(told)

    def now(self, name: str) -> int:
        if self._thread is None:
            self._thread = self._started()
        silent = time.monotonic() - self._sure_at
        if silent > _SURE_SECONDS:
            raise DatabaseFailed(f"The database has not been heard of for {silent:.1f} s.")
        return self._known.get(name, 0)

    def close(self) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _started(self) -> threading.Thread:
        try:
            connection = self._connected()
        except psycopg.Error as error:
            raise DatabaseFailed(f"The database is away: {said(error)}") from error
        thread = threading.Thread(
            target=self._run, args=[connection], name="kefu-versions", daemon=True
        )
        thread.start()
        return thread

    def _run(self, connection: psycopg.Connection | None) -> None:
        while connection is not None:
            try:
                with connection:
                    self._listen(connection)
            except psycopg.Error as error:
                self._sure_at = float("-inf")
                log.warning("database_away", reason=said(error))
            connection = self._connected_again()

    def _connected_again(self) -> psycopg.Connection | None:
        """None once this is closed."""
        while not self._closing.wait(_ASK_EVERY_SECONDS):
            with suppress(psycopg.Error):
                return self._connected()
        return None

    def _listen(self, connection: psycopg.Connection) -> None:
        while not self._closing.is_set():
            for heard in connection.notifies(timeout=_ASK_EVERY_SECONDS, stop_after=1):
                name, _, version = heard.payload.rpartition(" ")
                self._known[name] = max(int(version), self._known.get(name, 0))
                self._tell()
            self._ask(connection)

    def _connected(self) -> psycopg.Connection:
        connection = connected(self._url)
        try:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(_CHANNEL)))
            self._ask(connection)
        except BaseException:  # Ctrl-C too: no connection may stay open
            connection.close()
            raise
        return connection

    def _ask(self, connection: psycopg.Connection) -> None:
        asked_at = time.monotonic()
        before, self._known = (
            self._known,
            dict(connection.execute("SELECT name, version FROM versions").fetchall()),
        )
        self._sure_at = asked_at
        if before != self._known:  # told while nobody listened
            self._tell()

    def _tell(self) -> None:
        for told in self._told:
            told()


def connected(url: URL) -> psycopg.Connection:
    return psycopg.connect(_told(url), autocommit=True)


def _told(url: URL) -> str:
    """As psycopg is told it."""
    parts = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return make_conninfo(parts, **_CONNECTION)


def said(error: psycopg.Error) -> str:
    return " ".join(str(error).split())


def shown(url: str) -> str:
    """Without its password."""
    return parsed(url).set(drivername="postgresql").render_as_string(hide_password=True)


def parsed(url: str) -> URL:
    try:
        place = make_url(url)
    except ArgumentError as error:
        raise SettingsError(
            "The database is none that kefu knows. Give it as postgresql://user:password@host/name."
        ) from error
    if place.get_backend_name() != "postgresql":
        raise SettingsError(
            f"kefu keeps its data in SQLite or PostgreSQL, not in {place.get_backend_name()}. "
            "Give the database as postgresql://user:password@host/name."
        )
    return place.set(drivername="postgresql+psycopg")


def _engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_SIZE,
        pool_pre_ping=True,
        connect_args=_CONNECTION,
    )

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if context.is_pre_ping:  # the pool finds out, and connects anew
            return
        if isinstance(error, (OperationalError, InterfaceError)):
            raise DatabaseFailed(f"The database is away: {reason_of(error)}") from error

    return engine


def _migrate(engine: Engine, name: str) -> None:
    with engine.connect() as connection, connection.begin():
        if is_up_to_date(connection):
            return
    with engine.connect() as connection, connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        bring_up_to_date(connection, name)
