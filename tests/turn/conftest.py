from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from kefu.answers.cache import AnswerCache, open_answers
from kefu.answers.flights import Flights
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.models.resolve import PromptStyle
from kefu.intent.service import Intents, open_intents
from kefu.knowledge.entry import Entry
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.moderation.service import Moderation, open_moderation
from kefu.paraphrase.judge import Judge
from kefu.paraphrase.loading import DEFAULT
from kefu.reading.shared import SharedReader
from kefu.review.queue import ReviewQueue
from kefu.settings import ConversationSettings, RepliesSettings, Settings
from kefu.stores.answers import SqlAnswers
from kefu.stores.database import Database
from kefu.stores.intents import SqlActions
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.moderation import SqlModeration
from kefu.stores.reviews import SqlReviews
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics
from kefu.turn.context import Contexts
from kefu.turn.desk import Desk
from kefu.turn.draft import Draft
from kefu.turn.gate import Gate
from kefu.turn.limit import ConcurrencyLimit
from kefu.turn.pipeline import Pipeline
from kefu.turn.prompt import PromptWriter
from kefu.turn.queues import UidQueues
from kefu.turn.writer import Writer
from tests.fakes import HashingEncoder, ScriptedGenerator

ENTRIES = [
    Entry("fee-zh", "运费是多少", "运费8元，满99元免运费。", ("要付邮费吗",), ("delivery",), "zh"),
    Entry("return-zh", "怎么申请退货", "在订单页点“申请退货”。", (), ("returns",), "zh"),
    Entry("fee-en", "How much is delivery", "Delivery is 8 yuan.", (), ("delivery",), "en"),
]
# Near to an entry, but not near enough for its vetted answer: the generator writes.
NEAR = "你们运费是多少"
# The question of an entry: answered without the generator.
KNOWN = "运费是多少"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


@dataclass(frozen=True)
class Bench:
    """A desk with real storage and models that are fakes."""

    desk: Desk
    transcript: SqlTranscript
    contexts: Contexts
    intents: Intents
    knowledge: Knowledge
    answers: AnswerCache
    encoder: BatchedEncoder
    metrics: Metrics
    moderation: Moderation
    reviews: SqlReviews
    pipeline: Pipeline
    queues: UidQueues
    queue: ReviewQueue
    limit: ConcurrencyLimit


class OpenBench(Protocol):
    def __call__(
        self,
        conversation: ConversationSettings,
        replies: RepliesSettings | None = None,
        reader: Any = None,
        style: PromptStyle = "completion",
    ) -> Bench: ...


@pytest.fixture
async def open_bench(
    database: Database, settings: Settings, generator: ScriptedGenerator
) -> AsyncIterator[OpenBench]:
    metrics = Metrics()
    async with BatchedEncoder(HashingEncoder(), 8, 64, metrics) as encoder:
        knowledge = await open_knowledge(SqlKnowledge(database), encoder, settings.knowledge)
        await knowledge.import_entries(ENTRIES)
        intents = await open_intents(
            settings.intents_dir, SqlActions(database), encoder.id, settings.intents, metrics
        )
        judge = Judge(None, DEFAULT)
        answers = await open_answers(
            SqlAnswers(database), knowledge, encoder, judge, settings.answers, metrics
        )
        moderation = await open_moderation(
            SqlModeration(database),
            settings.moderation_dir,
            encoder.id,
            settings.moderation,
            metrics,
        )
        reviews = SqlReviews(database)
        queue = ReviewQueue(reviews, settings.review, metrics)
        gate = Gate(moderation, queue, encoder, settings.replies)
        flights = Flights[Draft](answers.count)
        opened: list[Desk] = []

        def open_one(
            conversation: ConversationSettings,
            replies: RepliesSettings | None = None,
            reader: Any = None,
            style: PromptStyle = "completion",
        ) -> Bench:
            transcript = SqlTranscript(database)
            contexts = Contexts(transcript, conversation)
            limit = ConcurrencyLimit(settings.server.aim_seconds, metrics)
            pipeline = Pipeline(
                gate=gate,
                encoder=encoder,
                intents=intents,
                knowledge=knowledge,
                answers=answers,
                writer=Writer(
                    generator,
                    gate,
                    PromptWriter(style),
                    answers,
                    flights,
                    replies or settings.replies,
                    metrics,
                    SharedReader(reader, 1) if reader else None,
                    limit.aside,
                ),
                contexts=contexts,
                default_language=settings.language,
                model_id="scripted",
                metrics=metrics,
            )
            queues = UidQueues(conversation.max_waiting_per_uid)
            desk = Desk(pipeline, contexts, transcript, queue, queues, limit, conversation, metrics)
            opened.append(desk)
            return Bench(
                desk=desk,
                transcript=transcript,
                contexts=contexts,
                intents=intents,
                knowledge=knowledge,
                answers=answers,
                encoder=encoder,
                metrics=metrics,
                moderation=moderation,
                reviews=reviews,
                pipeline=pipeline,
                queues=queues,
                queue=queue,
                limit=limit,
            )

        yield open_one
        for desk in opened:
            await desk.close(5)
        await flights.close()
        await answers.close()
        moderation.close()
        intents.close()


@pytest.fixture
def bench(open_bench: OpenBench) -> Bench:
    return open_bench(ConversationSettings())
