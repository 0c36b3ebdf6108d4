"""The snapshot in memory and the store agree, whoever changes what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kefu.errors import InvalidInput, NotFound
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.changes import Changes
from kefu.knowledge.editing import delete_entries, delete_source, switch_entries
from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.match import Nothing, Sure
from kefu.knowledge.service import ImportReport, Knowledge
from kefu.knowledge.sources import Source
from kefu.knowledge.vectors import indexed, texts_of
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder
from tests.knowledge.searched import Searched

RETURN = Entry("return", "怎么退货？", "点退货", ("我要退货", "退货流程"))
INVOICE = Entry("invoice", "怎么开发票？", "点开票", tags=("发票",))
INVOICE_ZH = replace(INVOICE, language="zh")


class OtherEncoder(HashingEncoder):
    id = "hashing-other"


async def best_id(knowledge: Knowledge, encoder: BatchedEncoder, text: str) -> str:
    return (await knowledge.search(text, await encoder.encode(text), "zh"))[0].entry.id


async def test_an_import_is_found_at_once(knowledge: Knowledge, encoder: BatchedEncoder) -> None:
    assert knowledge.decide("怎么退货", []) == Nothing()
    report = await knowledge.import_entries([RETURN, INVOICE])
    assert report == ImportReport(added=2, changed=0, unchanged=0, version=1)
    assert knowledge.version == 1
    assert knowledge.entries["return"] == replace(RETURN, language="zh")
    text = "我要 退货！"
    decision = knowledge.decide(
        text, await knowledge.search(text, await encoder.encode(text), "zh")
    )
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
    assert seen == [(4, 4)]  # two questions, two answers
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
    knowledge: Knowledge, store: SqlKnowledge, encoder: BatchedEncoder, searched: Searched
) -> None:
    assert not await knowledge.refresh()
    other = await searched.open(store, encoder)
    await other.import_entries([RETURN, INVOICE])
    assert not knowledge.entries
    assert await knowledge.refresh()
    assert await best_id(knowledge, encoder, "怎么开发票呢") == "invoice"
    await other.delete_entries(["invoice", "never-there"])
    assert await knowledge.refresh()
    assert set(knowledge.entries) == {"return"}
    assert not await knowledge.refresh()


async def test_listeners_hear_what_changed_once_it_can_be_found(
    knowledge: Knowledge, store: SqlKnowledge, encoder: BatchedEncoder, searched: Searched
) -> None:
    heard: list[tuple[set[str], frozenset[str], set[str]]] = []

    def listen(changed: tuple[IndexedEntry, ...], gone: frozenset[str]) -> None:
        heard.append(({item.entry.id for item in changed}, gone, set(knowledge.entries)))

    knowledge.on_change(listen)
    await knowledge.import_entries([RETURN, INVOICE])
    await knowledge.edit_entry("return", answer="点申请退货")
    await knowledge.edit_entry("return", tags=("x",))
    await knowledge.delete_entries(["return"])
    other = await searched.open(store, encoder)
    await other.import_entries([RETURN, Entry("pay", "怎么付款？", "微信")])
    await other.delete_entries(["invoice"])
    await knowledge.refresh()
    both = {"return", "invoice"}
    assert heard == [
        (both, frozenset(), both),
        ({"return"}, frozenset(), both),
        ({"return"}, frozenset(), both),
        (set(), frozenset({"return"}), {"invoice"}),
        ({"return", "pay"}, frozenset({"invoice"}), {"return", "pay"}),
    ]


async def test_what_was_deleted_and_is_back_is_found(
    knowledge: Knowledge, store: SqlKnowledge, encoder: BatchedEncoder, searched: Searched
) -> None:
    await knowledge.import_entries([RETURN, INVOICE])
    await knowledge.delete_entries(["return"])
    other = await searched.open(store, encoder)
    await other.import_entries([RETURN])
    await knowledge.refresh()
    assert set(knowledge.entries) == {"return", "invoice"}


async def test_one_change_reads_one_entry(
    knowledge: Knowledge, store: SqlKnowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await knowledge.import_entries([RETURN, INVOICE])
    read: list[object] = []
    changes = store.changes

    def noted(known: Mapping[str, str], encoder_id: str, among: object, *rest: object) -> Changes:
        read.append(among)
        return changes(known, encoder_id, among, *rest)

    monkeypatch.setattr(store, "changes", noted)
    await knowledge.edit_entry("return", answer="点申请退货")
    assert read == [["return"]]
    assert knowledge.entries["return"].answer == "点申请退货"


async def test_a_change_beside_one_of_another_process_shows_both(
    knowledge: Knowledge,
    store: SqlKnowledge,
    encoder: BatchedEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between this desk's commit and its reading of it."""
    await knowledge.import_entries([RETURN])
    save = store.save

    def saved_twice(*args: Any, **options: Any) -> int | None:
        version = save(*args, **options)
        save([indexed(INVOICE_ZH, HashingEncoder().encode(texts_of(INVOICE_ZH)))], encoder.id)
        return version

    monkeypatch.setattr(store, "save", saved_twice)
    await knowledge.edit_entry("return", answer="点申请退货")
    assert set(knowledge.entries) == {"return", "invoice"}
    assert knowledge.entries["return"].answer == "点申请退货"
    assert knowledge.version == store.version() == 3


async def test_much_is_read_in_steps(
    knowledge: Knowledge,
    store: SqlKnowledge,
    encoder: BatchedEncoder,
    monkeypatch: pytest.MonkeyPatch,
    searched: Searched,
) -> None:
    monkeypatch.setattr("kefu.knowledge.service._ENTRIES_PER_STEP", 2)
    entries = [Entry(f"e{number}", f"第{number}个问题", f"第{number}个答案") for number in range(5)]
    await knowledge.import_entries(entries)
    other = await searched.open(store, encoder)
    assert set(other.entries) == {entry.id for entry in entries}
    assert await best_id(other, encoder, "第3个问题") == "e3"


async def test_a_trial_changes_nothing(knowledge: Knowledge, encoder: BatchedEncoder) -> None:
    await knowledge.import_entries([RETURN])
    trial = await knowledge.with_entries([INVOICE])
    vector = await encoder.encode("怎么开发票")
    (match, *_) = await trial.search("怎么开发票", vector, "zh")
    assert match.entry.id == "invoice"
    assert await best_id(knowledge, encoder, "怎么开发票") == "return"
    await knowledge.import_entries([Entry("pay", "怎么付款？", "微信")])
    assert set(knowledge.entries) == {"return", "pay"}
    assert await best_id(knowledge, encoder, "怎么开发票") != "invoice"


async def test_entries_that_an_older_kefu_saved_get_the_vectors_they_lack(
    knowledge: Knowledge,
    database: Database,
    store: SqlKnowledge,
    encoder: BatchedEncoder,
    searched: Searched,
) -> None:
    await knowledge.import_entries([RETURN])
    shorter = (
        "UPDATE entry_vectors SET vectors = substr(vectors, 1, length(vectors) - 4 * dimensions)"
    )
    database.write(lambda connection: connection.exec_driver_sql(shorter))
    other = await searched.open(store, encoder)
    (match,) = await other.search("点退货", await encoder.encode("点退货"), "zh")
    assert match.answer_cosine == pytest.approx(1, abs=1e-3)


async def test_vectors_of_another_encoder_are_made_anew(
    knowledge: Knowledge, store: SqlKnowledge, encoder: BatchedEncoder, searched: Searched
) -> None:
    await knowledge.import_entries([RETURN, INVOICE])
    async with BatchedEncoder(OtherEncoder(), 8, 64, Metrics()) as other_encoder:
        other = await searched.open(store, other_encoder)
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


def table(*entries: Entry, name: str = "faq.csv") -> Source:
    columns = frozenset({"id", "question", "answer", "alternatives", "tags"})
    return Source(name, True, tuple(replace(e, source=name) for e in entries), columns)


async def test_a_source_is_imported_at_once_and_the_preview_tells_the_same(
    knowledge: Knowledge, encoder: BatchedEncoder
) -> None:
    preview = await knowledge.plan_import([table(RETURN, INVOICE)])
    assert (preview.count("added"), dict(knowledge.entries)) == (2, {})
    plan = await knowledge.import_sources([table(RETURN, INVOICE)])
    assert plan == preview
    assert await best_id(knowledge, encoder, "怎么开发票呢") == "invoice"
    plan = await knowledge.import_sources([table(RETURN)], replace_rows=True)
    assert [entry.id for entry in plan.sources[0].removed] == ["invoice"]
    assert (set(knowledge.entries), knowledge.version) == ({"return"}, 2)
    await knowledge.import_sources([table(RETURN)])
    assert knowledge.version == 2


async def test_only_new_texts_are_encoded(
    knowledge: Knowledge, encoder: BatchedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await knowledge.import_sources([table(RETURN, INVOICE)])
    encoded: list[str] = []
    encode_many = encoder.encode_many

    async def noted(texts: Sequence[str]) -> object:
        encoded.extend(texts)
        return await encode_many(texts)

    monkeypatch.setattr(encoder, "encode_many", noted)
    new_tag = replace(RETURN, tags=("售后",))
    await knowledge.import_sources([table(new_tag, replace(INVOICE, question="发票怎么开？"))])
    assert encoded == ["发票怎么开？", "点开票"]
    assert knowledge.entries["return"].tags == ("售后",)
    assert await best_id(knowledge, encoder, "我要退货") == "return"


async def test_entries_are_put_and_edited_one_by_one(knowledge: Knowledge) -> None:
    await knowledge.import_sources([table(RETURN)])
    assert await knowledge.put_entry(Entry("pay", "怎么付款？", "微信"))
    assert not await knowledge.put_entry(Entry("return", "怎么退？", "点退货"))
    assert knowledge.entries["return"].source == "faq.csv"
    assert knowledge.entries["pay"].source == ""
    edited = await knowledge.edit_entry("pay", answer="支付宝", enabled=False)
    assert (edited.question, edited.answer, edited.enabled) == ("怎么付款？", "支付宝", False)
    with pytest.raises(NotFound, match="no entry 'none'"):
        await knowledge.edit_entry("none", answer="x")
    with pytest.raises(InvalidInput, match="answer: is empty"):
        await knowledge.edit_entry("pay", answer=" ")
    assert knowledge.entries["pay"] == edited


async def test_a_passage_with_another_text_is_found_by_its_new_sentences(
    knowledge: Knowledge,
) -> None:
    passage = Entry("p", "退货", "旧的句子写在这里。", ("旧的句子写在这里。",), kind="passage")
    await knowledge.import_entries([passage])
    sentences = ("新的第一句话就写在这里了。", "新的第二句话也写在这里了。")
    edited = await knowledge.edit_entry("p", answer="".join(sentences))
    assert edited.alternatives == sentences


async def test_a_source_is_deleted_whole(knowledge: Knowledge) -> None:
    await knowledge.import_sources([table(RETURN), table(INVOICE, name="b.csv")])
    assert await knowledge.delete_source("faq.csv") == 1
    assert set(knowledge.entries) == {"invoice"}
    with pytest.raises(NotFound, match="no source"):
        await knowledge.delete_source("faq.csv")


async def test_a_change_meets_what_another_process_has_just_changed(
    knowledge: Knowledge, store: SqlKnowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one writes while this one encodes: nothing of either is lost."""
    await knowledge.import_sources([table(RETURN)])
    meddled = False
    encode = knowledge._encode

    async def meddling(*args: object) -> object:
        nonlocal meddled
        result = await encode(*args)
        if not meddled:
            meddled = True
            switch_entries(store, ["return"], enabled=False)
        return result

    monkeypatch.setattr(knowledge, "_encode", meddling)
    await knowledge.import_sources([table(RETURN, INVOICE)])
    assert set(knowledge.entries) == {"return", "invoice"}
    assert not knowledge.entries["return"].enabled


async def test_entries_are_switched_and_deleted_without_an_encoder(
    knowledge: Knowledge, store: SqlKnowledge
) -> None:
    await knowledge.import_sources([table(RETURN, INVOICE)])
    assert switch_entries(store, ["return", "return"], enabled=False) == 1
    assert switch_entries(store, ["return"], enabled=False) == 0
    with pytest.raises(NotFound, match=r"'x'\. Nothing was changed"):
        delete_entries(store, ["invoice", "x"])
    assert delete_entries(store, ["invoice"]) == 1
    assert await knowledge.refresh()
    assert [(e.id, e.enabled) for e in knowledge.entries.values()] == [("return", False)]
    assert delete_source(store, "faq.csv") == 1
    with pytest.raises(NotFound, match="no source"):
        delete_source(store, "faq.csv")
