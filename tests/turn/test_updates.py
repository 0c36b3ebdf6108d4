"""`GET /chat/updates`: what came later reaches the customer, each of it once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kefu.review.queue import ReviewQueue
from kefu.review.review import Review
from kefu.review.verdicts import Decision, decide
from kefu.settings import ConversationSettings, ReviewSettings, Settings
from kefu.stamps import now_ms
from kefu.stores.audit import SqlAudit
from kefu.stores.database import Database
from kefu.stores.opening import open_database
from kefu.stores.reviews import SqlReviews
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics
from kefu.turn.doorbell import Doorbell
from kefu.turn.updates import Updates
from tests.review.held import DRAFT, HOLDING, held_reply, held_turn
from tests.turn.dying_desk import verdicts_of
from tests.turn.test_desk import until

ROOT = Path(__file__).parents[2]
TOLD = {"reply": DRAFT["text"], "source": "model", "confidence": 0.8}


async def hold(database: Database, turn_id: str = "t1", uid: str = "ann", **turn: Any) -> Review:
    store = SqlReviews(database)
    queue = ReviewQueue(store, ReviewSettings(), Metrics())
    await queue.hold(held_turn(turn_id, uid, **turn), held_reply())
    found = await store.page("pending", 0, 100)
    return next(review for review in found if review.turn_id == turn_id)


async def approve(database: Database, review: Review) -> None:
    await decide(SqlReviews(database), review.id, Decision("approved"), "cli:ann")


async def deliver(database: Database, doorbell: Doorbell | None = None) -> None:
    """What the next start of a desk does."""
    verdicts = verdicts_of(database, doorbell or Doorbell(), Metrics())
    await verdicts.deliver_due()
    await until(lambda: not verdicts._running)


def updates_of(database: Database, idle_seconds: float = 3600) -> Updates:
    conversation = ConversationSettings(idle_seconds=idle_seconds)
    return Updates(SqlReviews(database), conversation, 15)


async def seqs(updates: Updates, after: int, uid: str = "ann") -> list[int]:
    return [delivery.seq for delivery in await updates.after(uid, after)]


class Poller:
    """A client that passes back what it was told."""

    def __init__(self, updates: Updates) -> None:
        self.updates = updates
        self.after = 0
        self.told: list[str] = []

    async def poll(self, seconds: float = 0) -> None:
        for delivery in await self.updates.wait("ann", self.after, seconds):
            self.told.append(f"{delivery.turn.turn_id}: {delivery.turn.reply}")
            self.after = delivery.seq


async def test_each_client_gets_each_update_once_and_in_order(database: Database):
    updates = updates_of(database)
    pollers = Poller(updates), Poller(updates)
    for number in range(3):
        review = await hold(database, f"t{number}")
        await approve(database, review)
        await deliver(database)
        await pollers[number % 2].poll()
    for poller in pollers:
        await poller.poll()
        await poller.poll()
        assert poller.told == [f"t{number}: {DRAFT['text']}" for number in range(3)]


async def test_those_who_wait_are_told_at_once(database: Database):
    updates = updates_of(database)
    review = await hold(database)
    pollers = Poller(updates), Poller(updates)
    waiting = [asyncio.ensure_future(poller.poll(30)) for poller in pollers]
    await until(lambda: len(updates.doorbell._listening.get("ann", ())) == 2)
    await approve(database, review)
    await deliver(database, updates.doorbell)
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
    assert [poller.told for poller in pollers] == [[f"t1: {DRAFT['text']}"]] * 2
    assert updates.doorbell._listening == {}


async def test_a_wait_for_nothing_ends(database: Database):
    assert await updates_of(database).wait("ann", 0, 0.01) == []


async def test_another_customers_verdict_wakes_and_tells_nobody_else(database: Database):
    updates = updates_of(database)
    with updates.doorbell.listening("ann") as rung:
        await approve(database, await hold(database, uid="bob"))
        await deliver(database, updates.doorbell)
        assert not rung.is_set()
    assert await seqs(updates, 0) == []
    assert await seqs(updates, 0, "bob") == [1]


async def test_a_client_that_knows_nothing_gets_those_of_the_last_day(database: Database):
    long_ago = now_ms() - 25 * 3600 * 1000
    for turn_id, talk, at_ms in (
        ("old", "talk-before", long_ago),
        ("new", "talk-ann", now_ms()),
    ):
        review = await hold(database, turn_id, conversation_id=talk, created_at_ms=at_ms)
        await approve(database, review)
        await deliver(database)
    database.write(
        lambda c: (
            c.exec_driver_sql(
                f"UPDATE deliveries SET created_at_ms = {long_ago} WHERE turn_id = 'old'"
            )
            and None
        )
    )
    updates = updates_of(database)
    assert await seqs(updates, 0) == [2]
    assert await seqs(updates, 1) == [2]
    assert await seqs(updates, 2) == []
    # Of a talk that goes on for days none is forgotten.
    assert await seqs(updates_of(database, idle_seconds=7 * 86400), 0) == [1, 2]


async def test_a_verdict_after_the_talk_is_over_is_still_told(database: Database):
    review = await hold(database, created_at_ms=now_ms() - 10_000_000)
    await approve(database, review)
    await deliver(database)
    assert await seqs(updates_of(database), 0) == [1]


async def test_a_restart_in_between_tells_nothing_twice(settings: Settings):
    seen = []
    after = 0
    for number in range(3):
        with open_database(settings.database_at) as database:
            await approve(database, await hold(database, f"t{number}"))
            if number != 1:  # that desk stops before it has looked
                await deliver(database)
            poller = Poller(updates_of(database))
            poller.after = after
            await poller.poll()
            after = poller.after
            seen.append([told.split(":")[0] for told in poller.told])
    assert seen == [["t0"], [], ["t1", "t2"]]


@pytest.mark.parametrize("moment", ["decided", "delivering", "delivered"])
async def test_a_desk_that_is_killed_has_delivered_it_once(settings: Settings, moment: str):
    with open_database(settings.database_at) as database:
        review = await hold(database)
    args = [str(settings.database_at), review.id, moment]
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.turn.dying_desk", *args],
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    with open_database(settings.database_at) as database:
        was_told = moment == "delivered"
        turn = await SqlTranscript(database).find_turn("t1")
        assert turn is not None
        assert turn.reply == (DRAFT["text"] if was_told else HOLDING)
        poller, late = Poller(updates_of(database)), Poller(updates_of(database))
        await poller.poll()
        for _ in range(2):
            await deliver(database)
            await poller.poll()
        await late.poll()
        assert poller.told == late.told == [f"t1: {DRAFT['text']}"]
        actions = [r.action for r in await SqlAudit(database).about(f"review:{review.id}")]
        assert actions == ["held", "approved", "delivered"]
        kept = await SqlReviews(database).find(review.id)
        assert kept is not None
        assert kept.delivered_at_ms is not None


# Over HTTP.


@pytest.fixture
def desk(app: FastAPI, client: httpx.AsyncClient) -> Any:
    """The services of a whole desk."""
    return app.state.services


@pytest.fixture
async def given(desk: Any) -> Callable[..., Any]:
    async def give(turn_id: str = "t1", **turn: Any) -> None:
        await approve(desk.database, await hold(desk.database, turn_id, **turn))
        await desk.verdicts.deliver_due()
        await until(lambda: not desk.verdicts._running)

    return give


async def poll(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    response = await client.get("/chat/updates", params={"uid": "ann", **query})
    assert response.status_code == 200, response.text
    return response.json()


async def test_polls_of_a_desk(client: httpx.AsyncClient, given: Callable[..., Any]):
    assert await poll(client) == {"updates": [], "next": 0}
    await given()
    found = await poll(client)
    (update,) = found["updates"]
    assert update.items() >= TOLD.items()
    assert (update["turn_id"], update["seq"], found["next"]) == ("t1", 1, 1)
    assert [citation["id"] for citation in update["citations"]] == ["fee-zh"]
    assert update["choices"] == [{"id": "fee-zh", "title": "运费是多少"}]
    assert update["created_at"] <= now_ms()
    assert await poll(client, after=1) == {"updates": [], "next": 1}


async def test_a_long_poll_of_a_desk_ends_with_the_verdict(
    client: httpx.AsyncClient, desk: Any, given: Callable[..., Any]
):
    waiting = asyncio.ensure_future(poll(client, wait=30))
    await until(lambda: "ann" in desk.updates.doorbell._listening)
    await given()
    async with asyncio.timeout(10):
        assert (await waiting)["next"] == 1


async def test_a_stream_has_numbered_events_and_goes_on_after_the_last_one(
    client: httpx.AsyncClient, desk: Any, given: Callable[..., Any]
):
    await given("t1")
    await given("t2")
    waiting = asyncio.ensure_future(
        client.get(
            "/chat/updates",
            params={"uid": "ann", "stream": True, "after": 2},
            headers={"Last-Event-ID": "1"},
        )
    )
    await until(lambda: "ann" in desk.updates.doorbell._listening)
    await given("t3")
    await until(lambda: "ann" in desk.updates.doorbell._listening)
    await desk.verdicts.close()
    async with asyncio.timeout(10):
        response = await waiting
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [event.splitlines() for event in response.text.strip().split("\n\n")]
    assert [event[:2] for event in events] == [
        ["id: 2", "event: update"],
        ["id: 3", "event: update"],
    ]
    told = [json.loads(event[2].removeprefix("data: ")) for event in events]
    assert [one["turn_id"] for one in told] == ["t2", "t3"]
    assert told[0].items() >= TOLD.items()


async def test_a_desk_that_stops_lets_those_who_wait_go(client: httpx.AsyncClient, desk: Any):
    waiting = asyncio.ensure_future(poll(client, wait=30))
    await until(lambda: "ann" in desk.updates.doorbell._listening)
    await desk.verdicts.close()
    async with asyncio.timeout(10):
        assert await waiting == {"updates": [], "next": 0}
        assert await poll(client, wait=30) == {"updates": [], "next": 0}


async def test_the_history_has_the_final_reply_in_its_place(
    client: httpx.AsyncClient, desk: Any, given: Callable[..., Any]
):
    await hold(desk.database, "t0")
    shown = (await client.get("/chat/history", params={"uid": "ann"})).json()["turns"]
    assert [(turn["reply"], turn["source"]) for turn in shown] == [(HOLDING, "held")]
    await given("t1")
    shown = (await client.get("/chat/history", params={"uid": "ann"})).json()["turns"]
    assert [(turn["turn_id"], turn["source"]) for turn in shown] == [
        ("t0", "held"),
        ("t1", "model"),
    ]
    assert shown[1].items() >= TOLD.items()


@pytest.mark.parametrize(
    "query",
    [
        {"uid": ""},
        {"after": -1},
        {"after": 2**63},
        {"after": "x"},
        {"wait": 31},
        {"wait": -1},
        {"wait": "nan"},
        {"stream": "x"},
    ],
)
async def test_what_cannot_be_asked(client: httpx.AsyncClient, query: dict[str, Any]):
    response = await client.get("/chat/updates", params={"uid": "ann", **query})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")


async def test_a_bad_last_event_id_is_refused(client: httpx.AsyncClient):
    response = await client.get(
        "/chat/updates", params={"uid": "ann"}, headers={"Last-Event-ID": "x"}
    )
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")
