"""The two likenesses against their formulas in plain Python, and the postings against them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from kefu.knowledge.lexical import (
    SATURATION,
    Postings,
    QuestionTerms,
    Rarity,
    TermRows,
    TextTerms,
    Vocabulary,
    questions_as_rows,
    texts_as_rows,
)
from kefu.terms import count_terms, lexical_terms, weight_of

TEXTS = ["怎么退货", "怎么开发票，发票多久到", "how to refund an order", "退货退款，退货地址", "？"]
QUERIES = ["怎么退货", "发票", "refunds of xyz", "", "退货多久"]


class Texts:
    def __init__(self, texts: Sequence[str]) -> None:
        self.vocabulary = Vocabulary()
        counted = [count_terms(text) for text in texts]
        self.questions = questions_as_rows(counted, self.vocabulary)
        self.texts = texts_as_rows(counted, self.vocabulary)
        lengths = self.texts.lengths()
        self.lengths = (lengths / lengths.mean()).astype(np.float32)
        self.rows = np.arange(len(texts))

    def rarity(self, rows: TermRows) -> Rarity:
        return Rarity.of_nothing().changed(len(self.vocabulary), rows, None)

    def questions_like(self, query: str) -> list[float]:
        asked, rarity = self.vocabulary.queries([count_terms(query)]), self.rarity(self.questions)
        return list(QuestionTerms.of(self.questions, rarity, self.rows).likeness(asked)[0])

    def texts_like(self, query: str) -> list[float]:
        asked, rarity = self.vocabulary.queries([count_terms(query)]), self.rarity(self.texts)
        return list(TextTerms.of(self.texts, rarity, self.rows, self.lengths).likeness(asked)[0])


def found_in(term: str) -> int:
    return sum(term in count_terms(text) for text in TEXTS)


def cosine(query: str, text: str) -> float:
    def vector(of: str) -> dict[str, float]:
        return {
            term: weight * math.log1p(len(TEXTS) / (found_in(term) or 0.5))
            for term, weight in lexical_terms(of).items()
        }

    a, b = vector(query), vector(text)
    lengths = math.hypot(*a.values()) * math.hypot(*b.values())
    return sum(a[term] * b.get(term, 0) for term in a) / lengths if lengths else 0.0


def bm25(query: str, text: str) -> float:
    def length(of: str) -> float:
        return sum(weight_of(term) * times for term, times in count_terms(of).items())

    share = length(text) / (sum(map(length, TEXTS)) / len(TEXTS))
    got = most = 0.0
    for term, weight in lexical_terms(query).items():
        rare = math.log1p((len(TEXTS) - found_in(term) + 0.5) / (found_in(term) + 0.5))
        most += weight * rare * (SATURATION + 1)
        times = count_terms(text)[term] * weight
        if times:
            got += weight * rare * times * (SATURATION + 1) / (times + SATURATION * share)
    return got / most if most else 0.0


@pytest.mark.parametrize("query", QUERIES)
def test_questions_are_compared_by_the_cosine_of_rare_terms(query: str) -> None:
    expected = [cosine(query, text) for text in TEXTS]
    assert Texts(TEXTS).questions_like(query) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("query", QUERIES)
def test_texts_are_compared_by_bm25(query: str) -> None:
    expected = [bm25(query, text) for text in TEXTS]
    assert Texts(TEXTS).texts_like(query) == pytest.approx(expected, abs=1e-5)


def test_what_nobody_asked_before_lowers_the_likeness() -> None:
    texts = Texts(TEXTS)
    assert texts.questions_like("怎么退货")[0] == pytest.approx(1, abs=1e-5)
    assert texts.questions_like("怎么退货和xyz")[0] < 0.9


@pytest.mark.parametrize("query", QUERIES)
def test_postings_come_near(query: str) -> None:
    texts = Texts(TEXTS)
    rarity = texts.rarity(texts.texts)
    postings = Postings(texts.texts, len(TEXTS), len(texts.vocabulary), texts.lengths)
    found = postings.likeness(texts.vocabulary.queries([count_terms(query)]), rarity)
    assert list(found) == pytest.approx(texts.texts_like(query), abs=0.01)


def test_terms_that_came_after_a_snapshot_are_strange_to_it() -> None:
    texts = Texts(TEXTS)
    rarity = texts.rarity(texts.questions)
    terms = QuestionTerms.of(texts.questions, rarity, texts.rows)
    before = terms.likeness(texts.vocabulary.queries([count_terms("退货 newword")]))
    texts.vocabulary.numbers_of(list(count_terms("newword")))
    after = terms.likeness(texts.vocabulary.queries([count_terms("退货 newword")]))
    np.testing.assert_allclose(after, before, rtol=1e-6)


def test_many_questions_at_once_in_order_are_each_compared_as_alone() -> None:
    texts = Texts(TEXTS)
    asked = [count_terms(query) for query in (*QUERIES, "xyz", "")]
    queries = texts.vocabulary.queries
    questions = QuestionTerms.of(texts.questions, texts.rarity(texts.questions), texts.rows)
    whole = TextTerms.of(texts.texts, texts.rarity(texts.texts), texts.rows, texts.lengths)
    for terms in (questions, whole):
        alone = np.vstack([terms.likeness(queries([query])) for query in asked])
        np.testing.assert_allclose(
            terms.in_order().likeness(queries(asked)), alone, rtol=1e-5, atol=1e-7
        )
