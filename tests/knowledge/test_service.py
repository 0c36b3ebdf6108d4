"""The snapshot in memory and the store agree, whoever changes what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from kefu.errors import InvalidInput
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.entry import Entry
from kefu.knowledge.match import Nothing, Sure
from kefu.knowledge.service import ImportReport, Knowledge, open_knowledge
from kefu.settings import KnowledgeSettings
from kefu.stores.sqlite import Database
from kefu.stores.sqlite_knowledge import SqliteKnowledge
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder

SETTINGS = KnowledgeSettings()
RETURN = Entry("return", "怎么退货？", "点退货", ("我要退货", "退货流程"))
INVOICE = Entry("invoice", "怎么开发票？", "点开票", tags=("发票",))


class OtherEncoder(HashingEncoder):
    id = "hashing-other"


@pytest.fixture
async def encoder() -> AsyncIterator[BatchedEncoder]:
    async with BatchedEncoder(HashingEncoder(), 8, 64, Metrics()) as encoder:
        yield encoder


@pytest.fixture
def store(database: Database) -> SqliteKnowledge:
    return SqliteKnowledge(database)


@pytest.fixture
async def knowledge(store: SqliteKnowledge, encoder: BatchedEncoder) -> Knowledge:
    return await open_knowledge(store, encoder, SETTINGS)


async def best_id(knowledge: Knowledge, encoder: BatchedEncoder, text: str) -> str:
    return knowledge.search(text, await encoder.encode(text), "zh")[0].entry.id


async def test_an_import_is_found_at_once(knowledge: Knowledge, encoder: BatchedEncoder) -> None:
    assert knowledge.decide("怎么退货", []) == Nothing()
    report = await knowledge.import_entries([RETURN, INVOICE])
    assert report == ImportReport(added=2, changed=0, unchanged=0, version=1)
    assert knowledge.version == 1
    assert knowledge.entries["return"] == replace(RETURN, language="zh")
    text = "我要 退货！"
    decision = knowledge.decide(text, knowledge.search(text, await encoder.encode(text), "zh"))
    assert isinstance(decision, Sure)
    assert decision.entry.id == "return"


async def test_only_what_changed_is_encoded(knowledge: Knowledge) -> None:
    await knowledge.import_entries([RETURN, INVOICE])
    seen: list[tuple[int, int]] = []
    changed = replace(INVOICE, answer="点申请开票")
    extra = Entry("pay", "怎么付款？", "微信")
    report = await knowledge.import_entries(
        [RETURN, changed, extra], lambda done, total: seen.append((done, total))
    )
    assert report == ImportReport(added=1, changed=1, unchanged=1, version=2)
    assert seen == [(2, 2)]
    assert knowledge.entries["invoice"].answer == "点申请开票"


async def test_importing_the_same_again_changes_nothing(knowledge: Knowledge) -> None:
    await knowledge.import_entries([RETURN])
    assert await knowledge.import_entries([RETURN]) == ImportReport(0, 0, 1, 1)


async def test_compare_only_looks(knowledge: Knowledge) -> None:
    await knowledge.import_entries([RETURN])
    changed = replace(RETURN, tags=("售后",))
    assert await knowledge.compare([changed, INVOICE]) == ImportReport(1, 1, 0, 1)
    assert set(knowledge.entries) == {"return"}


async def test_another_process_is_noticed(
    knowledge: Knowledge, store: SqliteKnowledge, encoder: BatchedEncoder
) -> None:
    assert not await knowledge.refresh()
    other = await open_knowledge(store, encoder, SETTINGS)
    await other.import_entries([RETURN, INVOICE])
    assert not knowledge.entries
    assert await knowledge.refresh()
    assert await best_id(knowledge, encoder, "怎么开发票呢") == "invoice"
    await other.delete_entries(["invoice", "never-there"])
    assert await knowledge.refresh()
    assert set(knowledge.entries) == {"return"}
    assert not await knowledge.refresh()


async def test_vectors_of_another_encoder_are_made_anew(
    knowledge: Knowledge, store: SqliteKnowledge, encoder: BatchedEncoder
) -> None:
    await knowledge.import_entries([RETURN, INVOICE])
    async with BatchedEncoder(OtherEncoder(), 8, 64, Metrics()) as other_encoder:
        other = await open_knowledge(store, other_encoder, SETTINGS)
        assert set(other.entries) == {"return", "invoice"}
        _, indexed, strange = store.load("hashing-other")
        assert (len(indexed), strange) == (2, [])
        by_id = {item.entry.id: item for item in indexed}
        expected = HashingEncoder().encode(RETURN.questions)
        np.testing.assert_allclose(by_id["return"].vectors, expected, rtol=1e-6)
        assert await best_id(other, other_encoder, "退货") == "return"


async def test_bad_entries_are_refused_whole(knowledge: Knowledge) -> None:
    with pytest.raises(InvalidInput, match="answer: is empty"):
        await knowledge.import_entries([RETURN, Entry("x", "q", " ")])
    with pytest.raises(InvalidInput, match="same id"):
        await knowledge.import_entries([RETURN, RETURN])
    assert not knowledge.entries
    assert await knowledge.import_entries([]) == ImportReport(0, 0, 0, 0)
