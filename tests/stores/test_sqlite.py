"""The embedded database: its file, its library, its durability."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from kefu.errors import SettingsError
from kefu.stores import sqlite
from kefu.stores.audit import append
from kefu.stores.database import Database, DatabaseFailed
from kefu.stores.opening import open_database
from kefu.stores.statements import raise_version
from tests.stores.test_database import add, names


@pytest.fixture
def database_url() -> str:
    return ""


def test_settings_of_durability_hold_on_every_connection(database: Database):
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_commit_that_fails_fails_every_caller_and_the_writer_lives_on(
    settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 50)
    with open_database(settings.database_at) as database:
        other = sqlite.sqlite_module().connect(str(settings.database_at))
        other.execute("BEGIN IMMEDIATE")
        futures = [database._writer.submit(add(database, f"n{i}")) for i in range(3)]
        assert all("locked" in str(f.exception(10)) for f in futures)
        other.rollback()
        other.close()
        database.write(add(database, "after"))
        assert names(database) == {"after"}


def test_asking_for_a_version_holds_no_snapshot(database: Database):
    """A read that stays open would keep the write-ahead log from being emptied."""
    database.versions.now("knowledge")
    database.write(lambda c: raise_version(c, "knowledge"))
    assert database.versions.now("knowledge") == 1
    with database.read() as connection:
        row = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    assert row[0] == 0  # not blocked
    assert row[1] == 0  # nothing is left in the log


def test_a_database_that_cannot_be_read_is_said(database: Database):
    reader = database.open_reader()
    assert reader is not None
    with pytest.raises(DatabaseFailed, match="no such table"):
        reader.rows("SELECT * FROM nowhere")


@pytest.mark.parametrize("content", [b"this is not a database, but a text of some length" * 20])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "kefu.db"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"kefu\.db"):
        open_database(path)
    assert path.read_bytes() == content


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite, "OLDEST_SAFE_SQLITE", (99, 0, 0))
    with pytest.raises(SettingsError, match="can corrupt"):
        sqlite.sqlite_module()
    assert sqlite3.sqlite_version_info  # the interpreter's own stays importable


def test_no_record_of_the_audit_is_replaced(database: Database):
    """SQLite's REPLACE deletes without firing the trigger for it."""
    database.write(lambda c: append(c, "kefu", "held", "turn:1"))
    replace = (
        "INSERT OR REPLACE INTO audit SELECT seq, 0, 'nobody', action, subject, details FROM audit"
    )
    with pytest.raises(IntegrityError, match="append-only"):
        database.write(lambda c: c.execute(text(replace)) and None)
