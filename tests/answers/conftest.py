from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from kefu.answers.answer import NewAnswer
from kefu.answers.cache import AnswerCache, open_answers
from kefu.answers.key import Scope
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.entry import Entry
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.settings import AnswerSettings, Settings
from kefu.stores.answers import SqlAnswers
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder

ENTRIES = [
    Entry("fee", "运费是多少", "运费8元，满99元免运费。客服电话 400-820-8820。", ("要付邮费吗",)),
    Entry("return", "怎么申请退货", "在订单页点“申请退货”。"),
    Entry("fee-en", "How much is delivery", "Delivery is 8 yuan."),
]
SCOPE = Scope("zh", "small-model", "prompt-1", 256)
QUESTION = "寄到上海的运费要多少"
ALIKE = "寄到上海的运费要多少呢"


@dataclass(frozen=True)
class Verdict:
    probability: float
    disagreement: str | None = None


@dataclass
class ScriptedJudge:
    """Says the same of every pair but those in `others`. `gate` holds it back until it is opened."""

    threshold: float = 0.8
    others: dict[str, Verdict] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def judge(self, query: str, questions: Sequence[str]) -> list[Verdict]:
        self.asked.append((query, tuple(questions)))
        if self.gate is not None:
            await self.gate.wait()
        return [self.others.get(question, Verdict(0.9)) for question in questions]


@pytest.fixture
async def encoder() -> AsyncIterator[BatchedEncoder]:
    async with BatchedEncoder(HashingEncoder(), 8, 512, Metrics()) as encoder:
        yield encoder


@pytest.fixture
async def knowledge(database: Database, encoder: BatchedEncoder, settings: Settings) -> Knowledge:
    knowledge = await open_knowledge(SqlKnowledge(database), encoder, settings.knowledge)
    await knowledge.import_entries(ENTRIES)
    return knowledge


@pytest.fixture
def store(database: Database) -> SqlAnswers:
    return SqlAnswers(database)


@pytest.fixture
def judge() -> ScriptedJudge:
    return ScriptedJudge()


OpenCache = Callable[[AnswerSettings], Awaitable[AnswerCache]]


@pytest.fixture
async def open_cache(
    store: SqlAnswers, knowledge: Knowledge, encoder: BatchedEncoder, judge: ScriptedJudge
) -> OpenCache:
    async def open_one(settings: AnswerSettings) -> AnswerCache:
        return await open_answers(store, knowledge, encoder, judge, settings, Metrics())

    return open_one


@pytest.fixture
async def cache(open_cache: OpenCache) -> AnswerCache:
    return await open_cache(AnswerSettings())


@dataclass(frozen=True)
class Writer:
    """Makes what a pipeline hands over after a generation."""

    knowledge: Knowledge
    encoder: BatchedEncoder

    async def new(
        self,
        question: str = QUESTION,
        reply: str = "运费8元。",
        entry_ids: Sequence[str] = ("fee",),
        *,
        confidence: float = 0.7,
        is_whole: bool = True,
    ) -> NewAnswer:
        return NewAnswer(
            question=question,
            vector=await self.encoder.encode(question),
            reply=reply,
            intent_label="delivery",
            intent_score=0.6,
            confidence=confidence,
            citations=(),
            entries=tuple(self.knowledge.entries[id_] for id_ in entry_ids),
            knowledge_version=self.knowledge.version,
            is_whole=is_whole,
        )


@pytest.fixture
def writer(knowledge: Knowledge, encoder: BatchedEncoder) -> Writer:
    return Writer(knowledge, encoder)
