"""`POST /chat/rating`, and where a rating shows."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kefu.conversations.transcript import Turn

ANN = {"uid": "ann", "turn_id": "t1"}


@pytest.fixture(autouse=True)
async def turns(client: httpx.AsyncClient, app: FastAPI) -> None:
    """Ann's running conversation: one reply, and one message that was never answered."""
    transcript = app.state.turn.transcript
    await transcript.save(Turn("ann", "talk", "运费多少", "8元", "model", turn_id="t1"))
    await transcript.save(Turn("ann", "talk", "在吗", status="failed", turn_id="t2"))


async def rate(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/chat/rating", json=ANN | body)


async def rating_in_history(client: httpx.AsyncClient) -> str | None:
    (turn,) = (await client.get("/chat/history", params={"uid": "ann"})).json()["turns"]
    rating: str | None = turn["rating"]
    return rating


async def test_the_last_rating_counts_and_null_withdraws_it(client: httpx.AsyncClient):
    assert await rating_in_history(client) is None
    for rating in ("up", "down", None):
        response = await rate(client, rating=rating)
        assert (response.status_code, response.content) == (204, b"")
        assert await rating_in_history(client) == rating


async def test_the_shop_reads_the_reason(client: httpx.AsyncClient, app: FastAPI):
    await rate(client, rating="down", reason="  没说到付运费 ")
    key = app.state.services.keys.create("admin")
    headers = {"Authorization": f"Bearer {key}"}
    body = (await client.get("/api/conversations/ann", headers=headers)).json()
    assert [turn["turn_id"] for turn in body["turns"]] == ["t1", "t2"]
    rating = body["turns"][0]["rating"]
    assert (rating["value"], rating["reason"]) == ("down", "没说到付运费")
    assert body["turns"][1]["rating"] is None


@pytest.mark.parametrize(
    "theirs", [{"uid": "eve"}, {"turn_id": "t2"}, {"turn_id": "t9"}], ids=["uid", "failed", "none"]
)
async def test_nobody_rates_what_they_were_not_told(
    client: httpx.AsyncClient, theirs: dict[str, str]
):
    response = await rate(client, rating="down", **theirs)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert await rating_in_history(client) is None


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"rating": "good"},
        {"rating": True},
        {"rating": "down", "reason": "字" * 501},
        {"rating": "down", "reason": "\x00"},
        {"rating": "up", "stars": 5},
        {"rating": "up", "uid": ""},
        {"rating": "up", "turn_id": ""},
    ],
)
async def test_a_rating_that_cannot_be_is_refused(client: httpx.AsyncClient, bad: dict[str, Any]):
    response = await rate(client, **bad)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")
    assert await rating_in_history(client) is None


async def test_ratings_are_counted(client: httpx.AsyncClient):
    for rating in ("up", "down", "down", None):
        await rate(client, rating=rating)
    await rate(client, rating="up", uid="eve")
    metrics = (await client.get("/metrics")).text
    assert 'kefu_ratings_total{rating="up"} 1.0' in metrics
    assert 'kefu_ratings_total{rating="down"} 2.0' in metrics
    assert 'kefu_ratings_total{rating="withdrawn"} 1.0' in metrics
