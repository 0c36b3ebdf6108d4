from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from kefu.knowledge import relevance
from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.index import Index, Match
from kefu.knowledge.vectors import indexed, texts_of
from tests.fakes import HashingEncoder

ENCODER = HashingEncoder()

RETURN = Entry("return", "怎么退货？", "点退货", ("我要退货", "退货流程"), language="zh")
INVOICE = Entry("invoice", "怎么开发票？", "点开票", language="zh")
RETURN_EN = Entry("return-en", "How do I return an item?", "Click return.", language="en")


def items_of(*entries: Entry) -> list[IndexedEntry]:
    return [indexed(entry, ENCODER.encode(texts_of(entry))) for entry in entries]


def index_of(*entries: Entry) -> Index:
    return Index(items_of(*entries))


def search(
    index: Index, text: str, language: str = "zh", limit: int = 5, today: date | None = None
) -> list[Match]:
    return index.search(text, ENCODER.encode([text])[0], language, limit, today)


def ids(matches: Sequence[Match]) -> list[str]:
    return [match.entry.id for match in matches]


def test_an_empty_index_finds_nothing() -> None:
    assert search(Index(), "退货") == []


def test_the_best_question_of_the_best_entry_comes_first() -> None:
    best, *_ = search(index_of(INVOICE, RETURN), "退货的流程")
    assert (best.entry.id, best.question) == ("return", "退货流程")
    expected = relevance.COSINE_WEIGHT * best.cosine + relevance.LEXICAL_WEIGHT * best.lexical
    assert best.score == pytest.approx(expected, abs=1e-5)
    assert 0 < best.mean < best.cosine
    assert 0 < best.relevance < 1


def test_relevance_is_made_of_its_parts() -> None:
    (match,) = search(index_of(INVOICE), "发票怎么弄")
    points = 3 * match.cosine + 2 * match.lexical + 4 * match.mean + 8 * match.text
    points += 4 * max(match.answer_cosine, relevance.LEAST_ANSWER)
    assert match.relevance == pytest.approx(points / 21, abs=1e-5)
    assert min(match.lexical, match.text, match.answer_cosine) > 0


def test_what_only_the_answer_says_is_found() -> None:
    other = replace(INVOICE, id="other", question="怎么开收据？", answer="在我的订单里下载电子凭证")
    found = search(index_of(INVOICE, other), "电子凭证")
    assert ids(found) == ["other", "invoice"]
    assert found[0].text > found[1].text == 0
    assert found[0].answer_cosine > found[1].answer_cosine


def test_the_customers_language_comes_first() -> None:
    index = index_of(RETURN_EN, INVOICE, RETURN)
    found = search(index, "How do I return an item", "zh")
    assert sorted(ids(found)[:2]) == ["invoice", "return"]
    assert [match.foreign for match in found] == [False, False, True]
    assert not search(index, "How do I return an item", "en")[0].foreign


def test_the_limit_counts_for_each_side() -> None:
    found = search(index_of(RETURN_EN, INVOICE, RETURN), "退货", limit=1)
    assert ids(found) == ["return", "return-en"]


@pytest.mark.parametrize("text", [" 我要退货！", "我要退貨"])
def test_the_question_itself_is_exact(text: str) -> None:
    best = search(index_of(INVOICE, RETURN), text)[0]
    assert best.exact
    assert best.question == "我要退货"
    assert best.score == best.relevance == 1.0
    assert not search(index_of(INVOICE, RETURN), "？？")[0].exact


def test_the_lead_is_over_the_next_other_answer() -> None:
    twin = Entry("twin", "我要把东西退货", RETURN.answer, language="zh")
    found = search(index_of(RETURN, twin, INVOICE), "我要退货呀")
    by_id = {match.entry.id: match for match in found}
    best = max(by_id["return"].score, by_id["twin"].score)
    for id_ in ("return", "twin"):
        expected = by_id[id_].score - by_id["invoice"].score
        assert by_id[id_].lead == pytest.approx(expected, abs=1e-5)
    assert by_id["invoice"].lead == pytest.approx(by_id["invoice"].score - best, abs=1e-5)


def test_a_lone_entry_leads_by_its_score() -> None:
    (only,) = search(index_of(RETURN), "退货呢")
    assert only.lead == pytest.approx(only.score, abs=1e-6)


def test_a_passage_is_found_by_one_of_its_sentences_and_rivals_nobody() -> None:
    sentences = ("开票要填税号。", "周末仓库不发货。", "积分满一百可以换券。")
    passage = Entry(
        "doc", "售后 > 其他", "".join(sentences), sentences, language="zh", kind="passage"
    )
    best, other = search(index_of(RETURN, passage), "周末仓库发货吗")
    assert (best.entry.id, best.question) == ("doc", "周末仓库不发货。")
    assert best.mean == pytest.approx(best.cosine)
    assert other.lead == pytest.approx(other.score)
    assert not search(index_of(passage), "开票要填税号")[0].exact


def test_the_sentences_of_a_passage_count_once() -> None:
    sentences = ("周末仓库不发货。", "积分满一百可以换券。")
    passage = Entry("doc", "其他", "".join(sentences), sentences, language="zh", kind="passage")
    without = replace(passage, id="without", alternatives=())
    one, other = search(index_of(passage, without), "周末发货吗")
    assert one.text == pytest.approx(other.text)


def test_disabled_entries_are_never_found() -> None:
    index = index_of(RETURN, replace(INVOICE, enabled=False))
    assert ids(search(index, "怎么开发票")) == ["return"]
    assert search(index_of(replace(INVOICE, enabled=False)), "怎么开发票") == []


def test_an_entry_is_found_from_its_first_day_to_its_last() -> None:
    sale = replace(INVOICE, valid_from=date(2026, 11, 1), valid_until=date(2026, 11, 11))
    index = index_of(sale, RETURN)
    days = {day: ids(search(index, "怎么开发票", today=date(2026, 11, day))) for day in (1, 11, 12)}
    assert days == {1: ["invoice", "return"], 11: ["invoice", "return"], 12: ["return"]}
    assert ids(search(index, "怎么开发票", today=date(2026, 10, 31))) == ["return"]


def test_a_word_with_a_wrong_letter_still_counts() -> None:
    pay = Entry("pay", "Which payment methods do you accept?", "Cards.", language="en")
    best = search(index_of(RETURN_EN, pay), "paymnet metods", "en")[0]
    assert best.entry.id == "pay"
    assert best.lexical > 0.1


def test_a_change_is_a_new_snapshot() -> None:
    first = index_of(RETURN, INVOICE)
    changed = replace(INVOICE, question="发票抬头怎么改？")
    second = first.changed(items_of(changed, RETURN_EN), {"return"})
    assert ids(search(second, "怎么改发票抬头")) == ["invoice", "return-en"]
    assert search(second, "发票抬头怎么改")[0].exact
    assert not search(second, "怎么开发票")[0].exact
    assert search(first, "怎么开发票")[0].exact
    assert not search(first, "发票抬头怎么改")[0].exact
    assert ids(search(first, "我要退货"))[0] == "return"


def test_two_changes_of_one_snapshot_do_not_mix() -> None:
    first = index_of(RETURN, INVOICE)
    pay, points = (Entry(i, q, "x", language="zh") for i, q in (("p", "怎么付款"), ("o", "积分")))
    one, other = first.changed(items_of(pay), ()), first.changed(items_of(points), ())
    assert set(ids(search(one, "积分"))) == {"return", "invoice", "p"}
    assert set(ids(search(other, "怎么付款"))) == {"return", "invoice", "o"}
    assert search(other, "积分")[0].exact
    assert not search(one, "积分")[0].exact


def test_an_entry_can_change_its_language_and_come_back() -> None:
    first = index_of(RETURN, INVOICE)
    english = replace(INVOICE, question="invoice", answer="Click.", language="en")
    second = first.changed(items_of(english), ())
    assert ids(search(second, "invoice", "en")) == ["invoice", "return"]
    third = second.changed(items_of(INVOICE), ())
    assert ids(search(third, "怎么开发票")) == ["invoice", "return"]


def test_what_is_left_scores_as_if_nothing_else_had_ever_been() -> None:
    """A desk that is started anew must decide as the one that was changed a hundred times."""
    rng = np.random.default_rng(3)
    index, kept = Index(), dict[str, Entry]()
    for _ in range(100):
        changed = [random_entry(rng, f"e{rng.integers(40)}") for _ in range(rng.integers(1, 4))]
        changed = list({entry.id: entry for entry in changed}.values())
        gone = {f"e{rng.integers(40)}"} & kept.keys() - {entry.id for entry in changed}
        index = index.changed(items_of(*changed), gone)
        kept = {i: e for i, e in kept.items() if i not in gone} | {e.id: e for e in changed}
    assert_same_answers(index, index_of(*kept.values()), rng)


def test_the_dead_are_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kefu.knowledge.shelf._LEAST_DEAD", 3)
    rng = np.random.default_rng(4)
    index = index_of(RETURN)
    for version in range(20):
        index = index.changed(items_of(replace(INVOICE, tags=(str(version),))), ())
    assert ids(search(index, "怎么开发票")) == ["invoice", "return"]
    assert_same_answers(index, index_of(RETURN, INVOICE), rng)


def test_a_first_look_finds_what_a_search_of_all_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    words = ["".join(rng.choice(list("天地人你我他山石田土木禾火手足口"), 2)) for _ in range(80)]
    entries = [random_entry(rng, f"e{i}", words) for i in range(600)]
    gone = {f"e{start - 1}" for start in range(200, 600, 100)}
    everything = index_of(*(entry for entry in entries if entry.id not in gone))
    monkeypatch.setattr("kefu.knowledge.shelf.FEW_ENTRIES", 300)
    monkeypatch.setattr("kefu.knowledge.shelf.CANDIDATES", 110)
    monkeypatch.setattr("kefu.knowledge.shelf.RIVALS", 20)
    monkeypatch.setattr("kefu.knowledge.shelf._MOST_ADDED", 250)
    some = index_of(*entries[:200])
    for start in range(200, 600, 100):  # with postings, without, and with those of earlier ones
        some = some.changed(items_of(*entries[start : start + 100]), {f"e{start - 1}"})
    assert_same_answers(some, everything, rng, words)


def test_a_first_look_finds_the_rival_that_is_not_relevant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked nearly the same, but its answer speaks of other things for long."""
    best = Entry("best", "怎么退货呢", "怎么退货。", language="zh")
    rival = Entry("rival", "怎么退货吗", "春眠不觉晓处处闻啼鸟夜来风雨声" * 20, language="zh")
    near = [Entry(f"n{i}", f"退货单{i}号", f"怎么退货{i}。", language="zh") for i in range(30)]
    full = search(index_of(best, rival, *near), "怎么退货", limit=1)
    monkeypatch.setattr("kefu.knowledge.shelf.FEW_ENTRIES", 10)
    monkeypatch.setattr("kefu.knowledge.shelf.CANDIDATES", 1)
    first_look = search(index_of(best, rival, *near), "怎么退货", limit=1)
    assert ids(first_look) == ids(full) == ["best"]
    assert first_look[0].lead == pytest.approx(full[0].lead, abs=1e-6)


WORDS = ["退货", "发票", "运费", "会员", "积分", "支付", "order", "refund", "card", "地址", "密码"]


def random_entry(rng: np.random.Generator, id_: str, words: Sequence[str] = WORDS) -> Entry:
    texts = ["".join(rng.choice(words, rng.integers(1, 5))) for _ in range(4)]
    kind = "passage" if rng.random() < 0.2 else "faq"
    return Entry(id_, texts[0], texts[1] + "。" + texts[2], (texts[3],), language="zh", kind=kind)


def assert_same_answers(
    one: Index, other: Index, rng: np.random.Generator, words: Sequence[str] = WORDS
) -> None:
    """Equally relevant entries may come in either order."""
    for _ in range(30):
        text = "".join(rng.choice(words, 3))
        here, there = search(one, text), search(other, text)
        np.testing.assert_allclose(
            [match.relevance for match in here], [match.relevance for match in there], atol=1e-6
        )
        by_id = {match.entry.id: match for match in there}
        for match in here:
            if twin := by_id.get(match.entry.id):
                figures = ("score", "lead", "mean", "text", "answer_cosine")
                a, b = ([getattr(m, figure) for figure in figures] for m in (match, twin))
                assert a == pytest.approx(b, abs=1e-6)
                assert match.question == twin.question
