"""Heads learn what the examples say, are told to disturb few, and can be taught further."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from kefu.errors import InvalidInput
from kefu.moderation import calibrating
from kefu.moderation.categories import Category
from kefu.moderation.examples import Example, digest
from kefu.moderation.fitting import terms_of
from kefu.moderation.semantic import SemanticHead
from kefu.moderation.training import train
from tests.fakes import HashingEncoder
from tests.moderation.small_heads import examples, trained, varied

ENCODER = HashingEncoder()


def scores(head: SemanticHead, text: str) -> dict[Category, float]:
    return head.scores(text, ENCODER.encode([text])[0])


def taught(new: list[Example], start: SemanticHead, **how: float) -> SemanticHead:
    return train(new, ENCODER.encode, ENCODER.id, start=start, **how).head


def test_each_category_is_told_from_the_other_and_from_innocents():
    head = trained().head
    assert head.categories == (Category.ABUSE, Category.GAMBLING)
    insult, game = scores(head, "你就是个白痴废物"), scores(head, "开户送彩金百家乐")
    assert insult[Category.ABUSE] > 0.5 > insult[Category.GAMBLING]
    assert game[Category.GAMBLING] > 0.5 > game[Category.ABUSE]
    for innocent in ("运费多少", "店里抽奖规则", "when do you ship"):
        assert max(scores(head, innocent).values()) < 0.5, innocent


def test_figures_are_of_texts_that_were_held_out():
    made = trained()
    abuse, gambling = made.figures.categories
    assert (abuse.bad, abuse.near_misses, gambling.bad, gambling.near_misses) == (40, 0, 40, 40)
    assert abuse.auroc_near_misses is None
    assert gambling.auroc_near_misses is not None
    assert gambling.auroc_near_misses > 0.95
    assert made.figures.everyday == 40
    assert made.data_sha256 == digest(examples())


def test_labels_that_mean_nothing_show_in_the_figures():
    """A head that was measured on what it had learnt would still look good."""
    shuffled = random.Random(3).sample([e.is_bad for e in examples()], len(examples()))
    drawn = [
        replace(e, is_bad=bad, category=Category.ABUSE)
        for e, bad in zip(examples(), shuffled, strict=True)
    ]
    (found,) = train(drawn, ENCODER.encode, ENCODER.id).figures.categories
    assert found.auroc_near_misses is not None
    assert found.auroc_near_misses < 0.75


def test_the_same_examples_in_another_order_are_the_same_head():
    again = train(examples()[::-1], ENCODER.encode, ENCODER.id).head
    assert np.array_equal(again.of_wording, trained().head.of_wording)
    assert again.thresholds == trained().head.thresholds


def test_at_most_the_stated_share_of_everyday_messages_is_held(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calibrating, "LOWEST_HOLD", 0)
    monkeypatch.setattr(calibrating, "FEWEST_EVERYDAY", 40)
    for share in (0.0, 0.2):
        found = train(examples(), ENCODER.encode, ENCODER.id, false_holds=share).figures
        assert found.everyday_held is not None
        assert share - 0.1 <= found.everyday_held <= share


def test_what_the_head_thinks_innocent_is_never_held(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calibrating, "FEWEST_EVERYDAY", 40)
    limits = train(examples(), ENCODER.encode, ENCODER.id, false_holds=0.9).head.thresholds
    assert {limit.hold for limit in limits.values()} == {calibrating.LOWEST_HOLD}


def test_few_near_misses_are_held(monkeypatch: pytest.MonkeyPatch):
    """Alike near misses and bad texts: without a say of the near misses half of them are held."""
    same = [
        Example(text, bad, Category.ABUSE)
        for bad in (True, False)
        for text in varied(("垃圾", "破店", "什么玩意", "rubbish"))
    ]
    same = [replace(e, text=e.text + ("了" if e.is_bad else "吗")) for e in same]
    given = [*same, *(e for e in examples() if e.category is None)]
    monkeypatch.setattr(calibrating, "LOWEST_HOLD", 0)
    monkeypatch.setattr(calibrating, "FEWEST_NEAR_MISSES", 20)
    (found,) = train(given, ENCODER.encode, ENCODER.id, false_holds=0.5).figures.categories
    assert found.mistaken is not None
    assert found.mistaken <= calibrating.NEAR_MISSES_HELD
    monkeypatch.setattr(calibrating, "FEWEST_NEAR_MISSES", 1000)
    (found,) = train(given, ENCODER.encode, ENCODER.id, false_holds=0.5).figures.categories
    assert found.mistaken is not None
    assert found.mistaken > calibrating.NEAR_MISSES_HELD


def test_what_is_said_elsewhere_is_learnt_and_not_asked():
    forum = [
        *(Example(text, True, Category.ABUSE, elsewhere=True) for text in varied(("狗东西",))),
        *(Example(text, False, Category.ABUSE, elsewhere=True) for text in varied(("东北人",))),
    ]
    made = train([*examples(), *forum], ENCODER.encode, ENCODER.id)
    known, before = scores(made.head, "狗东西"), scores(trained().head, "狗东西")
    assert known[Category.ABUSE] > before[Category.ABUSE] + 0.1
    assert [f.near_misses for f in made.figures.categories] == [0, 40]
    assert [f.bad for f in made.figures.categories] == [40, 40]


def test_nothing_is_blocked_by_meaning_alone():
    assert {limits.block for limits in trained().head.thresholds.values()} == {1.0}
    assert max(scores(trained().head, "白痴废物蠢猪" * 20).values()) < 1.0


def test_what_is_taught_further_is_learnt_and_the_rest_kept():
    start = trained().head
    new = [
        *(Example(text, True, Category.ABUSE) for text in varied(("你是老鼠屎", "rat face"))),
        *(Example(text, False) for text in varied(("谢谢老板", "老鼠夹有货吗"))),
    ]
    head = taught(new, start)
    assert scores(head, "老鼠屎")[Category.ABUSE] > scores(start, "老鼠屎")[Category.ABUSE] + 0.1
    for text in ("开户送彩金", "你这个废物", "运费多少钱"):
        before, after = scores(start, text), scores(head, text)
        assert [score > 0.5 for score in after.values()] == [s > 0.5 for s in before.values()]
    assert head.thresholds == start.thresholds


def test_a_shop_that_only_sends_what_is_bad_does_not_make_everything_bad():
    start = trained().head
    new = [Example(text, True, Category.ABUSE) for text in varied(("你是老鼠屎", "rat face"))]
    head = taught(new, start)
    after = scores(head, "什么时候发货")[Category.ABUSE]
    assert after < head.thresholds[Category.ABUSE].hold


def test_teaching_nothing_new_changes_next_to_nothing():
    """The way to the fitted weights and back loses no more than half precision does."""
    start = trained().head
    head = taught([Example("什么时候发货", False)], start)
    for text in ("你这个废物", "开户送彩金", "运费多少钱", "lucky draw"):
        for category, before in scores(start, text).items():
            assert scores(head, text)[category] == pytest.approx(before, abs=0.05)


def test_a_text_that_weighs_more_counts_more():
    heavy = [replace(e, weight=20.0 if "抽奖" in e.text else 1.0) for e in examples()]
    head = train(heavy, ENCODER.encode, ENCODER.id).head
    text = "抽奖怎么参加"
    buckets = head.of_wording[terms_of([text]).indices, 1].sum()
    assert buckets < trained().head.of_wording[terms_of([text]).indices, 1].sum()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "0 innocent texts and 0 bad ones"),
        (examples()[:40], "0 innocent texts and 40 bad ones"),
        (examples()[80:], "80 innocent texts and 0 bad ones"),
        ([replace(e, elsewhere=True) for e in examples()], "0 innocent texts and 0 bad ones"),
    ],
)
def test_too_little_to_learn_from(given: list[Example], said: str):
    with pytest.raises(InvalidInput, match=said):
        train(given, ENCODER.encode, ENCODER.id)


def test_a_head_cannot_be_taught_with_other_vectors_or_of_what_it_does_not_know():
    start = trained().head
    with pytest.raises(InvalidInput, match="vectors of the encoder 'hashing-128'"):
        train(examples(), ENCODER.encode, "another", start=start)
    with pytest.raises(InvalidInput, match="does not know fraud"):
        taught([Example("转账到安全账户", True, Category.FRAUD)], start)
    with pytest.raises(InvalidInput, match="no examples"):
        taught([], start)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none(share: float):
    with pytest.raises(InvalidInput, match="is no share of messages"):
        train(examples(), ENCODER.encode, ENCODER.id, false_holds=share)
