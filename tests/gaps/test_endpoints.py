"""`/api/knowledge/gaps`, `/golden` and `/promote` of a whole desk."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kefu.conversations.transcript import Turn
from tests.gaps.conftest import FEE, RETURN

GIFT = {"question": "可以包装成礼物吗", "answer": "可以，下单时选“礼品包装”。"}
PATHS = (
    ("GET", "/api/knowledge/gaps"),
    ("GET", "/api/knowledge/golden"),
    ("PUT", "/api/knowledge/golden"),
    ("DELETE", "/api/knowledge/golden?question=q"),
    ("GET", "/api/knowledge/golden/check"),
    ("POST", "/api/knowledge/promote"),
)


@pytest.fixture
async def admin(app: FastAPI, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The client with the key of whoever runs the shop, which knows two things."""
    services = app.state.services
    client.headers["Authorization"] = f"Bearer {services.keys.create('admin')}"
    await services.knowledge.import_entries([FEE, RETURN])
    return client


def is_problem(response: httpx.Response, status: int, code: str, *words: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, code)
    for word in words:
        assert word in body["detail"]
    return body


async def put(admin: httpx.AsyncClient, *pairs: tuple[str, str]) -> httpx.Response:
    questions = [{"question": question, "entry_id": entry} for question, entry in pairs]
    return await admin.put("/api/knowledge/golden", json={"questions": questions})


async def golden(admin: httpx.AsyncClient) -> list[tuple[str, str]]:
    found = (await admin.get("/api/knowledge/golden")).json()["questions"]
    return [(one["question"], one["entry_id"]) for one in found]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_the_shops_own_key_opens_them(
    app: FastAPI, client: httpx.AsyncClient, method: str, path: str
):
    is_problem(await client.request(method, path), 401, "unauthorized")
    chat = {"Authorization": f"Bearer {app.state.services.keys.create('chat')}"}
    is_problem(await client.request(method, path, headers=chat), 403, "forbidden")


async def test_gaps_of_the_desk(admin: httpx.AsyncClient):
    for uid in ("ann", "bob"):
        await admin.post("/chat", json={"uid": uid, "message": "wxyz"})
    await admin.post("/chat", json={"uid": "ann", "message": "运费是多少"})
    found = (await admin.get("/api/knowledge/gaps", params={"days": 1, "limit": 5})).json()
    (gap,) = found["gaps"]
    assert (found["turns"], found["missed"], found["clusters"]) == (3, 2, 1)
    assert (gap["question"], gap["count"], gap["customers"]) == ("wxyz", 2, 2)
    assert gap["why"] == {"unanswered": 2}
    assert gap["nearest"].keys() == {"id", "question", "score", "relevance"}


@pytest.mark.parametrize("query", ["days=0", "days=x", "limit=0", "limit=201"])
async def test_bounds_of_gaps(admin: httpx.AsyncClient, query: str):
    is_problem(await admin.get(f"/api/knowledge/gaps?{query}"), 422, "invalid_input")


async def test_the_golden_set_is_kept_replaced_and_forgotten(admin: httpx.AsyncClient):
    assert (await put(admin, ("运费？", "fee"), ("月亮多远", ""))).json() == {"saved": 2}
    assert await golden(admin) == [("月亮多远", ""), ("运费？", "fee")]
    await put(admin, ("运费？", "return"))
    assert ("运费？", "return") in await golden(admin)
    path = "/api/knowledge/golden"
    assert (await admin.delete(path, params={"question": "运费？"})).status_code == 204
    is_problem(await admin.delete(path, params={"question": "运费？"}), 404, "not_found")
    assert await golden(admin) == [("月亮多远", "")]
    assert {FEE.id, RETURN.id} == {"fee", "return"}


async def test_a_bad_golden_question_and_none_is_taken(admin: httpx.AsyncClient):
    is_problem(await put(admin, ("运费？", "fee"), ("q", "typo")), 422, "invalid_input", "typo")
    bad = {"questions": [{"question": "q", "entry_id": "", "note": "x"}]}
    is_problem(await admin.put("/api/knowledge/golden", json=bad), 422, "invalid_input")
    assert await golden(admin) == []


async def test_a_check_says_what_fails(admin: httpx.AsyncClient):
    await put(admin, ("运费是多少", "fee"), ("怎么申请退货", ""), ("wxyz", ""))
    found = (await admin.get("/api/knowledge/golden/check")).json()
    assert (found["n"], found["right"]) == (3, 2)
    assert (found["sure"], found["first"], found["lost"], found["wrong"]) == (2, 0, 0, 1)
    is_ = {"decision": "sure", "entry_id": "return", "standing": "wrong"}
    assert found["failing"] == [{"question": "怎么申请退货", "entry_id": "", "is": is_}]


async def test_a_promoted_answer_goes_out_at_once(admin: httpx.AsyncClient):
    ask = {"uid": "ann", "message": GIFT["question"]}
    before = (await admin.post("/chat", json=ask)).json()
    assert before["source"] != "faq"
    body = {**GIFT, "tags": ["gift"], "alternatives": ["能送礼吗"]}
    report = (await admin.post("/api/knowledge/promote", json=body)).json()
    assert (report["saved"], report["dry_run"], report["broken"]) == (True, False, [])
    assert report["entry"]["language"] == "zh"
    after = (await admin.post("/chat", json=ask)).json()
    assert (after["reply"], after["source"]) == (GIFT["answer"], "faq")
    assert await golden(admin) == [(GIFT["question"], report["entry"]["id"])]


async def test_a_turn_is_promoted_with_the_persons_answer(app: FastAPI, admin: httpx.AsyncClient):
    turn = Turn("ann", "talk", "那鞋呢", standalone_question="鞋可以退吗", turn_id="t1")
    await app.state.turn.transcript.save(turn)
    body = {"turn_id": "t1", "answer": "可以。"}
    report = (await admin.post("/api/knowledge/promote", json=body)).json()
    assert report["entry"]["question"] == "鞋可以退吗"
    gone = {"turn_id": "t2", "answer": "可以。"}
    is_problem(await admin.post("/api/knowledge/promote", json=gone), 404, "not_found", "t2")


async def test_what_would_break_is_listed_and_nothing_saved(admin: httpx.AsyncClient):
    await put(admin, ("要付邮费吗", "fee"))
    body = {**GIFT, "alternatives": ["要付邮费吗"]}
    refused = is_problem(
        await admin.post("/api/knowledge/promote", json=body), 409, "golden_broken", "1 of 1"
    )
    (broken,) = refused["broken"]
    assert (broken["question"], broken["entry_id"]) == ("要付邮费吗", "fee")
    assert broken["was"] == {"decision": "sure", "entry_id": "fee", "standing": "sure"}
    assert broken["would_be"]["standing"] != "sure"
    assert refused["saved"] is False
    assert (await admin.get("/api/knowledge")).json()["entries"] == 2

    tried = await admin.post("/api/knowledge/promote", json={**body, "dry_run": True})
    assert (tried.status_code, tried.json()["broken"]) == (200, [broken])
    assert (await admin.get("/api/knowledge")).json()["entries"] == 2
    forced = await admin.post("/api/knowledge/promote", json={**body, "force": True})
    assert (forced.status_code, forced.json()["saved"]) == (200, True)
    assert (await admin.get("/api/knowledge")).json()["entries"] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"question": ""},
        {"turn_id": "t1"},
        {"answer": ""},
        {"answer": "a" * 8001},
        {"alternatives": "one"},
        {"id": "no spaces"},
        {"language": "fr"},
        {"note": "more than we know"},
        {"question": "\x00"},
    ],
)
async def test_a_promotion_that_cannot_be_is_refused(
    admin: httpx.AsyncClient, change: dict[str, Any]
):
    response = await admin.post("/api/knowledge/promote", json={**GIFT, **change})
    is_problem(response, 422, "invalid_input")
    assert (await admin.get("/api/knowledge")).json()["entries"] == 2
    assert await golden(admin) == []
