import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.courtesies import without_courtesies
from kefu.knowledge.sample_shop import sample_entries

QUESTIONS = sorted({q for entry in sample_entries() for q in entry.questions})


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("您好，请问怎么退货呀，谢谢", "怎么退货"),
        ("你好请问一下运费怎么算", "运费怎么算"),
        ("亲，在吗？想问下发票抬头开错了怎么办？，多谢", "发票抬头开错了怎么办？"),
        ("打扰一下 怎么改地址？在线等，急！！", "怎么改地址？"),
        ("怎么退货谢谢啦～", "怎么退货"),
        ("麻烦问一下几天发货，麻烦了", "几天发货"),
        ("Hi there, how do I return a tent? Thanks!", "how do I return a tent?"),
        ("Good morning! Could you please tell me where my order is? Thank you very much.", "where my order is?"),
        ("Quick question: do you ship abroad, please?", "do you ship abroad?"),
        ("please cancel my order", "cancel my order"),
        ("how do I return it thanks", "how do I return it"),
    ],
)  # fmt: skip
def test_the_question_is_left(said, asked):
    assert without_courtesies(said) == asked


@pytest.mark.parametrize(
    "text",
    [
        "你好", "您好，在吗？", "谢谢", "太感谢啦，问题解决了", "hello", "Thank you!", "Hi there",
        "你好看的裙子有吗", "帮我看看订单到哪了", "那个蓝色的还有吗", "急件能加快吗", "亲子装有吗",
        "不好意思发错地址了", "help with my order", "Help me choose a size", "questions about tax",
        "thanks for nothing, where is my parcel", "那运费呢？", "抱歉没说清楚", "问下单流程", "",
        "谢谢你们的包裹 但少了一件", "morning delivery possible?", "请客的礼物怎么选", "hi-fi speakers?",
    ],
)  # fmt: skip
def test_what_may_be_the_question_stays(text):
    assert without_courtesies(text) == text


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_of_the_shop_is_asked_without_courtesies_or_left_alone(question):
    bare = without_courtesies(question)
    assert bare in question or bare.rstrip("?？") in question
    assert len(bare) >= len(question) / 3


@given(st.text(max_size=60))
def test_cutting_twice_cuts_nothing_more(text):
    once = without_courtesies(text)
    assert without_courtesies(once) == once
