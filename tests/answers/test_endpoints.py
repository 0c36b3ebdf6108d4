"""`/api/cache`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import httpx
import pytest
from fastapi import FastAPI

from kefu.answers import endpoints
from kefu.answers.answer import CachedAnswer
from kefu.answers.cache import AnswerCache
from kefu.http.access import Access
from kefu.http.auth import ApiKeys
from kefu.http.problems import install_problem_handlers
from kefu.knowledge.service import Knowledge
from kefu.stores.answers import SqlAnswers
from kefu.stores.database import Database
from kefu.stores.keys import SqlKeys
from tests.answers.conftest import ENTRIES, QUESTION, SCOPE, Writer

PATHS = (
    ("GET", "/api/cache"),
    ("PUT", "/api/cache"),
    ("DELETE", "/api/cache"),
    ("GET", "/api/cache/x"),
    ("PATCH", "/api/cache/x"),
    ("DELETE", "/api/cache/x"),
)
PICKUP = {"question": "周末可以到店里自提吗", "reply": "可以。"}


@dataclass(frozen=True)
class Services:
    answers: AnswerCache


@pytest.fixture
def keys(database: Database) -> ApiKeys:
    return ApiKeys(SqlKeys(database))


@pytest.fixture
async def client(cache: AnswerCache, keys: ApiKeys) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(endpoints.router)
    install_problem_handlers(app)
    app.state.services = Services(cache)
    app.state.access = Access(keys, open_to_customers=True)
    headers = {"Authorization": f"Bearer {keys.create('admin')}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://desk", headers=headers
    ) as client:
        yield client


async def keep(cache: AnswerCache, writer: Writer, **more) -> CachedAnswer:
    kept = cache.keep(await writer.new(**more), SCOPE)
    assert kept is not None
    return kept


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_the_shops_own_key_opens_them(
    client: httpx.AsyncClient, keys: ApiKeys, method: str, path: str
):
    for headers in ({"Authorization": ""}, {"Authorization": f"Bearer {keys.create('chat')}"}):
        assert (await client.request(method, path, headers=headers)).status_code in (401, 403)


async def test_an_answer_shows_what_it_is_and_what_it_was_worth(
    client: httpx.AsyncClient, cache: AnswerCache, writer: Writer
):
    answer = await keep(cache, writer)
    cache.find_exact(QUESTION, SCOPE)
    shown = (await client.get(f"/api/cache/{answer.id}")).json()
    assert shown["question"] == QUESTION
    assert shown["reply"] == "运费8元。"
    assert shown["intent"] == {"label": "delivery", "score": 0.6}
    assert shown["entry_ids"] == ["fee"]
    assert shown["model"] == "small-model"
    assert shown["hits"] == {"exact": 1, "semantic": 0}
    assert (shown["pinned"], shown["edited"], shown["doubt"]) == (False, False, None)
    assert 0 <= shown["age_seconds"] < 60


async def test_the_list_has_pages_a_search_and_the_counts_by_kind(
    client: httpx.AsyncClient, cache: AnswerCache, writer: Writer
):
    for number in range(5):
        await keep(cache, writer, question=f"{QUESTION}{number}")
    await cache.pin("Can I pick it up?", "YES, on workdays.")
    cache.find_exact(f"{QUESTION}0", SCOPE)
    body = (await client.get("/api/cache", params={"limit": 2})).json()
    assert body["total"] == 6
    assert [a["question"] for a in body["answers"]] == [f"{QUESTION}0", "Can I pick it up?"]
    assert body["lookups"] == {"exact": 1, "semantic": 0, "shared": 0, "miss": 0, "refused": 0}
    rest = (await client.get("/api/cache", params={"limit": 10, "offset": 2})).json()
    assert len(rest["answers"]) == 4
    for params, found in (
        ({"q": "yes, ON"}, 1),
        ({"q": "上海"}, 5),
        ({"q": "nowhere"}, 0),
        ({"pinned": "true"}, 1),
        ({"pinned": "false", "q": "上海"}, 5),
    ):
        assert (await client.get("/api/cache", params=params)).json()["total"] == found, params


async def test_an_answer_is_pinned_by_hand(client: httpx.AsyncClient, cache: AnswerCache):
    response = await client.put("/api/cache", json={**PICKUP, "entry_ids": ["fee"]})
    assert response.status_code == 200
    body = response.json()
    assert (body["pinned"], body["language"], body["entry_ids"]) == (True, "zh", ["fee"])
    found = cache.find_exact(PICKUP["question"], SCOPE)
    assert found is not None
    assert found.id == body["id"]


async def test_an_answer_is_edited_and_the_disk_knows_it(
    client: httpx.AsyncClient, cache: AnswerCache, writer: Writer, store: SqlAnswers
):
    answer = await keep(cache, writer)
    body = (await client.patch(f"/api/cache/{answer.id}", json={"reply": "8元。"})).json()
    assert (body["reply"], body["edited"], body["pinned"]) == ("8元。", True, False)
    body = (await client.patch(f"/api/cache/{answer.id}", json={"pinned": True})).json()
    assert (body["reply"], body["pinned"]) == ("8元。", True)
    saved = store.find(answer.id)
    assert saved is not None
    assert (saved.reply, saved.pinned) == ("8元。", True)


async def test_an_answer_that_waits_for_a_person_says_why(
    client: httpx.AsyncClient, knowledge: Knowledge
):
    put = await client.put("/api/cache", json={**PICKUP, "entry_ids": ["fee"]})
    await knowledge.import_entries([replace(ENTRIES[0], answer="运费10元。")])
    shown = (await client.get(f"/api/cache/{put.json()['id']}")).json()
    assert shown["doubt"] == "its entry fee was changed"


async def test_answers_are_dropped_one_by_one_by_entry_and_all(
    client: httpx.AsyncClient, cache: AnswerCache, writer: Writer, store: SqlAnswers
):
    one = await keep(cache, writer)
    await keep(cache, writer, question=f"{QUESTION}呢")
    await keep(cache, writer, question="怎么申请退货呢", entry_ids=("return",))
    await cache.pin(**PICKUP)
    assert (await client.delete(f"/api/cache/{one.id}")).status_code == 204
    assert (await client.get(f"/api/cache/{one.id}")).status_code == 404
    by_entry = await client.delete("/api/cache", params={"entry_id": "fee"})
    assert by_entry.json() == {"dropped": 1}
    unpinned = await client.delete("/api/cache", params={"keep_pinned": "true"})
    assert unpinned.json() == {"dropped": 1}
    assert (await client.delete("/api/cache")).json() == {"dropped": 1}
    assert store.load()[1] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", "/api/cache/nowhere", None, 404, "'nowhere'"),
        ("PATCH", "/api/cache/nowhere", {"pinned": True}, 404, "'nowhere'"),
        ("DELETE", "/api/cache/nowhere", None, 404, "'nowhere'"),
        ("PATCH", "/api/cache/nowhere", {}, 422, "Nothing to change"),
        ("PATCH", "/api/cache/nowhere", {"pinned": "yes"}, 422, "pinned"),
        ("PATCH", "/api/cache/nowhere", {"question": "q"}, 422, "question"),
        ("PUT", "/api/cache", {"question": "q"}, 422, "reply"),
        ("PUT", "/api/cache", {"question": "？", "reply": "r"}, 422, "no words"),
        ("PUT", "/api/cache", {**PICKUP, "entry_ids": ["nowhere"]}, 404, "'nowhere'"),
        ("PUT", "/api/cache", {**PICKUP, "language": "fr"}, 422, "language"),
        ("GET", "/api/cache?limit=0", None, 422, "limit"),
        ("GET", "/api/cache?offset=-1", None, 422, "offset"),
    ],
)
async def test_what_does_not_fit_is_said(
    client: httpx.AsyncClient, method: str, path: str, body, status: int, says: str
):
    response = await client.request(method, path, json=body)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert says in response.json()["detail"]
