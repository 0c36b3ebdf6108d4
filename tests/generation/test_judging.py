"""What a reply is worth."""

from __future__ import annotations

from typing import Any

import pytest

from kefu.generation.judging import Outcome, is_refusal, judge
from kefu.generation.tasks import Task

ZH = {
    "id": "zh",
    "group": "g",
    "language": "zh",
    "kind": "single",
    "question": "拆开了还能退吗，7 天够不够",
    "passages": [
        {"title": "退货", "text": "未拆封的 15 天内可以退，运费 8 元，见 shop.example.com/back。"}
    ],
    "facts": [["不能", "不可以"], ["未拆封"]],
    "wrong": ["都可以退"],
}


def task(**changes: Any) -> Task:
    return Task.model_validate(ZH | changes)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("不能，未拆封的才可以退。", Outcome.RIGHT),
        ("不 可 以，只有未拆封的才行", Outcome.RIGHT),
        ("不能。", Outcome.WRONG),
        ("不能，未拆封的都可以退。", Outcome.WRONG),
        ("抱歉，资料里没有提到。", Outcome.REFUSED),
        ("", Outcome.REFUSED),
    ],
)
def test_all_facts_and_nothing_wrong(reply: str, outcome: Outcome):
    assert judge(task(), reply).outcome is outcome


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [("抱歉，资料里没有提到。", Outcome.RIGHT), ("", Outcome.RIGHT), ("可以退。", Outcome.WRONG)],
)
def test_what_nothing_tells_must_be_refused(reply: str, outcome: Outcome):
    given = task(kind="unanswerable", facts=[], wrong=[])
    assert judge(given, reply).outcome is outcome


@pytest.mark.parametrize(
    "reply",
    [
        "抱歉，资料里没有提到。",
        "资料中没有相关说明",
        "对不起，信息里未提及这一点",
        "我无法回答这个问题",
        "不清楚",
        "Sorry, that is not in the information.",
        "The information does not say.",
        "I'm sorry, but the passages don't mention it",
        "I cannot tell",
    ],
)
def test_refusals(reply: str):
    assert is_refusal(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "不能，已经拆封的不能退。",
        "没有，月卡没有同行券。",
        "抱歉，退货运费由您承担。",
        "不可以折现。",
        "No, gifts cannot be returned.",
        "Sorry, we do not deliver to islands.",
        "It is not delivered at weekends.",
    ],
)
def test_a_no_is_no_refusal(reply: str):
    assert not is_refusal(reply)


@pytest.mark.parametrize(
    ("reply", "invented"),
    [
        ("15 天内可以退，运费 8 元，7 天够了", ()),
        ("十五天内可以退", ()),
        ("30 天内可以退，运费九元", ("30", "9")),
        ("见 shop.example.com/back 或 mail@example.com", ("mail@example.com",)),
    ],
)
def test_numbers_and_addresses_that_nobody_gave(reply: str, invented: tuple[str, ...]):
    assert judge(task(), reply).invented == invented


def test_earlier_turns_count_as_read():
    given = task(turns=[{"question": "满 99 元呢", "reply": "包邮。"}])
    assert judge(given, "满 99 元包邮").invented == ()


def test_the_customers_language():
    assert not judge(task(), "No, only unopened ones.").is_own_language
    assert judge(task(), "不能").is_own_language
