"""A desk that keeps everything in PostgreSQL, with real models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import BUSY_MACHINE, DeskProcess, run_kefu, wait_until
from tests.e2e.folders import link_models
from tests.e2e.test_serve import ZH, said_plainly
from tests.postgres import PostgresServer

pytestmark = pytest.mark.models

# Follow-ups, another language, small talk, a message that is blocked, what nobody knows.
SCRIPT = (
    "怎么申请退货？",
    "那运费谁出？",
    "多久能到账？",
    "谢谢",
    "How do I place an order?",
    "and can I cancel it?",
    "你们卖火箭吗",
    "转人工",
)


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    with postgres.database() as url:
        yield url


@pytest.fixture
def desk(new_desk: NewDesk, url: str) -> DeskProcess:
    return new_desk(settings={**BUSY_MACHINE, "KEFU_DATABASE": url}).start()


@pytest.fixture
def searching_desk(new_desk: NewDesk, url: str) -> DeskProcess:
    """Its knowledge is not in its memory."""
    place = {"KEFU_DATABASE": url, "KEFU_KNOWLEDGE__SEARCH": "pgvector"}
    return new_desk(settings={**BUSY_MACHINE, **place}).start()


def told(desk: DeskProcess, uid: str) -> list[tuple[str, str]]:
    replies = [desk.ask(message, uid=uid) for message in SCRIPT]
    return [(reply["source"], reply["reply"]) for reply in replies]


def test_a_talk_is_the_same_on_either_database(desk: DeskProcess, shop: DeskProcess):
    assert told(desk, "script") == told(shop, "script-on-postgres")


def test_a_talk_is_the_same_where_the_knowledge_is_searched_by_pgvector(
    searching_desk: DeskProcess, shop: DeskProcess
):
    assert told(searching_desk, "script") == told(shop, "script-on-pgvector")


def test_turns_outlive_a_killed_desk_and_its_folder(
    desk: DeskProcess, new_desk: NewDesk, url: str, tmp_path: Path, models_dir: Path
):
    asked = desk.ask(ZH[0], uid="ann")
    desk.kill()
    assert not desk.database.exists()
    another = link_models(tmp_path / "another", models_dir)
    again = new_desk(data_dir=another, settings=desk.settings).start()
    turns = again.get("/chat/history", params={"uid": "ann"}).json()["turns"]
    assert [turn["turn_id"] for turn in turns] == [asked["turn_id"]]
    assert again.ask("那运费谁出？", uid="ann")["conversation_id"] == asked["conversation_id"]


def test_a_second_desk_on_the_same_database_is_refused(desk: DeskProcess, url: str, tmp_path: Path):
    refused = run_kefu("--data-dir", tmp_path / "b", "--database", url, "serve", "--port", "0")
    said_plainly(refused, "Another kefu already serves from", "--database")


def test_a_lost_connection_costs_a_message_at_most(desk: DeskProcess, url: str):
    desk.ask(ZH[0], uid="bob")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    wait_until(lambda: desk.get("/readyz").status_code == 200, "the desk is ready again", 10)
    assert desk.ask(ZH[0], uid="bob")["source"] == "faq"
    assert len(desk.get("/chat/history", params={"uid": "bob"}).json()["turns"]) == 2
    assert desk.stop() == 0
    assert "Traceback" not in desk.log


def test_a_desk_whose_database_another_one_took_over_stops(desk: DeskProcess, url: str):
    """As when a machine was cut off for a while, and somebody started another desk meanwhile."""
    desk.ask(ZH[0], uid="zoe")
    with (
        psycopg.connect(url, autocommit=True) as other,
        psycopg.connect(url, autocommit=True) as looking,
        ThreadPoolExecutor(1) as threads,
    ):
        taking = threads.submit(other.execute, "SELECT pg_advisory_lock(%s)", [0x6B656676])
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: looking.execute(waiting).fetchone() is not None, "it waits", 10)
        looking.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
            "datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)",
            [other.info.backend_pid],
        )
        taking.result(10)
        wait_until(lambda: desk.process.poll() is not None, "the desk has stopped", 20)
    assert desk.process.returncode == 0
    assert "database_taken" in desk.log
    assert "Traceback" not in desk.log


@pytest.mark.parametrize("kind", ["desk", "searching_desk"])
def test_what_another_process_imports_is_answered(
    kind: str, url: str, tmp_path: Path, request: pytest.FixtureRequest
):
    """Which need not know where it is searched."""
    desk: DeskProcess = request.getfixturevalue(kind)
    faq = tmp_path / "faq.csv"
    faq.write_text("question,answer\n火星上有门店吗,火星店明年开。\n", "utf-8")
    imported = run_kefu("--data-dir", desk.data_dir, "--database", url, "kb", "import", faq)
    assert imported.returncode == 0, imported.stderr
    wait_until(
        lambda: desk.ask("火星上有门店吗", uid="eve")["reply"] == "火星店明年开。",
        "the new entry answers",
        5,
    )


def test_everything_moves_from_sqlite_into_postgres(
    new_desk: NewDesk, data_dir: Path, postgres: PostgresServer, tmp_path: Path
):
    file = tmp_path / "all.jsonl.gz"
    embedded = new_desk().start()
    embedded.ask(ZH[0], uid="ann")
    admin = {"Authorization": f"Bearer {embedded.key()}"}
    embedded.stop()
    written = run_kefu("--data-dir", data_dir, "export", file)
    assert written.returncode == 0, written.stderr
    assert "1 turns" in written.stdout
    with postgres.empty_database() as url:
        read = run_kefu("--data-dir", data_dir, "--database", url, "import", file)
        assert read.returncode == 0, read.stderr
        grown = new_desk(settings={**BUSY_MACHINE, "KEFU_DATABASE": url}, arguments=())
        grown.start()
        history = grown.get("/chat/history", params={"uid": "ann"}).json()["turns"]
        assert [turn["question"] for turn in history] == [ZH[0]]
        assert grown.ask(ZH[0], uid="bob")["source"] == "faq"
        assert grown.get("/api/knowledge/entries", headers=admin).json()["total"] > 300
        grown.stop()


def test_the_commands_work_on_it(url: str, data_dir: Path, tmp_path: Path):
    def kefu(*arguments: str) -> str:
        place = ("--data-dir", data_dir, "--database", url)
        ran = run_kefu(*place, *arguments, settings={"KEFU_KNOWLEDGE__SEARCH": "pgvector"})
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert json.loads(kefu("migrate", "--json")) == {"revision": "0006"}
    assert "up to date" in kefu("migrate")
    assert "kefu-chat-" in kefu("keys", "create", "--role", "chat")
    assert "chat" in kefu("keys", "list")
    found = json.loads(kefu("doctor", "--json"))
    (database,) = [finding for finding in found if finding["what"] == "database"]
    assert database["state"] == "ok"
    assert re.match(r"PostgreSQL 18.* with pgvector 0\.", database["detail"])
    assert json.loads(kefu("export", str(tmp_path / "x.gz"), "--json"))["rows"]["api_keys"] == 1
