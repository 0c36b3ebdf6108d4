"""What every database does: batches, failures, order, versions."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import IntegrityError

from kefu.errors import SettingsError
from kefu.stores.database import Database, DatabaseClosed
from kefu.stores.opening import open_database
from kefu.stores.schema import metadata, versions
from kefu.stores.statements import raise_version
from kefu.telemetry import Metrics


def add(database: Database, name: str):
    return lambda c: c.execute(versions.insert().values(name=name, version=1)) and None


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(versions.c.name)).scalars())


def test_migrations_make_exactly_the_tables_of_the_schema(database: Database):
    with database.read() as connection:
        there = inspect(connection)
        assert set(there.get_table_names()) == {*metadata.tables, "alembic_version"}
        for table in metadata.tables.values():
            found = {column["name"] for column in there.get_columns(table.name)}
            assert found == {column.name for column in table.columns}


def test_one_failing_write_fails_alone(settings):
    metrics = Metrics()
    with open_database(settings.database_at, metrics) as database:
        running, hold = threading.Event(), threading.Event()
        first = database._writer.submit(lambda c: running.set() or hold.wait(10))
        assert running.wait(10)
        good = [database._writer.submit(add(database, f"n{i}")) for i in range(5)]
        bad = database._writer.submit(add(database, "n0"))
        later = database._writer.submit(add(database, "later"))
        hold.set()
        first.result(10)
        assert [f.result(10) for f in good] == [None] * 5
        assert isinstance(bad.exception(10), IntegrityError)
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
    database = open_database(settings.database_at)
    futures = [database._writer.submit(add(database, f"n{i}")) for i in range(100)]
    database.close()
    assert all(f.result(0) is None for f in futures)
    with pytest.raises(DatabaseClosed):
        database.write(add(database, "late"))
    with open_database(settings.database_at) as again:
        assert len(names(again)) == 100


def test_a_database_of_a_newer_kefu_is_refused(settings):
    with open_database(settings.database_at) as database:
        database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num='9999'")))
    with pytest.raises(SettingsError, match="newer kefu"):
        open_database(settings.database_at)


def test_a_snapshot_does_not_see_what_is_written_after_it(database: Database):
    with database.read() as connection:
        before = connection.execute(select(versions.c.name)).all()
        database.write(add(database, "new"))
        assert connection.execute(select(versions.c.name)).all() == before == []
    assert names(database) == {"new"}


def test_every_process_hears_of_a_new_version(settings, database: Database):
    assert database.versions.now("knowledge") == 0
    with open_database(settings.database_at) as another:
        assert another.write(lambda c: raise_version(c, "knowledge")) == 1
        for one in (database, another):
            deadline = time.monotonic() + 1
            while one.versions.now("knowledge") != 1:
                assert time.monotonic() < deadline
                time.sleep(0.001)


async def test_many_turns_of_several_processes_count_one_after_another(settings):
    """A version is raised in the transaction that changes something, and no two changes get the same."""
    with open_database(settings.database_at) as one, open_database(settings.database_at) as other:
        raised = await asyncio.gather(
            *(db.write_async(lambda c: raise_version(c, "n")) for db in [one, other] * 50)
        )
    assert sorted(raised) == list(range(1, 101))


def test_nothing_is_read_from_a_database_that_was_closed(settings):
    database = open_database(settings.database_at)
    database.close()
    with pytest.raises(DatabaseClosed):
        database.ping()


async def test_a_read_that_nobody_waits_for_ends_before_the_database_closes(settings):
    begun, go_on = threading.Event(), threading.Event()
    ended = []

    def slowly(connection: Connection) -> None:
        begun.set()
        go_on.wait(10)
        ended.append(connection.execute(select(versions.c.name)).all())

    database = open_database(settings.database_at)
    reading = asyncio.create_task(database.read_async(slowly))
    await asyncio.to_thread(begun.wait, 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    closing = asyncio.create_task(asyncio.to_thread(database.close))
    await asyncio.wait([closing], timeout=0.05)
    assert not closing.done()
    go_on.set()
    await closing
    assert ended == [[]]
