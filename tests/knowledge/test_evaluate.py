from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kefu.errors import InvalidFile
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.entry import Entry
from kefu.knowledge.evaluate import Evaluation, LabelledQuery, evaluate, read_queries
from kefu.knowledge.service import open_knowledge
from kefu.settings import KnowledgeSettings
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder


@pytest.fixture
async def encoder() -> AsyncIterator[BatchedEncoder]:
    async with BatchedEncoder(HashingEncoder(), 8, 64, Metrics()) as encoder:
        yield encoder


async def test_figures(database: Database, encoder: BatchedEncoder) -> None:
    knowledge = await open_knowledge(SqlKnowledge(database), encoder, KnowledgeSettings())
    await knowledge.import_entries(
        [
            Entry("return", "怎么退货", "a"),
            Entry("invoice", "怎么开发票", "b"),
            Entry("pay", "怎么付款", "c"),
        ]
    )
    queries = [
        LabelledQuery("怎么退货？", "return"),
        LabelledQuery("怎么开发票！", "return"),  # a wrong label: sure, and not what it asks for
        LabelledQuery("今天天气", "gone"),
        LabelledQuery("怎么付款", ""),
        LabelledQuery("天上的云", ""),
    ]
    result = await evaluate(queries, knowledge, encoder)
    assert result.n == 5
    assert (result.n_unanswerable, result.unknown_ids) == (2, 1)
    assert result.hit_at_1 == round(1 / 3, 4)
    assert result.hit_at_5 == round(2 / 3, 4)
    assert result.sure_precision == round(1 / 3, 4)
    assert result.sure_recall == round(1 / 3, 4)
    assert result.wrong_sure_rate == 0.5


async def test_no_queries_no_figures(database: Database, encoder: BatchedEncoder) -> None:
    knowledge = await open_knowledge(SqlKnowledge(database), encoder, KnowledgeSettings())
    result = await evaluate([], knowledge, encoder)
    assert result == Evaluation(None, None, None, 0, None, None, None, 0, 0)


def test_reading_queries() -> None:
    assert read_queries(b"query,faq_id\nhow,1\nwhat,\n,\n") == [
        LabelledQuery("how", "1"),
        LabelledQuery("what", ""),
    ]
    with pytest.raises(InvalidFile, match="no column faq_id"):
        read_queries(b"query\nhow\n")
