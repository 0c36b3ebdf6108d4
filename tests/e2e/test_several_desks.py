"""Two desks on one PostgreSQL and one Redis, with real models."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from kefu.stores.redis.connection import key_of, open_redis
from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import BUSY_MACHINE, DeskProcess, run_kefu, wait_until
from tests.e2e.folders import DISPUTED, DISPUTED_QUESTIONS, FAQ, KNOWLEDGE, link_models, write_files
from tests.e2e.test_postgres import SCRIPT, told
from tests.e2e.test_review import QUESTION as HELD
from tests.e2e.test_serve import ZH, said_plainly
from tests.postgres import PostgresServer
from tests.redis_server import RedisServer, started_redis

pytestmark = pytest.mark.models

CUSTOMERS = 50
FILES = {**KNOWLEDGE, **DISPUTED}
# What is answered in words of its own.
WRITTEN = DISPUTED_QUESTIONS[0], DISPUTED_QUESTIONS[1], DISPUTED_QUESTIONS[4]


@dataclass(frozen=True)
class Camp:
    """`desks` share a database and a Redis; what they write takes long."""

    desks: tuple[DeskProcess, DeskProcess]
    url: str
    redis: RedisServer
    settings: dict[str, str]

    @property
    def admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.desks[0].key()}"}

    def turns(self, uid: str) -> list[tuple[str, str]]:
        """Turn ids with their states, in the order in which they were kept."""
        with psycopg.connect(self.url) as connection:
            query = "SELECT turn_id, status FROM turns WHERE uid = %s ORDER BY seq"
            return connection.execute(query, [uid]).fetchall()


@pytest.fixture(scope="module")
def camp(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path, postgres: PostgresServer
) -> Iterator[Camp]:
    with ExitStack() as stack:
        url = stack.enter_context(postgres.database())
        redis = stack.enter_context(started_redis())
        settings = {
            **BUSY_MACHINE,
            "KEFU_DATABASE": url,
            "KEFU_REDIS": redis.url,
            "KEFU_CONVERSATION__MAX_WAITING_PER_UID": str(CUSTOMERS),
        }
        desks = []
        for name in ("one", "two"):
            folder = link_models(tmp_path_factory.mktemp(name) / "data", models_dir)
            desks.append(DeskProcess(folder, settings=settings))
            stack.callback(desks[-1].close)
        files = write_files(tmp_path_factory.mktemp("files") / "camp", FILES)
        first, second = desks
        first.start()
        imported = run_kefu("--data-dir", first.data_dir, "--database", url, "kb", "import", files)
        assert imported.returncode == 0, imported.stderr
        second.start()
        yield Camp((first, second), url, redis, settings)


def test_a_talk_over_two_desks_is_as_at_one(camp: Camp, new_desk: NewDesk, tmp_path: Path):
    """The same replies, follow-ups among them, wherever each message comes."""
    embedded = new_desk().start()
    files = write_files(tmp_path / "camp", FILES)
    imported = run_kefu("--data-dir", embedded.data_dir, "kb", "import", files)
    assert imported.returncode == 0, imported.stderr
    expected = told(embedded, "script")
    desks = cycle(camp.desks)
    replies = [next(desks).ask(message, uid="script") for message in SCRIPT]
    assert [(reply["source"], reply["reply"]) for reply in replies] == expected
    assert len({reply["conversation_id"] for reply in replies}) == 1
    assert [turn for turn, _ in camp.turns("script")] == [reply["turn_id"] for reply in replies]


def test_many_clients_of_one_customer_come_one_after_another(camp: Camp):
    """None is lost or doubled, whichever desk each comes to, and no two are in their turn at once."""
    holders, done = set[str](), threading.Event()

    async def watch() -> int:
        """The most turns there were at once, by the fences that rise with each."""
        async with open_redis(camp.redis.url) as client:
            while not done.is_set():
                holders.add(str(await client.hget(key_of("one", "turn"), "holder")))
                await asyncio.sleep(0)
        return len(holders - {"None"})

    def ask(number: int) -> dict[str, Any]:
        desk = camp.desks[number % 2]
        return desk.ask(ZH[number % len(ZH)], uid="one", key=f"key-{number}")

    with ThreadPoolExecutor(CUSTOMERS + 1) as threads:
        watching = threads.submit(asyncio.run, watch())
        replies = list(threads.map(ask, range(CUSTOMERS)))
        done.set()
        assert watching.result() > 2  # it was Redis that put them in order
    kept = camp.turns("one")
    assert sorted(turn for turn, _ in kept) == sorted(reply["turn_id"] for reply in replies)
    assert {state for _, state in kept} == {"answered"}
    assert len({reply["conversation_id"] for reply in replies}) == 1


def test_a_retry_at_another_desk_gets_the_same_reply(camp: Camp):
    one, two = camp.desks
    first = one.ask(ZH[0], uid="retry", key="k")
    assert two.ask(ZH[0], uid="retry", key="k") == first
    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(d.ask, WRITTEN[1], "retry", "written") for d in camp.desks]
        replies = [one.result() for one in running]
    assert replies[0]["turn_id"] == replies[1]["turn_id"]
    assert replies[0]["reply"] == replies[1]["reply"]
    assert len(camp.turns("retry")) == 2


def test_an_edited_entry_is_said_by_every_desk(camp: Camp):
    one, two = camp.desks
    for answer in ("第一版答案。", "第二版答案。"):
        with one.client(headers=camp.admin) as client:
            entry = {"question": FAQ[0], "answer": answer}
            assert client.put("/api/knowledge/entries/stove", json=entry).is_success
        changed_at = time.monotonic()
        for desk in (two, one):
            wait_until(partial(says, desk, answer), "it says so", 5)
        print(f"\nedited entry: both desks after {time.monotonic() - changed_at:.3f} s")


def says(desk: DeskProcess, answer: str) -> bool:
    return desk.ask(FAQ[0], uid="e")["reply"] == answer


def test_what_one_desk_wrote_the_other_gives_again(camp: Camp):
    one, two = camp.desks
    with one.client(headers=camp.admin) as client:
        assert client.delete("/api/cache").is_success
    wait_until(lambda: two.metric("kefu_answer_cache_entries") == 0, "the other dropped them", 5)
    written = one.ask(WRITTEN[0], uid="writes")
    assert written["source"] == "model"
    wait_until(lambda: two.metric("kefu_answer_cache_entries") == 1, "the other heard of it", 5)
    given = two.ask(WRITTEN[0], uid="asks the same")
    assert (given["source"], given["reply"]) == ("cache", written["reply"])


def test_a_later_reply_rings_at_the_desk_where_its_customer_waits(camp: Camp):
    one, two = camp.desks
    with one.client(headers=camp.admin) as client:
        word = {"category": "fraud", "severity": "medium"}
        assert client.put("/api/moderation/words/蓝色小蘑菇", json=word).is_success
        wait_until(lambda: one.ask(HELD, uid="held")["source"] == "held", "the word is known", 10)
        (review, *_) = client.get("/api/review").json()["reviews"]
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(
                two.get, "/chat/updates", params={"uid": "held", "wait": 20}, timeout=40
            )
            approved = client.post(f"/api/review/{review['id']}/edit", json={"text": "请勿参与。"})
            assert approved.is_success, approved.text
            (update,) = waiting.result().json()["updates"]
    assert update["reply"] == "请勿参与。"


def test_a_desk_that_is_killed_loses_nobodys_turn(camp: Camp):
    """Its customer asks again with the same key, and another desk answers, once."""
    one, two = camp.desks
    question = WRITTEN[2]
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(one.post, question, "killed", "k")
        wait_until(lambda: one.metric("kefu_open_turns") > 0, "its turn has begun")
        one.kill()
        with pytest.raises(httpx.TransportError):
            running.result()
    answered = two.ask(question, uid="killed", key="k")
    one.start()
    assert one.ask(question, uid="killed", key="k")["turn_id"] == answered["turn_id"]
    assert camp.turns("killed") == [(answered["turn_id"], "answered")]


def test_redis_may_be_killed(camp: Camp):
    """Who asks meanwhile waits, and their talk goes on."""
    one, two = camp.desks
    first = one.ask(ZH[0], uid="redis")
    camp.redis.kill()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(two.ask, "那运费谁出？", "redis")
        camp.redis.start()
        assert waiting.result()["conversation_id"] == first["conversation_id"]
    camp.redis.forget_all()
    after = two.ask("多久能到账？", uid="redis")
    assert after["conversation_id"] == first["conversation_id"]


def test_the_doctor_looks_at_redis(camp: Camp):
    found = run_kefu(
        "--data-dir", camp.desks[0].data_dir, "doctor", "--json", settings=camp.settings
    )
    (redis,) = [finding for finding in json.loads(found.stdout) if finding["what"] == "redis"]
    assert redis["state"] == "ok"
    assert redis["detail"].startswith("Redis 7.")


def test_what_does_not_fit_is_said(camp: Camp, tmp_path: Path):
    def serve(*arguments: str) -> Any:
        return run_kefu("--data-dir", tmp_path / "c", *arguments, "serve", "--port", "0")

    said_plainly(serve("--redis", camp.redis.url), "redis is for several desks", "database")
    away = serve("--database", camp.url, "--redis", "redis://:secret@127.0.0.1:1/0")
    said_plainly(away, "Cannot ask Redis at 127.0.0.1:1")
    assert "secret" not in away.stderr
