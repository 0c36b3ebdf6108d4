"""`python -m loadtests.cluster` on a small scale: two desks behind nginx while programs are killed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from loadtests.cluster.__main__ import arrivals_of, run
from loadtests.cluster.cluster import Cluster, Shape, started_cluster
from loadtests.cluster.kills import Plan
from loadtests.cluster.manual import THINGS, question_of
from loadtests.cluster.programs import origin

from tests.e2e.desk_process import wait_until
from tests.e2e.writing_server import Writer, writing_server

pytestmark = pytest.mark.models

SEED = 20_261_123
TOGETHER = 50
MANUAL_THINGS = 100
# The customers stop when all has been killed and is back.
RATE, UIDS, LONGEST_SECONDS, NEW = 20, 60, 600, 0.02


@dataclass(frozen=True)
class Grown:
    cluster: Cluster
    writer: Writer

    @property
    def desks(self) -> list[str]:
        return [origin(desk.port) for desk in self.cluster.desks]

    @property
    def admin(self) -> dict[str, str]:
        log = self.cluster.desks[0].log_path.read_text("utf-8")
        found = re.search(r"kefu-admin-[\w-]+", log)
        assert found, "no banner showed a key"
        return {"Authorization": f"Bearer {found[0]}"}


@pytest.fixture(scope="module")
def grown(models_dir: Path) -> Iterator[Grown]:
    with writing_server() as writer:
        shape = Shape(
            desks=2,
            llamas=0,
            things=MANUAL_THINGS,
            upstreams=[writer.url],
            settings={"KEFU_CONVERSATION__MAX_WAITING_PER_UID": str(TOGETHER)},
        )
        with started_cluster(models_dir, shape) as cluster:
            yield Grown(cluster, writer)


def ask(desk: str, message: str, uid: str) -> dict[str, Any]:
    body = {"uid": uid, "message": message}
    response = httpx.post(f"{desk}/chat", json=body, timeout=60, trust_env=False)
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_turns_of_one_customer_never_overlap(grown: Grown):
    """Whichever desk each comes to: the generator writes one after another."""
    before = grown.writer.written

    def ask_one(number: int) -> dict[str, Any]:
        return ask(grown.desks[number % 2], question_of(THINGS[number]), "one")

    with ThreadPoolExecutor(TOGETHER) as threads:
        replies = list(threads.map(ask_one, range(TOGETHER)))
    assert grown.writer.written - before > TOGETHER // 2
    assert grown.writer.most_at_once == 1
    with psycopg.connect(grown.cluster.database) as connection:
        kept = connection.execute("SELECT turn_id FROM turns WHERE uid = 'one'").fetchall()
    assert sorted(turn for (turn,) in kept) == sorted(reply["turn_id"] for reply in replies)


def test_an_edited_entry_voids_the_answers_of_every_desk(grown: Grown):
    """What was written and kept before the change is not said after it."""
    question = question_of(THINGS[TOGETHER])
    for desk in grown.desks:
        ask(desk, question, "before")
    kept = [ask(desk, question, "reader") for desk in grown.desks]
    assert [reply["source"] for reply in kept] == ["cache", "cache"]
    (old,) = {reply["reply"] for reply in kept}
    (entry, *_) = [one["id"] for one in kept[0]["citations"]]
    new = f"安装{THINGS[TOGETHER]}要这样做：先插上电源，再按下红色按钮。"
    changed = httpx.patch(
        f"{grown.desks[0]}/api/knowledge/entries/{entry}",
        json={"answer": new},
        headers=grown.admin,
        trust_env=False,
    )
    assert changed.is_success, changed.text
    changed_at = time.monotonic()
    for desk in grown.desks:
        wait_until(lambda desk=desk: "红色按钮" in ask(desk, question, "after")["reply"], desk, 10)
        print(f"\nsaid by {desk} {time.monotonic() - changed_at:.3f} s after the change")
    later = [ask(desk, question, "later")["reply"] for desk in grown.desks * 10]
    assert old not in later


async def test_whatever_is_killed_no_acknowledged_turn_is_lost(grown: Grown):
    cluster = grown.cluster
    victims = [cluster.redis, cluster.postgres, cluster.desks[0]]
    plan = Plan(first=2, every=1, most=len(victims), calm=2, down=0.2)
    arrivals = arrivals_of(RATE, LONGEST_SECONDS, UIDS, NEW, SEED, MANUAL_THINGS)
    outcome = await run(cluster, arrivals, UIDS, victims, plan, print)
    print(outcome.figures)
    assert {promise: what for promise, what in outcome.problems.items() if what} == {}
    assert [outage.program for outage in outcome.outages] == ["redis", "postgres", "desk-1"]
    assert outcome.figures.acknowledged == outcome.figures.sent > RATE * 5
    assert {"faq", "model", "blocked"} <= outcome.figures.by_source.keys()
