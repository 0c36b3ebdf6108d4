"""`/api/review` of a whole desk."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kefu.errors import Overloaded
from kefu.review.queue import ReviewQueue
from kefu.review.review import Held
from kefu.settings import ReviewSettings
from kefu.telemetry import Metrics
from tests.gaps.test_endpoints import is_problem
from tests.review.held import DRAFT, held_message, held_reply, held_turn
from tests.turn.test_desk import until

PATHS = (
    ("GET", "/api/review"),
    ("GET", "/api/review/export"),
    ("GET", "/api/review/audit"),
    ("GET", "/api/review/abcdef"),
    ("POST", "/api/review/abcdef/approve"),
    ("POST", "/api/review/abcdef/edit"),
    ("POST", "/api/review/abcdef/reject"),
)


@pytest.fixture
def desk(app: FastAPI, client: httpx.AsyncClient) -> Any:
    return app.state.services


@pytest.fixture
def actor(desk: Any, admin: httpx.AsyncClient) -> str:
    (key,) = desk.keys.all()
    return f"key:{key.id}"


@pytest.fixture
def admin(desk: Any, client: httpx.AsyncClient) -> httpx.AsyncClient:
    client.headers["Authorization"] = f"Bearer {desk.keys.create('admin')}"
    return client


async def hold(desk: Any, held: Held, turn_id: str = "t1", **turn: Any) -> str:
    """The id of its review."""
    queue = ReviewQueue(desk.reviews, ReviewSettings(), Metrics())
    await queue.hold(held_turn(turn_id, **turn), held)
    found = await desk.reviews.page("pending", 0, 100)
    return next(review.id for review in found if review.turn_id == turn_id)


async def post(admin: httpx.AsyncClient, id_: str, verb: str, **body: Any) -> httpx.Response:
    return await admin.post(f"/api/review/{id_}/{verb}", json=body)


async def told(admin: httpx.AsyncClient, uid: str = "ann") -> list[dict[str, Any]]:
    query = {"uid": uid, "wait": 10}
    return (await admin.get("/chat/updates", params=query)).json()["updates"]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_the_shops_own_key_opens_them(
    app: FastAPI, client: httpx.AsyncClient, method: str, path: str
):
    is_problem(await client.request(method, path), 401, "unauthorized")
    chat = {"Authorization": f"Bearer {app.state.services.keys.create('chat')}"}
    is_problem(await client.request(method, path, headers=chat), 403, "forbidden")


async def test_the_list_has_what_a_person_needs_to_know(admin: httpx.AsyncClient, desk: Any):
    assert (await admin.get("/api/review")).json() == {"total": 0, "reviews": []}
    ids = [await hold(desk, held_message(), f"t{number}") for number in range(3)]
    found = (await admin.get("/api/review", params={"limit": 2})).json()
    assert (found["total"], [review["id"] for review in found["reviews"]]) == (3, ids[:2])
    first = found["reviews"][0]
    assert (first["text"], first["category"], first["direction"]) == (
        "运费是多少",
        "fraud",
        "customer",
    )
    assert first["status"] == "pending"
    assert [reason["summary"] for reason in first["reasons"]] == [
        "fraud: 刷单 (homophone)",
        "fraud: probability 0.71",
    ]
    await post(admin, ids[0], "reject")
    assert (await admin.get("/api/review")).json()["total"] == 2
    for status, total in (("rejected", 1), ("approved", 0), ("all", 3)):
        assert (await admin.get("/api/review", params={"status": status})).json()["total"] == total
    offset = {"offset": 1, "status": "all"}
    assert len((await admin.get("/api/review", params=offset)).json()["reviews"]) == 2


async def test_one_is_shown_with_its_conversation_and_what_was_done(
    admin: httpx.AsyncClient, desk: Any, actor: str
):
    talk = "talk-ann"
    for number in range(30):
        turn = held_turn(f"n{number}", source="faq", question=f"q{number}", conversation_id=talk)
        await desk.transcript.save(turn)
    await desk.transcript.save(held_turn("other", conversation_id="another"))
    id_ = await hold(desk, held_message())
    for number in range(8):
        await desk.transcript.save(held_turn(f"m{number}", source="faq", conversation_id=talk))
    await post(admin, id_, "approve", note="an old customer")
    shown = (await admin.get(f"/api/review/{id_[:8]}")).json()
    ids = [turn["turn_id"] for turn in shown["conversation"]]
    assert ids == [*(f"n{n}" for n in range(10, 30)), "t1", *(f"m{n}" for n in range(5))]
    records = [(one["actor"], one["action"]) for one in shown["audit"]][:2]
    assert records == [("kefu", "held"), (actor, "approved")]
    assert shown["audit"][1]["details"]["note"] == "an old customer"


@pytest.mark.parametrize(
    ("verb", "body", "source", "word"),
    [
        ("approve", {}, "model", DRAFT["text"]),
        ("edit", {"text": "我们会打给您。", "is_bad": False}, "canned", "我们会打给您。"),
        ("reject", {"note": "n"}, "blocked", "没有办法处理"),
    ],
)
async def test_a_verdict_reaches_the_customer(
    admin: httpx.AsyncClient,
    desk: Any,
    actor: str,
    verb: str,
    body: dict[str, Any],
    source: str,
    word: str,
):
    id_ = await hold(desk, held_reply())
    decided = await post(admin, id_, verb, **body)
    assert decided.status_code == 200, decided.text
    assert (decided.json()["id"], decided.json()["decided_by"]) == (id_, actor)
    (update,) = await told(admin)
    assert update["source"] == source
    assert word in update["reply"]


async def test_the_second_verdict_is_told_about_the_first(
    admin: httpx.AsyncClient, desk: Any, actor: str
):
    id_ = await hold(desk, held_reply())
    answers = await asyncio.gather(
        *(post(admin, id_, verb) for verb in ("approve", "reject", "approve"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    body = is_problem(refused, 409, "review_decided", "by", actor)
    assert "Nothing was changed" in body["detail"]
    assert len(await told(admin)) == 1


async def test_it_is_decided_even_when_the_delivery_must_wait(
    admin: httpx.AsyncClient, desk: Any, monkeypatch: pytest.MonkeyPatch
):
    async def full(*_: object) -> int:
        raise Overloaded("Too many writes wait for the disk.")

    id_ = await hold(desk, held_reply())
    with monkeypatch.context() as patch:
        patch.setattr(desk.reviews, "undelivered", full)
        assert (await post(admin, id_, "approve")).status_code == 200
    assert len(await told(admin)) == 1  # the desk looks again each second


async def test_a_message_that_the_desk_holds_is_answered_after_a_look(
    admin: httpx.AsyncClient, desk: Any
):
    """From the customer's message to the customer's update, with nothing put in by hand."""
    word = {"category": "fraud", "severity": "medium"}
    added = await admin.put("/api/moderation/words/蓝色小蘑菇", json=word)
    assert added.status_code in (200, 201, 204), added.text
    ask = {"uid": "ann", "message": "蓝色小蘑菇 wxyz"}
    await until(lambda: desk.moderation.check_words(ask["message"], "customer").reasons != ())
    reply = (await admin.post("/chat", json=ask)).json()
    assert reply["source"] == "held"
    (review,) = (await admin.get("/api/review")).json()["reviews"]
    assert (review["turn_id"], review["text"]) == (reply["turn_id"], ask["message"])
    await post(admin, review["id"], "approve")
    (update,) = await told(admin)
    assert (update["turn_id"], update["source"]) == (reply["turn_id"], "handoff")


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("approve", {"text": "x"}),
        ("approve", {"note": "n" * 501}),
        ("edit", {}),
        ("edit", {"text": " "}),
        ("edit", {"text": "a" * 8001}),
        ("edit", {"text": "\x00"}),
        ("edit", {"text": "x", "is_bad": "maybe"}),
        ("reject", {"note": 1}),
    ],
)
async def test_a_verdict_that_cannot_be(
    admin: httpx.AsyncClient, desk: Any, verb: str, body: dict[str, Any]
):
    id_ = await hold(desk, held_message())
    is_problem(await post(admin, id_, verb, **body), 422, "invalid_input")
    assert await desk.reviews.count("pending") == 1


async def test_an_unknown_one_is_not_found(admin: httpx.AsyncClient):
    is_problem(await admin.get("/api/review/abcdef"), 404, "not_found", "abcdef")
    is_problem(await post(admin, "abcdef", "approve"), 404, "not_found")


@pytest.mark.parametrize("query", ["status=x", "limit=0", "limit=201", "offset=-1"])
async def test_bounds_of_the_list(admin: httpx.AsyncClient, query: str):
    is_problem(await admin.get(f"/api/review?{query}"), 422, "invalid_input")


async def test_decisions_are_exported_for_training(admin: httpx.AsyncClient, desk: Any):
    await post(admin, await hold(desk, held_message("兼职刷单"), "t1"), "reject")
    await post(admin, await hold(desk, held_message("被刷单骗了"), "t2"), "approve")
    exported = await admin.get("/api/review/export")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert [tuple(row.values()) for row in rows] == [
        ("兼职刷单", "1", "fraud"),
        ("被刷单骗了", "0", "fraud"),
    ]


async def until_audited(admin: httpx.AsyncClient, records: int) -> None:
    async with asyncio.timeout(10):
        while len((await admin.get("/api/review/audit")).json()["records"]) < records:
            await asyncio.sleep(0.01)


async def test_the_audit_is_read_page_by_page_and_exported_whole(
    admin: httpx.AsyncClient, desk: Any, actor: str
):
    for number in range(3):
        await post(admin, await hold(desk, held_reply(), f"t{number}"), "reject")
        await told(admin)
    await until_audited(admin, 9)  # the last delivery is noted after it was told
    page = (await admin.get("/api/review/audit", params={"limit": 2})).json()
    assert [record["action"] for record in page["records"]] == ["held", "rejected"]
    assert page["records"][1]["actor"] == actor
    query = {"after": page["next"], "format": "jsonl"}
    lines = (await admin.get("/api/review/audit", params=query)).text.splitlines()
    assert json.loads(lines[0])["seq"] == page["next"] + 1
    table = (await admin.get("/api/review/audit", params={"format": "csv"})).text
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == len(lines) + 2
    assert {row["action"] for row in rows} == {"held", "rejected", "delivered"}
    empty = (await admin.get("/api/review/audit", params={"after": 1000})).json()
    assert empty == {"records": [], "next": 1000}
