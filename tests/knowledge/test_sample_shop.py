"""The sample shop with the real encoder: what the thresholds in the settings promise."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.knowledge.evaluate import LabelledQuery, evaluate, read_queries
from kefu.knowledge.sample_shop import sample_entries
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.settings import KnowledgeSettings
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from kefu.telemetry import Metrics

QUESTIONS = Path(__file__).parents[1] / "data" / "shop_questions.jsonl"
# As proposed for the defaults (docs/knowledge.md).
SETTINGS = KnowledgeSettings(sure_score=0.60, sure_margin=0.06, passage_score=0.42)
LOOKALIKES = Path(__file__).with_name("lookalikes.csv")


@pytest.fixture
async def encoder(models_dir: Path) -> AsyncIterator[BatchedEncoder]:
    model = OnnxEncoder(models_dir / "use-multilingual-v3" / "model.onnx", 1)
    async with BatchedEncoder(model, 32, 1024, Metrics()) as encoder:
        yield encoder


@pytest.fixture
async def shop(database: Database, encoder: BatchedEncoder) -> Knowledge:
    knowledge = await open_knowledge(SqlKnowledge(database), encoder, SETTINGS)
    await knowledge.import_entries(sample_entries())
    return knowledge


def questions_of(*kinds: str) -> list[LabelledQuery]:
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    return [LabelledQuery(r["query"], r["faq_id"] or "") for r in rows if r["kind"] in kinds]


def test_the_entries_are_in_two_languages() -> None:
    languages = [entry.language for entry in sample_entries()]
    assert languages.count("zh") == languages.count("en") > 100


@pytest.mark.models
async def test_every_question_of_the_shop_gets_its_own_answer(
    shop: Knowledge, encoder: BatchedEncoder
) -> None:
    result = await evaluate(questions_of("verbatim"), shop, encoder)
    assert result.hit_at_1 == result.sure_precision == result.sure_recall == 1.0


@pytest.mark.models
async def test_look_alikes_do_not_get_the_look_alikes_answer(
    shop: Knowledge, encoder: BatchedEncoder
) -> None:
    for queries in (questions_of("lookalike"), read_queries(LOOKALIKES)):
        result = await evaluate(queries, shop, encoder)
        assert result.wrong_sure_rate is not None
        assert result.wrong_sure_rate <= 0.03


@pytest.mark.models
async def test_what_the_shop_cannot_know_is_never_sure(
    shop: Knowledge, encoder: BatchedEncoder
) -> None:
    result = await evaluate(questions_of("unanswerable"), shop, encoder)
    assert result.wrong_sure_rate is not None
    assert result.wrong_sure_rate <= 0.01


@pytest.mark.models
async def test_misspelt_questions_find_their_entry(
    shop: Knowledge, encoder: BatchedEncoder
) -> None:
    result = await evaluate(questions_of("typo"), shop, encoder)
    assert result.hit_at_5 is not None
    assert result.hit_at_5 >= 0.9
    assert result.sure_precision == 1.0
