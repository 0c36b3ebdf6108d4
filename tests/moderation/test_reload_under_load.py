"""A desk takes 200,000 words over while customers ask: nobody waits for it or sees a part of it.

How long the longest request takes is measured by `python -m loadtests.moderation_reload`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count

import httpx
import pytest
from fastapi import FastAPI

from kefu.bench.moderation import make_words
from kefu.moderation.categories import Category, Severity
from kefu.moderation.editing import Change
from kefu.moderation.lexicon import Listing
from kefu.moderation.service import Moderation
from kefu.settings import Settings
from kefu.stores import long_lists
from kefu.stores.moderation import SqlModeration
from kefu.stores.opening import open_database

WORDS = 200_000
# Beside the made-up words: from the beginning, the middle and the end of the list.
MARKS = ("雪山飞狐一", "雪山飞狐二", "雪山飞狐三")
TEXT = "，".join(MARKS)


def whole_list() -> list[Listing]:
    words = make_words(WORDS)
    for place, mark in zip((0, WORDS // 2, WORDS - 1), MARKS, strict=True):
        words[place] = mark
    return [Listing(word, Category.ABUSE, Severity.LOW) for word in dict.fromkeys(words)]


@pytest.fixture
def import_list(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Saves the list as another process would."""
    monkeypatch.setattr(long_lists, "_PAUSE_SECONDS", 0)
    with open_database(settings.database_at) as database:
        store = SqlModeration(database)
        change = Change("words_imported", "list.csv", put=whole_list())
        yield lambda: store.save(change, "cli:me")


async def test_nobody_sees_a_part_of_it(
    app: FastAPI, client: httpx.AsyncClient, import_list: Callable[[], int]
):
    moderation: Moderation = app.state.services.moderation
    key = app.state.services.keys.create("admin")
    client.headers["Authorization"] = f"Bearer {key}"
    swapped = asyncio.Event()

    async def found() -> frozenset[str]:
        body = {"text": TEXT, "meaning": False}
        response = await client.post("/api/moderation/check", json=body)
        assert response.status_code == 200, response.text
        return frozenset(reason["word"] for reason in response.json()["reasons"])

    async def check() -> list[frozenset[str]]:
        seen = [await found()]
        while not swapped.is_set():
            seen.append(await found())
        return [*seen, await found()]

    async def chat() -> int:
        for turn in count():
            if swapped.is_set():
                return turn
            body = {"uid": f"customer-{turn}", "message": f"{TEXT}是什么？"}
            response = await client.post("/chat", json=body)
            assert response.status_code == 200, response.text
        raise AssertionError

    async def take_over() -> None:
        await asyncio.to_thread(import_list)
        while len(moderation.lexicon.words) < WORDS:  # the desk's own watcher may be the one
            await moderation.refresh()
        swapped.set()

    async with asyncio.timeout(300):
        seen, turns, _ = await asyncio.gather(check(), chat(), take_over())
    assert set(seen) == {frozenset(), frozenset(MARKS)}
    assert seen == sorted(seen, key=len)  # and it never goes back
    assert turns > 10
    assert seen.count(frozenset()) > 10
