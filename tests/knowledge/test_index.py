from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.index import COSINE_WEIGHT, LEXICAL_WEIGHT, Index, Match
from kefu.knowledge.lexical import build_lexical_index
from tests.fakes import HashingEncoder

ENCODER = HashingEncoder()

RETURN = Entry("return", "怎么退货？", "点退货", ("我要退货", "退货流程"), language="zh")
INVOICE = Entry("invoice", "怎么开发票？", "点开票", language="zh")
RETURN_EN = Entry("return-en", "How do I return an item?", "Click return.", language="en")


def index_of(*entries: Entry) -> Index:
    return Index(1, [IndexedEntry(e, ENCODER.encode(e.questions)) for e in entries])


def search(index: Index, text: str, language: str = "zh", limit: int = 5) -> list[Match]:
    return index.search(text, ENCODER.encode([text])[0], language, limit)


def ids(matches: Sequence[Match]) -> list[str]:
    return [match.entry.id for match in matches]


def test_an_empty_index_finds_nothing() -> None:
    assert search(Index(0, []), "退货") == []


def test_the_best_question_of_the_best_entry_comes_first() -> None:
    best, *_ = search(index_of(INVOICE, RETURN), "退货的流程")
    assert (best.entry.id, best.question) == ("return", "退货流程")
    assert best.score == pytest.approx(
        COSINE_WEIGHT * best.cosine + LEXICAL_WEIGHT * best.lexical, abs=1e-5
    )
    assert 0 < best.relevance < best.score < 1


def test_the_customers_language_comes_first() -> None:
    index = index_of(RETURN_EN, INVOICE, RETURN)
    found = search(index, "How do I return an item", "zh")
    assert ids(found) == ["return", "invoice", "return-en"] or found[-1].entry.id == "return-en"
    assert [match.foreign for match in found] == [False, False, True]
    assert not search(index, "How do I return an item", "en")[0].foreign


def test_the_limit_counts_for_each_side() -> None:
    found = search(index_of(RETURN_EN, INVOICE, RETURN), "退货", limit=1)
    assert ids(found) == ["return", "return-en"]


def test_the_question_itself_is_exact() -> None:
    best = search(index_of(INVOICE, RETURN), " 我要退货！")[0]
    assert best.exact
    assert best.score == best.relevance == 1.0
    assert not search(index_of(INVOICE, RETURN), "？？")[0].exact


def test_the_lead_is_over_the_next_other_answer() -> None:
    twin = Entry("twin", "我要把东西退货", RETURN.answer, language="zh")
    first, second, third = search(index_of(RETURN, twin, INVOICE), "我要退货呀")
    assert third.entry is INVOICE
    assert first.lead == pytest.approx(first.score - third.score, abs=1e-5)
    assert second.lead == pytest.approx(second.score - third.score, abs=1e-5)
    assert third.lead == pytest.approx(third.score - first.score, abs=1e-5)


def test_a_lone_entry_leads_by_its_score() -> None:
    (only,) = search(index_of(RETURN), "退货呢")
    assert only.lead == pytest.approx(only.score, abs=1e-6)


def test_search_agrees_with_a_plain_loop() -> None:
    random = np.random.default_rng(7)
    words = ["退货", "发票", "运费", "会员", "积分", "支付", "order", "refund", "card"]
    texts = ["".join(random.choice(words, 4)) for _ in range(300)]
    entries = [Entry(str(i), text, f"a{i}", language="zh") for i, text in enumerate(texts)]
    index = index_of(*entries)
    lexical = build_lexical_index(texts)
    vectors = ENCODER.encode(texts)
    for query in ("积分退货 order", "会员 支付 卡", "refund"):
        vector = ENCODER.encode([query])[0]
        found = index.search(query, vector, "zh", 10)
        cosine = vectors @ vector
        fused = COSINE_WEIGHT * cosine + LEXICAL_WEIGHT * lexical.scores(query)
        expected = np.sort((fused + cosine) / 2)[::-1][:10]
        np.testing.assert_allclose([match.relevance for match in found], expected, atol=1e-5)


def test_lexical_likeness_is_a_cosine() -> None:
    index = build_lexical_index(["怎么退货", "怎么开发票", "how to refund an order"])
    scores = index.scores("怎么退货")
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert 0 < scores[1] < 0.5
    assert scores[2] == 0
    assert index.scores("怎么退货和xyz")[0] < 0.9  # what nobody asked before lowers it
    assert not index.scores("").any()
    assert build_lexical_index(["？"]).scores("退货").tolist() == [0]
