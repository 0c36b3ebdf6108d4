from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.language import detect
from kefu.terms import exact_key, lexical_terms, stem


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


def test_terms_are_bigrams_and_stems() -> None:
    assert lexical_terms("退货 Refunds") == {"退": 0.3, "货": 0.3, "退货": 1.0, "refund": 1.0}


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
