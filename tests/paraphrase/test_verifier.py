"""Rules for what everyday questions ask; those of a shop stand in tests/knowledge/test_match.py."""

from __future__ import annotations

import pytest

from kefu.paraphrase.verifier import find_difference, find_disagreement


@pytest.mark.parametrize(
    ("query", "question"),
    [
        ("一丝不苟的苟是什么意思", "一丝不苟是什么意思"),
        ("一丝不苟什么意思", "一丝不苟中的“苟”字是什么意思"),
        ("目不转睛的转怎么读", "目不转睛的睛怎么读"),
        ("不可抗力条款里的不可抗力指什么", "不可抗力条款是什么意思"),
        ("日语ありがとう怎么说", "日语さようなら怎么说"),
    ],
)
def test_what_is_asked_about_must_be_the_same(query: str, question: str) -> None:
    assert find_disagreement(query, question)
    assert find_disagreement(question, query)


@pytest.mark.parametrize(
    ("query", "question"),
    [
        ("一丝不苟的苟是什么意思", "一丝不苟中“苟”字什么意思"),
        ("会员卡的积分是什么意思", "积分是什么意思"),
        ("订单上的字体是什么", "订单是什么字体"),
        ("我の订单怎么查", "我的订单怎么查"),
        ("ありがとう怎么读", "ありがとう读音是什么"),
    ],
)
def test_other_words_for_it_do_not_disagree(query: str, question: str) -> None:
    assert find_disagreement(query, question) is None


@pytest.mark.parametrize(
    ("query", "question"),
    [
        ("绿色裤子配什么颜色的鞋子", "绿色鞋子配什么颜色的裤子"),
        ("怎么用电脑控制手机", "怎么用手机控制电脑"),
        ("Do cats fear dogs?", "Do dogs fear cats?"),
    ],
)
def test_two_that_changed_places_are_another_question(query: str, question: str) -> None:
    assert find_difference(query, question) == "two words exchanged"
    assert find_difference(query, query) is None


def test_a_disagreement_is_a_difference() -> None:
    assert find_difference("怎么关闭通知", "怎么开启通知") == find_disagreement(
        "怎么关闭通知", "怎么开启通知"
    )
    assert find_difference("怎么取消订单", "订单怎么取消") is None
