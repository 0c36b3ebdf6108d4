from __future__ import annotations

from dataclasses import replace

import pytest

from kefu.errors import InvalidInput
from kefu.gaps.golden import GoldenQuestion, Standing
from kefu.gaps.promotion import Draft, PromotionReport, promote
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.entry import Entry
from kefu.knowledge.importing import derived_id
from kefu.knowledge.service import Knowledge
from kefu.stores.golden import SqlGolden

GIFT = Draft("可以包装成礼物吗", "可以，下单时选“礼品包装”。")


class Shop:
    """Everything a promotion works on."""

    def __init__(self, knowledge: Knowledge, encoder: BatchedEncoder, golden: SqlGolden):
        self.knowledge, self.encoder, self.golden = knowledge, encoder, golden

    async def promote(self, draft: Draft, **how: bool) -> PromotionReport:
        return await promote(draft, self.knowledge, self.encoder, self.golden, **how)

    def state(self) -> tuple[int, dict[str, Entry], list[GoldenQuestion]]:
        return self.knowledge.version, dict(self.knowledge.entries), self.golden.all()


@pytest.fixture
def shop(knowledge: Knowledge, encoder: BatchedEncoder, golden: SqlGolden) -> Shop:
    return Shop(knowledge, encoder, golden)


async def test_a_harmless_answer_is_an_entry_at_once_and_golden(shop: Shop) -> None:
    shop.golden.save([GoldenQuestion("运费是多少", "fee"), GoldenQuestion("wxyz", "")])
    draft = replace(GIFT, alternatives=("能送礼吗", GIFT.question, ""), tags=("礼物",))
    report = await shop.promote(draft)
    assert (report.saved, report.doubt, report.replayed) == (True, "", 2)
    assert report.broken == report.mended == ()
    expected = Entry(
        derived_id(GIFT.question), GIFT.question, GIFT.answer, ("能送礼吗",), ("礼物",), "zh"
    )
    assert report.entry == shop.knowledge.entries[expected.id] == expected
    assert GoldenQuestion(GIFT.question, expected.id) in shop.golden.all()
    assert len(shop.golden.all()) == 3


@pytest.mark.parametrize(
    ("asked", "was", "would_be"),
    [
        (GoldenQuestion("要付邮费吗", "fee"), Standing.SURE, Standing.FIRST),
        (GoldenQuestion("退货运费是多少", ""), Standing.SURE, Standing.WRONG),
    ],
    ids=["sure no longer", "answered though none may"],
)
async def test_what_breaks_a_golden_question_is_not_saved(
    shop: Shop, asked: GoldenQuestion, was: Standing, would_be: Standing
) -> None:
    shop.golden.save([asked])
    before = shop.state()
    draft = Draft("退货的邮费谁付", "卖家付。", ("要付邮费吗", "退货运费是多少"))
    report = await shop.promote(draft)
    (broken,) = report.broken
    assert (broken.question, broken.entry_id) == (asked.question, asked.entry_id)
    assert broken.was.standing == was
    assert broken.would_be.standing in (would_be, Standing.LOST)
    assert not report.saved
    assert shop.state() == before

    forced = await shop.promote(draft, force=True)
    assert forced.saved
    assert forced.broken == report.broken
    assert forced.entry.id in shop.knowledge.entries


async def test_a_dry_run_saves_nothing(shop: Shop) -> None:
    before = shop.state()
    report = await shop.promote(GIFT, dry_run=True, force=True)
    assert report.is_harmless
    assert not report.saved
    assert shop.state() == before


async def test_what_it_mends_is_shown(shop: Shop) -> None:
    shop.golden.save([GoldenQuestion("邮费到付行不行", "fee")])
    assert (await shop.promote(GIFT, dry_run=True)).mended == ()
    draft = Draft("运费是多少", "运费8元。", ("邮费到付行不行",), id="fee")
    (mended,) = (await shop.promote(draft)).mended
    assert mended.would_be.standing == Standing.SURE > mended.was.standing


async def test_a_question_that_none_might_answer_is_answered_now(shop: Shop) -> None:
    """That is what a person's answer is for: it is no break, and the old word is forgotten."""
    shop.golden.save([GoldenQuestion("可以包装成礼物吗？", "")])
    report = await shop.promote(GIFT)
    assert report.saved
    assert shop.golden.all() == [GoldenQuestion(GIFT.question, report.entry.id)]


async def test_a_second_answer_to_a_question_is_no_answer(shop: Shop) -> None:
    """Two entries answer it differently, so neither would go out: that must be said."""
    shop.golden.save([GoldenQuestion("运费是多少", "fee")])
    before = shop.state()
    report = await shop.promote(Draft("运费是多少？", "运费10元。", id="fee-2"))
    assert "two entries" in report.doubt
    assert [change.entry_id for change in report.broken] == ["fee"]
    assert not report.saved
    assert shop.state() == before


async def test_an_entry_is_replaced_by_its_id(shop: Shop) -> None:
    report = await shop.promote(Draft("运费要多少", "运费10元。", id="fee"))
    assert report.saved
    fee = shop.knowledge.entries["fee"]
    assert (fee.question, fee.answer) == ("运费要多少", "运费10元。")
    assert (fee.alternatives, fee.tags) == (("要付邮费吗",), ("delivery",))
    assert len(shop.knowledge.entries) == 2


async def test_an_entry_with_the_question_is_not_replaced_by_accident(shop: Shop) -> None:
    await shop.promote(GIFT)
    before = shop.state()
    with pytest.raises(InvalidInput, match="Give its id"):
        await shop.promote(replace(GIFT, answer="不可以。"))
    assert shop.state() == before


async def test_a_passage_of_a_document_is_not_replaced(shop: Shop) -> None:
    passage = Entry("doc-1", "退货政策 > 运费", "运费由买家付。", kind="passage", source="退货.md")
    await shop.knowledge.import_entries([passage])
    with pytest.raises(InvalidInput, match=r"a passage of 退货\.md"):
        await shop.promote(replace(GIFT, id="doc-1"))
    assert shop.knowledge.entries["doc-1"].kind == "passage"


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (replace(GIFT, answer=" "), "answer: is empty"),
        (replace(GIFT, question="问" * 501), "question: has 501 characters"),
        (replace(GIFT, id="a b"), "id: "),
        (replace(GIFT, language="fr"), "language: "),
    ],
)
async def test_what_can_be_no_entry_is_refused(shop: Shop, draft: Draft, words: str) -> None:
    before = shop.state()
    with pytest.raises(InvalidInput, match=words):
        await shop.promote(draft, force=True)
    assert shop.state() == before
