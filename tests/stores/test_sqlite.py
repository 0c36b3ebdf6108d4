"""The embedded database: batches, failures, durability, versions."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import select, text

from kefu.errors import SettingsError
from kefu.stores import sqlite
from kefu.stores.schema import metadata, versions
from kefu.stores.sqlite import Database, DatabaseClosed, open_database
from kefu.telemetry import Metrics


def add(database: Database, name: str):
    return lambda c: c.execute(versions.insert().values(name=name, version=1)) and None


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(versions.c.name)).scalars())


def test_migrations_make_exactly_the_tables_of_the_schema(database: Database):
    with database.read() as connection:
        rows = connection.execute(text("SELECT name FROM sqlite_master WHERE type='table'"))
        made = {name for (name,) in rows if not name.startswith("sqlite_")}
        columns = {
            table: {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")}
            for table in metadata.tables
        }
    assert made == {*metadata.tables, "alembic_version"}
    assert columns == {t.name: {c.name for c in t.columns} for t in metadata.tables.values()}


def test_settings_of_durability_hold_on_every_connection(database: Database):
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_one_failing_write_fails_alone(settings):
    metrics = Metrics()
    with open_database(settings.database_path, metrics) as database:
        running, hold = threading.Event(), threading.Event()
        first = database._writer.submit(lambda c: running.set() or hold.wait(10))
        assert running.wait(10)
        good = [database._writer.submit(add(database, f"n{i}")) for i in range(5)]
        bad = database._writer.submit(add(database, "n0"))
        later = database._writer.submit(add(database, "later"))
        hold.set()
        first.result(10)
        assert [f.result(10) for f in good] == [None] * 5
        assert "UNIQUE" in str(bad.exception(10))
        later.result(10)
        assert names(database) == {"n0", "n1", "n2", "n3", "n4", "later"}
        # The seven that waited went to disk together.
        assert metrics.registry.get_sample_value("kefu_commit_batch_size_sum") == 8
        assert metrics.registry.get_sample_value("kefu_commit_batch_size_count") == 2


async def test_a_cancelled_write_that_waits_is_not_done(database: Database):
    running, hold = threading.Event(), threading.Event()
    first = asyncio.create_task(database.write_async(lambda c: running.set() or hold.wait(10)))
    assert await asyncio.to_thread(running.wait, 10)
    waiting = asyncio.create_task(database.write_async(add(database, "gone")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    hold.set()
    await first
    await database.write_async(add(database, "kept"))
    assert names(database) == {"kept"}


def test_close_finishes_what_waits_and_refuses_what_comes_later(settings):
    database = open_database(settings.database_path)
    futures = [database._writer.submit(add(database, f"n{i}")) for i in range(100)]
    database.close()
    assert all(f.result(0) is None for f in futures)
    with pytest.raises(DatabaseClosed):
        database.write(add(database, "late"))
    with open_database(settings.database_path) as again:
        assert len(names(again)) == 100


def test_a_commit_that_fails_fails_every_caller_and_the_writer_lives_on(
    settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 50)
    with open_database(settings.database_path) as database:
        other = sqlite.sqlite_module().connect(str(settings.database_path))
        other.execute("BEGIN IMMEDIATE")
        futures = [database._writer.submit(add(database, f"n{i}")) for i in range(3)]
        assert all("locked" in str(f.exception(10)) for f in futures)
        other.rollback()
        other.close()
        database.write(add(database, "after"))
        assert names(database) == {"after"}


@pytest.mark.parametrize("content", [b"this is not a database, but a text of some length" * 20])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "kefu.db"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"kefu\.db"):
        open_database(path)
    assert path.read_bytes() == content


def test_a_database_of_a_newer_kefu_is_refused(settings):
    with open_database(settings.database_path) as database:
        database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num='9999'")))
    with pytest.raises(SettingsError, match="newer kefu"):
        open_database(settings.database_path)


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite, "OLDEST_SAFE_SQLITE", (99, 0, 0))
    with pytest.raises(SettingsError, match="can corrupt"):
        sqlite.sqlite_module()
    assert sqlite3.sqlite_version_info  # the interpreter's own stays importable
