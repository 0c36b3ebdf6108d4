"""PostgreSQL: what happens when it goes away, and what no other database needs."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from kefu.conversations.transcript import Turn
from kefu.errors import SettingsError
from kefu.stores.audit import append
from kefu.stores.claim import Claim, require_only_desk
from kefu.stores.database import Database, DatabaseClosed, DatabaseFailed
from kefu.stores.opening import open_database
from kefu.stores.postgres import PushedVersions, connected, parsed
from kefu.stores.statements import alone, raise_version, version_of
from kefu.stores.transcript import SqlTranscript, save_turn
from tests.e2e.desk_process import wait_until
from tests.postgres import PostgresServer


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    with postgres.database() as url:
        yield url


def test_several_desks_that_start_at_once_make_one_set_of_tables(postgres: PostgresServer):
    with postgres.empty_database() as url, ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(open_database, [url] * 4))
        for database in opened:
            database.close()


def test_connections_that_were_cut_are_made_anew(
    database: Database, database_url: str, postgres: PostgresServer
):
    database.write(lambda c: raise_version(c, "n"))
    postgres.throw_out(database_url)
    assert database.write(lambda c: raise_version(c, "n")) == 2
    postgres.throw_out(database_url)
    with database.read() as connection:
        assert connection.execute(text("SELECT version FROM versions")).scalar() == 2
    wait_until(lambda: knows(database, "n", 2), "the version is known again", 5)


def allow_connections(postgres: PostgresServer, url: str, allowed: bool) -> None:
    name = str(make_url(url).database)
    postgres.run(f"ALTER DATABASE {{}} WITH ALLOW_CONNECTIONS {allowed}", name)


async def test_a_database_that_comes_back_is_waited_for(
    database: Database, database_url: str, postgres: PostgresServer
):
    await database.write_async(lambda c: raise_version(c, "n"))
    allow_connections(postgres, database_url, False)
    postgres.throw_out(database_url)
    with pytest.raises(DatabaseFailed):
        database.ping()
    writing = asyncio.create_task(database.write_async(lambda c: raise_version(c, "n")))
    reading = asyncio.create_task(database.read_async(lambda c: version_of(c, "n")))
    await asyncio.wait([writing, reading], timeout=0.3)
    assert not writing.done()
    assert not reading.done()
    allow_connections(postgres, database_url, True)
    assert await writing == 2
    assert await reading in (1, 2)


async def test_a_turn_that_cannot_be_kept_spoils_it_for_nobody_else(database: Database):
    transcript = SqlTranscript(database)
    turns = [Turn(f"u{n}", "talk", "在吗", "在") for n in range(9)]
    turns[4] = replace(turns[4], question="\x00")
    saved = await asyncio.gather(
        *(transcript.save(turn, fence=1) for turn in turns), return_exceptions=True
    )
    assert isinstance(saved.pop(4), psycopg.DataError)
    assert saved == [None] * 8
    assert sorted(turn.uid for turn in await transcript.latest(20)) == [
        f"u{n}" for n in range(9) if n != 4
    ]


async def test_without_a_fence_too_a_turn_that_is_saved_again_is_there_once(database: Database):
    transcript, turn = SqlTranscript(database), Turn("u", "talk", "在吗", "在", turn_id="t")
    for _ in range(2):
        await transcript.save(turn)
    assert not database.write(lambda c: save_turn(c, turn, 0))
    await transcript.save(replace(turn, status="failed", reply=""))
    assert await transcript.latest(9) == [turn]


async def test_who_gives_up_disturbs_nobody(database: Database, database_url: str):
    """Neither while it waits, then nothing is done, nor while it is asked."""
    transcript = SqlTranscript(database)
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE fences IN EXCLUSIVE MODE")
        first = asyncio.create_task(transcript.save(Turn("u1", "talk", "在吗", turn_id="t1"), 1))
        assert await transcript.find_turn("t1") is None
        gone = asyncio.create_task(transcript.save(Turn("u2", "talk", "在吗", turn_id="t2"), 1))
        last = asyncio.create_task(transcript.save(Turn("u3", "talk", "在吗", turn_id="t3"), 1))
        assert await transcript.find_turn("t1") is None
        for task in (first, gone):
            task.cancel()
        await asyncio.wait([first, gone])
    await last
    # What was under way went on.
    assert [turn.turn_id for turn in await transcript.latest(9)] == ["t3", "t1"]


async def test_turns_and_questions_wait_for_a_database_that_was_started_again(
    database: Database, database_url: str, postgres: PostgresServer
):
    transcript = SqlTranscript(database)
    for number in range(3):
        turn = Turn("u", "talk", "在吗", turn_id=f"t{number}")
        await transcript.save(turn, fence=number + 1)
        postgres.throw_out(database_url)
        assert await transcript.find_turn(turn.turn_id) == turn
        postgres.throw_out(database_url)


async def test_one_failure_tells_of_all_connections_that_were_cut(
    database: Database, database_url: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    transcript = SqlTranscript(database)
    await asyncio.gather(*(transcript.find_turn("t") for _ in range(3)))
    postgres.throw_out(database_url)
    monkeypatch.setattr(database, "_patience_seconds", 0.0)
    with pytest.raises(DatabaseFailed):
        await transcript.find_turn("t")
    await asyncio.gather(*(transcript.find_turn("t") for _ in range(3)))


async def test_a_question_that_nobody_waits_for_costs_no_connection(
    database: Database, database_url: str
):
    transcript = SqlTranscript(database)
    await transcript.find_turn("t")
    (used,) = database.direct._idle
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE turns")
        asking = asyncio.create_task(transcript.find_turn("t"))
        while not asking.done() and database.direct._idle:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await asyncio.gather(*database.direct._running)
    assert database.direct._idle == [used]


async def test_nobody_is_asked_once_it_is_closed(database_url: str):
    with open_database(database_url) as database:
        transcript = SqlTranscript(database)
        assert await transcript.latest(1) == []
    for asking in (transcript.find_turn("t"), transcript.save(Turn("u", "talk", "在吗"), 1)):
        with pytest.raises(DatabaseClosed):
            await asking


async def test_a_database_that_stays_away_is_said(
    database_url: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kefu.stores.postgres._PATIENCE_SECONDS", 0.1)
    with open_database(database_url) as database:
        allow_connections(postgres, database_url, False)
        postgres.throw_out(database_url)
        with pytest.raises(DatabaseFailed):
            await database.read_async(lambda c: version_of(c, "n"))
    allow_connections(postgres, database_url, True)


async def test_a_change_is_told_at_once(database: Database):
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    database.versions.call_on_change(lambda: loop.call_soon_threadsafe(told.set))
    database.versions.now("n")
    told.clear()
    await database.write_async(lambda c: raise_version(c, "n"))
    async with asyncio.timeout(5):
        await told.wait()
    assert database.versions.now("n") == 1


def knows(database: Database, name: str, version: int) -> bool:
    with suppress(DatabaseFailed):
        return database.versions.now(name) == version
    return False


def test_a_version_that_nobody_could_tell_is_not_said(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kefu.stores.postgres._SURE_SECONDS", -1.0)
    with pytest.raises(DatabaseFailed, match="not been heard of"):
        database.versions.now("n")


def test_versions_that_are_closed_as_they_start_leave_no_connection(database_url: str):
    for _ in range(20):
        versions = PushedVersions(make_url(database_url))
        versions.close()  # before the thread is there, which begins with the next line
        versions.now("n")
        versions.close()
    # In one transaction it would see the same activity for ever.
    with psycopg.connect(database_url, autocommit=True) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        query = f"SELECT count(*) FROM pg_stat_activity WHERE {others}"
        wait_until(lambda: connection.execute(query).fetchone() == (0,), "all are closed", 5)


def test_the_audit_only_grows(database: Database):
    database.write(lambda c: append(c, "kefu", "held", "turn:1"))
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(DBAPIError, match="append-only"):
            database.write(lambda c, s=statement: c.execute(text(s)))


def test_who_is_alone_is_waited_for(database: Database, settings):
    with open_database(settings.database_at) as other:
        inside, leave = threading.Event(), threading.Event()

        def first(connection) -> None:
            alone(connection, "x")
            inside.set()
            assert leave.wait(10)

        staying = database._writer.submit(first)
        assert inside.wait(10)
        coming = other._writer.submit(lambda c: alone(c, "x"))
        elsewhere = open_database(settings.database_at)
        elsewhere.write(lambda c: alone(c, "y"))
        elsewhere.close()
        assert not coming.done()
        leave.set()
        staying.result(10)
        coming.result(10)


def test_a_second_desk_is_refused(database_url: str):
    with (
        require_only_desk(database_url),
        pytest.raises(SettingsError, match="already serves"),
        require_only_desk(database_url),
    ):
        pass
    with require_only_desk(database_url):
        pass


def claims_on(database_url: str) -> list[int]:
    query = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
    with connected(parsed(database_url)) as connection:
        return [pid for (pid,) in connection.execute(query).fetchall()]


def test_a_claim_whose_connection_was_cut_is_taken_again(
    database_url: str, postgres: PostgresServer
):
    lost = threading.Event()
    with require_only_desk(database_url, lost.set):
        before = claims_on(database_url)
        postgres.throw_out(database_url)
        wait_until(lambda: claims_on(database_url) not in ([], before), "the claim is back", 10)
        with pytest.raises(SettingsError, match="already serves"), require_only_desk(database_url):
            pass
        assert not lost.is_set()
    assert claims_on(database_url) == []


def test_who_finds_its_claim_taken_is_told(database_url: str):
    lost = threading.Event()
    with (
        require_only_desk(database_url, lost.set),
        connected(parsed(database_url)) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        # It stands in line, and has the lock before anybody can ask again.
        taking = threads.submit(other.execute, "SELECT pg_advisory_lock(%s)", [0x6B656676])
        wait_until(lambda: is_waiting(database_url), "another one waits for it", 10)
        throw_out_all_but(database_url, other)
        taking.result(10)
        assert lost.wait(10)


def test_the_ghost_of_its_own_connection_is_laid(database_url: str):
    """The server holds a connection for alive that its desk has lost."""
    lost = threading.Event()
    claim = Claim(database_url, lost.set)
    assert claim.take()
    ghost, claim._connection = claim._connection, None
    assert claim.take()
    with pytest.raises(psycopg.OperationalError):
        ghost.execute("SELECT 1")
    ghost.close()
    claim._close()
    assert claims_on(database_url) == []


def is_waiting(database_url: str) -> bool:
    query = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with connected(parsed(database_url)) as connection:
        return connection.execute(query).fetchone() is not None


def throw_out_all_but(database_url: str, kept: psycopg.Connection) -> None:
    with connected(parsed(database_url)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)",
            [kept.info.backend_pid],
        )


def test_a_claim_on_a_database_that_is_away_is_refused():
    with (
        pytest.raises(SettingsError, match="Cannot open the database"),
        require_only_desk("postgresql://kefu:secret@127.0.0.1:1/none"),
    ):
        pass


def test_versions_of_a_database_that_is_away_are_not_said():
    versions = PushedVersions(make_url("postgresql://kefu@127.0.0.1:1/none"))
    with pytest.raises(DatabaseFailed, match="is away"):
        versions.now("n")
    versions.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://kefu:secret@127.0.0.1:1/none", "kefu:\\*\\*\\*@127.0.0.1"),
        ("mysql://kefu@127.0.0.1/x", "not in mysql"),
        ("nonsense", "postgresql://user:password@host/name"),
    ],
)
def test_a_database_that_cannot_be_opened_is_named_without_its_password(url: str, said: str):
    with pytest.raises(SettingsError, match=said) as refused:
        open_database(url)
    assert "secret" not in str(refused.value)


def test_a_missing_driver_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "kefu.stores.postgres", None)
    with pytest.raises(SettingsError, match=r"kefu\[cluster\]"):
        open_database("postgresql://x/y")
