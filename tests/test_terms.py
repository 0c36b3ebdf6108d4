from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.language import detect
from kefu.terms import count_terms, exact_key, lexical_terms, simplified, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("怎么退货？", "怎么 退货"),
        ("ＡＢＣ１２３", "abc123"),
        ("iPhone 手机", "iphone手机"),
        ("Can't  I pay?", "cant i PAY"),
        ("怎么退货😀", "怎么退货！！"),
    ],
)
def test_the_same_question_written_otherwise(one: str, other: str) -> None:
    assert exact_key(one) == exact_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5公斤", "15公斤"),
        ("C++", "C"),
        ("order 1 2", "order 12"),
        ("the rapist", "therapist"),
        ("5-7天", "57天"),
        ("+1", "-1"),
    ],
)
def test_what_must_stay_apart(one: str, other: str) -> None:
    assert exact_key(one) != exact_key(other)


def test_nothing_but_signs_has_no_key() -> None:
    assert exact_key("？？！ 😀") == ""


@given(st.text())
def test_any_text_can_be_folded(text: str) -> None:
    assert exact_key(exact_key(text)) == exact_key(text)
    assert all(weight > 0 for weight in lexical_terms(text).values())
    assert detect(text) in ("zh", "en")


def test_terms_are_characters_pairs_stems_and_runs_of_letters() -> None:
    chinese = {"退": 1.0, "货": 1.0, "退货": 0.2}
    assert lexical_terms("退货 the bags 7") == chinese | {
        "the": 0.1, "bag": 0.5, "#^bag": 0.25, "#bags": 0.25, "#ags$": 0.25, "7": 0.5
    }  # fmt: skip


def test_one_wrong_letter_leaves_most_runs() -> None:
    right, wrong = set(lexical_terms("delivery")), set(lexical_terms("dilivery"))
    assert right & wrong == {"#live", "#iver", "#very", "#ery$"}
    assert not set(lexical_terms("ring")) & set(lexical_terms("king")) - {"#ing$"}


def test_terms_are_counted() -> None:
    assert count_terms("退货，退款") == {"退": 2, "货": 1, "款": 1, "退货": 1, "退款": 1}


@pytest.mark.parametrize(
    ("traditional", "plain"),
    [("請問退貨運費由誰承擔？", "请问退货运费由谁承担"), ("ＡＢＣ　發票", "abc 发票")],
)
def test_traditional_characters_are_simplified(traditional: str, plain: str) -> None:
    assert exact_key(traditional) == exact_key(plain)
    assert lexical_terms(traditional) == lexical_terms(plain)


def test_a_character_becomes_the_same_whatever_stands_beside_it() -> None:
    assert simplified("乾 隆") == simplified("乾隆").replace("隆", " 隆")


@pytest.mark.parametrize(
    ("word", "root"),
    [
        ("orders", "order"),
        ("cancelled", "cancell"),
        ("shipping", "shipp"),
        ("policies", "policy"),
        ("bus", "bus"),
        ("is", "is"),
        ("address", "address"),
    ],
)
def test_stems(word: str, root: str) -> None:
    assert stem(word) == root


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("怎么退货", "zh"),
        ("How do I return it?", "en"),
        ("iPhone Pro Max 有货吗", "zh"),
        ("How do I pay with 微信 in your online shop", "en"),
        ("ＨＥＬＬＯ", "en"),
    ],
)
def test_languages(text: str, language: str) -> None:
    assert detect(text) == language


def test_no_words_take_the_default() -> None:
    assert detect("123 😀") == "zh"
    assert detect("", default="en") == "en"
