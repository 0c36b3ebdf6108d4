"""Tests of kefu.moderation.folding."""

from __future__ import annotations

import pytest

from kefu.moderation.folding import JOINT, PICTURE, QUOTE, SPACE, Folded, letters_of, skeleton_of


@pytest.mark.parametrize(
    ("written", "letters"),
    [
        ("ＡＢＣ１２３", "abc123"),
        ("ＦｕＣｋ", "fuck"),
        ("賭博網站", "赌博网站"),
        ("ⓐ🄱🅲⒟①❷⑶⒋", "abcd1234"),
        ("⑩㈠㊙", "10一秘"),
        ("𝓯𝖚𝒄𝕜", "fuck"),
        ("é̶à̷ü", "eau"),
        ("加\u200b微\u00ad信\ufeff", "加微信"),
        ("加/微 信…😀", "加微信"),
        ("한글 가", "한글가"),
        ("がく", "がく"),
        ("\ud800赌\U000e0041博\ue000", "赌博"),
        ("", ""),
    ],
)
def test_letters_are_what_is_left_without_their_writing(written: str, letters: str):
    assert letters_of(written) == letters


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("p0rn", "porn"),
        ("рorn", "porn"),
        ("1", "l"),
        ("hello", "helo"),
        ("徽信", "微信"),
        ("堵", "赌"),
    ],
)
def test_what_looks_alike_has_one_skeleton(one: str, other: str):
    assert skeleton_of(one) == skeleton_of(other)
    assert skeleton_of(one) != skeleton_of("x" + other)


@pytest.mark.parametrize(
    "text", ["加 微/信", "ａ👍🏻b\u200bc", "①⑩ﬁ x", "\u0301a\u0301 b", "妈妈的"]
)
def test_every_letter_knows_where_it_comes_from(text: str):
    folded = Folded(text)
    assert len(folded.letters) == len(folded.classes) == len(folded.origins) == len(folded.gaps)
    for letter, origin in zip(folded.letters, folded.origins, strict=True):
        assert letter in letters_of(text[origin])
    assert folded.span(0, len(folded.letters)) == (
        folded.origins[0],
        folded.origins[-1] + 1,
    )


def test_simple_texts_have_the_places_that_any_text_has():
    simple = "你好, a-b 12。“好”！ 3"
    other = "\u200b" + simple
    assert Folded(simple).origins == [place - 1 for place in Folded(other).origins]
    assert Folded(simple).gaps == Folded(other).gaps


def test_gaps_say_what_stands_between():
    assert Folded("加 微-信😀“退”\u200b款").gaps == [0, SPACE, JOINT, PICTURE | QUOTE, QUOTE]


def test_runs_are_counted_once():
    assert list(Folded("aabccc").runs) == [0, 2, 3, 6]
    assert list(Folded("abc").runs) == [0, 1, 2, 3]
