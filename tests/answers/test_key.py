"""Which questions have one key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.answers.key import Scope, key_in_flight, key_of, words_of
from kefu.terms import exact_key

SCOPE = Scope("zh", "model", "prompt", 256)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("运费多少？", "运费多少"),
        ("运费多少？", " 运费多少。。。"),
        ("ＷＩＦＩ密码", "wifi密码"),
        ("你好，运费多少", "你好！运费多少~"),
        ("你好，运费多少", "你好 运费多少"),
        ("How much is it?", "how  much is it"),
        ("Can't I return it?", "cant i return it"),
        ("iPhone15 有货吗", "iphone15有货吗"),
        ("How much is it 😀?", "how much is it"),
    ],
)
def test_the_same_words_have_one_key(one: str, other: str):
    assert key_of(one, SCOPE) == key_of(other, SCOPE) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("不，要退货", "不要退货"),
        ("不 要退货", "不要退货"),
        ("不😀要退货", "不要退货"),
        ("No, refund me", "no refund me"),
        ("C# 课程", "C 课程"),
        ("C++ 课程", "C 课程"),
        ("便宜50%吗", "便宜50吗"),
        ("1.5 米", "15 米"),
        ("1.5 米", "1,5 米"),
        ("满100-20", "满100 20"),
        ("零下 -5 度能用吗", "零下 5 度能用吗"),
        ("H&M 有吗", "H M 有吗"),
        ("A/B 面", "AB 面"),
        ("$8", "€8"),
        ("ship it now", "shipit now"),
        ("9:00 开门吗", "900 开门吗"),
    ],
)
def test_signs_that_matter_are_kept(one: str, other: str):
    assert key_of(one, SCOPE) != key_of(other, SCOPE)


@pytest.mark.parametrize("text", ["", "  ", "？？？", "😀", "~ ~", "|", "--"])
def test_a_question_without_words_has_no_key(text: str):
    assert key_of(text, SCOPE) == ""


@pytest.mark.parametrize(
    "other",
    [
        replace(SCOPE, language="en"),
        replace(SCOPE, model="model 2"),
        replace(SCOPE, prompt="prompt 2"),
        replace(SCOPE, max_tokens=32),
        replace(SCOPE, tenant="other shop"),
    ],
)
def test_each_part_of_the_scope_makes_another_key(other: Scope):
    assert key_of("运费多少", SCOPE) != key_of("运费多少", other)


def test_peoples_answers_belong_to_no_model_but_to_a_tenant():
    others = replace(SCOPE, model="model 2", prompt="prompt 2", max_tokens=1)
    assert SCOPE.of_people == others.of_people != SCOPE
    assert SCOPE.of_people != replace(SCOPE, tenant="other shop").of_people


def test_a_generation_in_flight_belongs_to_exactly_what_it_reads():
    key = key_of("运费多少", SCOPE)
    now = key_in_flight(key, {"a": "1", "b": "2"})
    assert now == key_in_flight(key, {"a": "1", "b": "2"})
    for others in ({"a": "1", "b": "3"}, {"a": "1"}, {"b": "2", "a": "1"}):
        assert now != key_in_flight(key, others)


# These two end sentences here, and are signs there.
TEXTS = st.text(st.characters(exclude_characters="~|"), max_size=40)


@given(TEXTS, TEXTS)
def test_it_is_finer_than_the_key_of_faq_questions(one: str, other: str):
    if words_of(one) == words_of(other):
        assert exact_key(one) == exact_key(other)


@given(st.text(max_size=40))
def test_case_and_what_stands_around_do_not_matter(text: str):
    assert words_of(f" {text}？") == words_of(text)
