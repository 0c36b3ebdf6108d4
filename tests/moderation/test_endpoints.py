"""`/api/moderation`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from kefu.moderation.categories import Category
from kefu.stores.schema import audit

PATHS = (
    ("GET", "/api/moderation"),
    ("POST", "/api/moderation/check"),
    ("GET", "/api/moderation/words"),
    ("PUT", "/api/moderation/words/x"),
    ("DELETE", "/api/moderation/words/x"),
    ("GET", "/api/moderation/allowed"),
    ("PUT", "/api/moderation/allowed/x"),
    ("DELETE", "/api/moderation/allowed/x"),
)
WORD = "雪山飞狐"
TEXT = "请问雪山飞狐是什么"
LISTED = {"word": WORD, "category": "abuse", "severity": "high", "source": "own"}


@pytest.fixture
def admin(app: FastAPI, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The client with the key of whoever runs the shop."""
    client.headers["Authorization"] = f"Bearer {app.state.services.keys.create('admin')}"
    return client


def is_problem(response: httpx.Response, status: int, code: str, *words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    for word in words:
        assert word in body["detail"]


async def put(admin: httpx.AsyncClient, word: str, **body: Any) -> httpx.Response:
    path = f"/api/moderation/words/{quote(word, safe='')}"
    return await admin.put(path, json={"category": "abuse", "severity": "high", **body})


async def outcome(admin: httpx.AsyncClient, text: str = TEXT, **body: Any) -> str:
    response = await admin.post("/api/moderation/check", json={"text": text, **body})
    assert response.status_code == 200, response.text
    return response.json()["outcome"]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_the_shops_own_key_opens_them(
    app: FastAPI, client: httpx.AsyncClient, method: str, path: str
):
    is_problem(await client.request(method, path), 401, "unauthorized")
    chat = {"Authorization": f"Bearer {app.state.services.keys.create('chat')}"}
    is_problem(await client.request(method, path, headers=chat), 403, "forbidden")


async def test_the_overview_counts(admin: httpx.AsyncClient):
    before = (await admin.get("/api/moderation")).json()
    assert before["enabled"] is True
    assert before["words"] == sum(before["by_category"].values()) > 500
    assert before["by_category"].keys() == set(Category)
    assert (before["version"], before["own_words"], before["taken_out"]) == (0, 0, 0)
    await put(admin, WORD)
    await admin.delete("/api/moderation/words/代开发票")
    after = (await admin.get("/api/moderation")).json()
    assert (after["version"], after["own_words"], after["taken_out"]) == (2, 1, 1)
    assert after["words"] == before["words"]


async def test_a_listed_word_is_looked_for_at_once(admin: httpx.AsyncClient):
    assert await outcome(admin) == "pass"
    response = await put(admin, "雪山飛狐")
    assert (response.status_code, response.json()) == (201, LISTED)
    assert await outcome(admin) == "block"
    response = await put(admin, WORD, severity="low")
    assert (response.status_code, response.json()) == (200, {**LISTED, "severity": "low"})
    assert await outcome(admin) == "mask"
    assert (await admin.delete(f"/api/moderation/words/{WORD}")).status_code == 204
    assert await outcome(admin) == "pass"
    is_problem(await admin.delete(f"/api/moderation/words/{WORD}"), 404, "not_found", WORD)


async def test_a_check_says_why(admin: httpx.AsyncClient):
    await put(admin, WORD)
    await put(admin, "射雕英雄", severity="low", category="adult")
    text = "射雕英雄和雪 山 飞 狐"
    body = {"text": text, "direction": "reply", "meaning": False}
    found = (await admin.post("/api/moderation/check", json=body)).json()
    assert (found["outcome"], found["category"]) == ("block", "abuse")
    assert found["masked"] == "＊＊＊＊和雪 山 飞 狐"
    first, second = found["reasons"]
    assert (first["word"], first["category"], first["severity"]) == (WORD, "abuse", "high")
    assert (first["start"], first["end"], first["certain"]) == (5, 12, True)
    assert first["disguise"]
    assert (second["word"], second["outcome"], second["disguise"]) == ("射雕英雄", "mask", None)
    assert found["scores"] == {}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": "x" * 4001}, "text"),
        ({"text": "\ud800"}, "unicode string"),
        ({"text": "x", "direction": "both"}, "direction"),
        ({"text": "x", "more": 1}, "more"),
    ],
)
async def test_a_check_of_something_else_is_refused(
    admin: httpx.AsyncClient, body: dict[str, Any], word: str
):
    content = json.dumps(body)  # httpx itself refuses half a character
    headers = {"Content-Type": "application/json"}
    response = await admin.post("/api/moderation/check", content=content, headers=headers)
    is_problem(response, 422, "invalid_input", word)


@pytest.mark.parametrize(
    ("word", "reason"),
    [("狐", "one character"), ("ab", "3 letters"), ("!!", "letter or digit"), ("a" * 201, "200")],
)
async def test_what_cannot_be_listed_says_why(admin: httpx.AsyncClient, word: str, reason: str):
    is_problem(await put(admin, word), 422, "invalid_input", reason)


async def test_a_short_word_can_be_forced(admin: httpx.AsyncClient):
    path = f"/api/moderation/words/{quote('狐')}"
    response = await admin.put(path, params={"force": True}, json={"category": "abuse"})
    assert response.status_code == 201
    assert response.json()["severity"] == "medium"


async def test_unknown_categories_are_refused(admin: httpx.AsyncClient):
    is_problem(await put(admin, WORD, category="politics"), 422, "invalid_input", "self_harm")
    is_problem(await put(admin, WORD, severity="worst"), 422, "invalid_input", "medium")


async def test_words_with_slashes_and_percent_signs(admin: httpx.AsyncClient):
    for word in ("wechat/qq", "100%赚钱法", "what?is#it"):
        assert (await put(admin, word)).status_code == 201
        found = (await admin.get("/api/moderation/words", params={"q": word})).json()
        assert [item["word"] for item in found["words"]] == [word]
        path = f"/api/moderation/words/{quote(word, safe='')}"
        assert (await admin.delete(path)).status_code == 204


async def test_the_list_is_searched_and_paged(admin: httpx.AsyncClient):
    async def listed(**params: Any) -> tuple[int, list[dict[str, str]]]:
        found = (await admin.get("/api/moderation/words", params=params)).json()
        return found["total"], found["words"]

    await put(admin, WORD)
    assert await listed(source="own") == (1, [LISTED])
    assert await listed(q="雪山飛") == (1, [LISTED])
    total, words = await listed(category="fraud", limit=3)
    assert total > 50
    assert [word["category"] for word in words] == ["fraud"] * 3
    assert (await listed(category="fraud", offset=2, limit=1))[1] == words[2:]
    await admin.delete("/api/moderation/words/代开发票")
    (off,) = (await listed(q="代开发票", source="own"))[1]
    assert (off["severity"], off["source"]) == ("off", "own")


async def test_allowed_phrases(admin: httpx.AsyncClient):
    async def listed(q: str) -> list[dict[str, str]]:
        return (await admin.get("/api/moderation/allowed", params={"q": q})).json()["allowed"]

    path = f"/api/moderation/allowed/{quote('金庸的雪山飞狐')}"
    response = await admin.put(path)
    mine = {"phrase": "金庸的雪山飞狐", "source": "own"}
    assert (response.status_code, response.json()) == (201, mine)
    assert (await admin.put(path)).status_code == 200
    assert await listed("雪山") == [mine]
    await put(admin, WORD)
    assert await outcome(admin, "有金庸的雪山飞狐吗") == "pass"
    assert (await admin.delete(path)).status_code == 204
    assert await outcome(admin, "有金庸的雪山飞狐吗") == "block"
    is_problem(await admin.delete(path), 404, "not_found")
    (of_kefu, *_) = await listed("")
    path = f"/api/moderation/allowed/{quote(of_kefu['phrase'], safe='')}"
    is_problem(await admin.delete(path), 422, "invalid_input", "comes with kefu")


async def test_who_changed_what_is_in_the_audit(app: FastAPI, admin: httpx.AsyncClient):
    services = app.state.services
    await put(admin, WORD)
    await admin.delete(f"/api/moderation/words/{WORD}")
    rows = await services.database.read_async(lambda c: c.execute(select(audit)).all())
    actor = f"key:{services.keys.all()[0].id}"
    assert [(row.actor, row.action, row.subject) for row in rows] == [
        (actor, "word_added", f"word:{WORD}"),
        (actor, "word_removed", f"word:{WORD}"),
    ]
