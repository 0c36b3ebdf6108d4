"""Many customers ask while an entry is edited again and again: no old answer after a commit."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace

from kefu.answers.answer import NewAnswer
from kefu.answers.cache import AnswerCache
from kefu.answers.flights import Flight, Flights
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.entry import Entry
from kefu.knowledge.service import Knowledge
from tests.answers.conftest import ENTRIES, SCOPE

EDITS = 25
ASKERS = 24
QUESTIONS = [f"寄到上海的运费要多少{end}" for end in ("", "呢", "啊", "呀")]


def text_of(edit: int) -> str:
    return f"运费{edit}元。"


def edit_of(reply: str) -> int:
    return int(reply.removeprefix("运费").removesuffix("元。"))


@dataclass
class SmallDesk:
    """The part of a turn that the cache takes part in, with a generator that copies the entry."""

    cache: AnswerCache
    knowledge: Knowledge
    encoder: BatchedEncoder
    flights: Flights[NewAnswer] = field(init=False)
    sources: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.flights = Flights(self.cache.count)

    async def answer(self, question: str) -> str:
        if (found := self.cache.find_exact(question, SCOPE)) is not None:
            self.sources["exact"] += 1
            return found.reply
        vector = await self.encoder.encode(question)
        version, read = self.knowledge.version, self.knowledge.entries["fee"]
        if (found := await self.cache.find_alike(question, vector, SCOPE)) is not None:
            self.sources["semantic"] += 1
            return found.reply

        async def generate(flight: Flight[NewAnswer]) -> NewAnswer:
            await asyncio.sleep(random.random() / 500)
            flight.emit(read.answer)
            new = NewAnswer(question, vector, read.answer, "", 0, 0.9, (), (read,), version)
            self.cache.keep(new, SCOPE)
            return new

        key = self.cache.flight_key(question, SCOPE, [read])
        with self.flights.join(key, generate) as flight:
            self.sources["model"] += 1
            return (await flight.result()).reply


async def test_no_reply_is_older_than_what_was_committed_before_the_question(
    cache: AnswerCache, knowledge: Knowledge, encoder: BatchedEncoder
):
    desk = SmallDesk(cache, knowledge, encoder)
    committed, done = 0, asyncio.Event()
    fee = replace(ENTRIES[0], answer=text_of(0))
    await knowledge.import_entries([fee])
    await cache.refresh()

    async def edit() -> None:
        nonlocal committed
        for number in range(1, EDITS + 1):
            await knowledge.import_entries([replace(fee, answer=text_of(number))])
            committed = number
            hits = desk.sources.total()
            while desk.sources.total() < hits + ASKERS:  # let them ask, and the cache fill again
                await asyncio.sleep(0)
        done.set()

    async def ask(seed: int) -> list[tuple[int, int]]:
        choose, seen = random.Random(seed), []
        while not done.is_set():
            before = committed
            reply = await desk.answer(choose.choice(QUESTIONS))
            seen.append((before, edit_of(reply)))
            await asyncio.sleep(0)
        return seen

    async def upkeep() -> None:
        while not done.is_set():
            await cache.refresh()
            await asyncio.sleep(0)

    async with asyncio.timeout(120):
        *answers, _, _ = await asyncio.gather(*map(ask, range(ASKERS)), edit(), upkeep())
    seen = [pair for of_one in answers for pair in of_one]
    assert [pair for pair in seen if pair[1] < pair[0]] == []
    assert {newest for newest, _ in seen} >= set(range(EDITS))
    # The cache took part: else the test would show nothing.
    assert desk.sources["exact"] > EDITS
    assert cache.lookups["shared"] > 0


async def test_an_answer_that_was_begun_before_the_edit_and_ends_after_it_is_nobody_elses(
    cache: AnswerCache, knowledge: Knowledge, encoder: BatchedEncoder
):
    """The slow generation reads the old text; it must neither be followed nor kept."""
    question = QUESTIONS[0]
    vector = await encoder.encode(question)
    gate, flights = asyncio.Event(), Flights[str](cache.count)

    def work(read: Entry, version: int):
        async def generate(flight: Flight[str]) -> str:
            if read.answer == ENTRIES[0].answer:
                await gate.wait()
            cache.keep(
                NewAnswer(question, vector, read.answer, "", 0, 0.9, (), (read,), version), SCOPE
            )
            return read.answer

        return generate

    async def ask() -> str:
        read, version = knowledge.entries["fee"], knowledge.version
        with flights.join(cache.flight_key(question, SCOPE, [read]), work(read, version)) as flight:
            return await flight.result()

    slow = asyncio.create_task(ask())
    await asyncio.sleep(0)
    await knowledge.import_entries([replace(ENTRIES[0], answer="运费10元。")])
    async with asyncio.timeout(10):
        assert await ask() == "运费10元。"
    gate.set()
    assert await slow == ENTRIES[0].answer  # asked before the commit
    await cache.refresh()
    assert [a.reply for a in cache.answers] == ["运费10元。"]
