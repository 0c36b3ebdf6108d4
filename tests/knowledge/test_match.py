"""When an answer may go out word for word, and when it must not."""

from __future__ import annotations

import pytest

from kefu.knowledge.entry import Entry
from kefu.knowledge.index import Match
from kefu.knowledge.match import Nothing, Passages, Sure, decide
from kefu.paraphrase.verifier import find_disagreement, share_of_new_words
from kefu.settings import KnowledgeSettings

SETTINGS = KnowledgeSettings(sure_score=0.6, sure_margin=0.06, passage_score=0.42, max_passages=2)
RETURN = Entry("return", "怎么申请退货", "七天内可退", ("退货",), language="zh")


def match(
    entry: Entry = RETURN, score: float = 0.9, relevance: float = 0.8, **more: object
) -> Match:
    fields = {"cosine": score, "lexical": score, "lead": 0.3, **more}
    return Match(entry, entry.question, score, relevance, **fields)


def doubt(*matches: Match, query: str = "怎么申请退货呢") -> str:
    decision = decide(query, matches, SETTINGS)
    assert isinstance(decision, Passages)
    return decision.doubt


def test_a_good_match_is_sure() -> None:
    decision = decide("请问怎么申请退货呢", [match()], SETTINGS)
    assert isinstance(decision, Sure)
    assert (decision.entry, decision.score) == (RETURN, 0.9)


def test_an_exact_match_is_sure_whatever_else() -> None:
    exact = match(score=1.0, exact=True, lead=0.01, foreign=True)
    assert isinstance(decide("不退货30天", [exact], SETTINGS), Sure)


def test_what_makes_a_match_doubtful() -> None:
    assert "score is 0.55" in doubt(match(score=0.55))
    assert "lead is 0.05" in doubt(match(lead=0.05))
    assert "another language" in doubt(match(foreign=True))
    assert "negation" in doubt(match(), query="怎么不能申请退货")
    assert "is needed" in doubt(match(score=0.7), query="怎么申请退货险")
    assert "differently" in doubt(match(score=1.0, exact=True, lead=0.0))


def test_passages_are_near_and_few_and_in_the_customers_language() -> None:
    weak = {"score": 0.5}
    found = [match(relevance=r, **weak) for r in (0.6, 0.5, 0.45, 0.3)]
    foreign = match(relevance=0.9, foreign=True, **weak)
    decision = decide("x", [*found, foreign], SETTINGS)
    assert isinstance(decision, Passages)
    assert decision.matches == tuple(found[:2])
    decision = decide("x", [found[3], foreign], SETTINGS)
    assert isinstance(decision, Passages)
    assert decision.matches == (foreign,)


def test_nothing_near_is_nothing() -> None:
    assert decide("x", [match(score=0.3, relevance=0.41)], SETTINGS) == Nothing()
    assert decide("x", [], SETTINGS) == Nothing()


@pytest.mark.parametrize(
    ("query", "question"),
    [
        ("怎么恢复订单", "怎么取消订单"),
        ("怎么关闭通知", "怎么开启通知"),
        ("发货后能改地址吗", "发货前能改地址吗"),
        ("一次最少买几件", "一次最多买几件"),
        ("怎么换货", "怎么退货"),
        ("微信退款多久到账", "支付宝退款多久到账"),
        ("为什么付款不成功", "怎么付款"),
        ("退款什么时候到", "怎么退款"),
        ("收到货了", "没收到货"),
        ("快递到哪了", "用哪家快递"),
        ("30天内能退吗", "7天内能退吗"),
        ("三十天内能退吗", "7天内能退吗"),
        ("How do I disable notifications?", "How do I enable notifications?"),
        ("When will my refund arrive?", "How much is the refund?"),
        ("I received my invoice", "I did not receive my invoice"),
        ("How do I change my e-mail?", "How do I change my phone number?"),
    ],
)
def test_look_alikes_are_told_apart(query: str, question: str) -> None:
    assert find_disagreement(query, question, "答案")


@pytest.mark.parametrize(
    ("query", "question"),
    [
        ("请问能不能退货啊", "可以退货吗"),
        ("七天内可以退吗", "7天内能退吗"),
        ("登录不了怎么办", "登录失败怎么办"),
        ("不好意思，怎么退货", "怎么退货"),
        ("在哪里开发票", "怎么开发票"),
        ("能退不", "能退吗"),
        ("I don't know how to return it", "How do I return it?"),
        ("where can I find my invoice", "How do I get my invoice?"),
    ],
)
def test_rewordings_are_not(query: str, question: str) -> None:
    assert find_disagreement(query, question, "答案") is None


@pytest.mark.parametrize(
    ("query", "question", "share"),
    [
        ("请问怎么退货啊？", "怎么退货", 0.0),
        ("怎么退钱", "怎么退款", 0.0),
        ("how do i retrun it", "How do I return it?", 0.0),
        ("How do I choose my ring size?", "How do I choose my size?", 1 / 3),
        ("天气预报", "怎么退货", 1.0),
        ("怎么办呢", "怎么退货", 0.0),
    ],
)
def test_the_share_of_new_words(query: str, question: str, share: float) -> None:
    assert share_of_new_words(query, question) == pytest.approx(share)
