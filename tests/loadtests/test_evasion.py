"""The generator of disguises: repeatable, true to its kind, and nothing else in the sentence touched."""

from __future__ import annotations

import unicodedata
from random import Random

import pytest
from loadtests.evasion import KINDS, clean, language_of, sentences
from loadtests.evasion_carriers import CARRIERS, SLOT
from loadtests.evasion_sounds import read

WORDS = {
    "zh": ["垃圾", "骗子", "去死", "加我微信", "代开发票", "赌博网站", "办理信用卡", "仿真枪"],
    "en": ["idiot", "asshole", "casino", "kill yourself", "scam site", "cocaine"],
}
TEXTS = [
    "请问我的订单什么时候发货，快递单号是多少？",
    "你们的售后服务真不错，下次还会再来购买",
    "能不能帮我修改一下收货地址和联系电话",
    "发票抬头写错了，可以重新开一张吗",
    "Where is my parcel, the tracking page shows nothing since Monday.",
    "Please change the delivery address of my latest order.",
    "The zipper of the jacket broke after two days, can I return it?",
]
SHOWN = {
    "full_width": ("casino", "ｃａｓｉｎｏ"),
    "case": ("casino", "CASINO"),
    "traditional": ("赌博网站", "賭博網站"),
    "pinyin": ("垃圾", "laji"),
    "initials": ("加我微信", "jwwx"),
    "split": ("加我微信", "力口我微人言"),
    "leetspeak": ("casino", "c4$1n0"),
    "spaces": ("kill yourself", "k i l l   y o u r s e l f"),
}


def words_for(kind: str) -> list[str]:
    return [word for language in sorted(KINDS[kind].languages) for word in WORDS[language]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_sentences(kind: str) -> None:
    words = words_for(kind)
    first = sentences(words, kind, 60, seed=1)
    assert first == sentences(words, kind, 60, seed=1)
    assert first != sentences(words, kind, 60, seed=2)
    assert clean(TEXTS, kind, 5, seed=1) == clean(TEXTS, kind, 5, seed=1)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "plain"])
def test_every_word_is_changed(kind: str) -> None:
    for made in sentences(words_for(kind), kind, 60, seed=3):
        assert made.text[made.start : made.end] != made.word
        assert made.text[made.start : made.end].strip()


@pytest.mark.parametrize("kind", KINDS)
def test_the_disguised_word_stands_where_the_offsets_say(kind: str) -> None:
    carriers = {text for texts in CARRIERS.values() for text in texts}
    for made in sentences(words_for(kind), kind, 60, seed=4):
        assert made.text[: made.start] + SLOT + made.text[made.end :] in carriers


@pytest.mark.parametrize(("kind", "word", "shown"), [(k, *pair) for k, pair in SHOWN.items()])
def test_a_kind_makes_what_its_name_says(kind: str, word: str, shown: str) -> None:
    drawn = {KINDS[kind].apply(word, Random(seed)) for seed in range(2000)}
    assert shown in drawn


@pytest.mark.parametrize("kind", ["zero_width", "symbols", "spaces", "emoji"])
def test_inserted_signs_leave_the_characters_in_order(kind: str) -> None:
    for made in sentences(words_for(kind), kind, 60, seed=5):
        rest = iter(made.text[made.start : made.end])
        assert all(char in rest for char in made.word)


def test_marks_come_off_again() -> None:
    for made in sentences(words_for("combining"), "combining", 60, seed=6):
        apart = unicodedata.normalize("NFD", made.text[made.start : made.end])
        assert "".join(c for c in apart if not unicodedata.combining(c)) == made.word


def test_homophones_sound_the_same_and_change_at_least_half() -> None:
    for made in sentences(WORDS["zh"], "homophones", 60, seed=7):
        written = made.text[made.start : made.end]
        assert sum(a != b for a, b in zip(written, made.word, strict=True)) >= len(made.word) / 2
        assert read(written) == read(made.word)


def test_a_word_is_read_as_it_is_said_there() -> None:
    assert read("银行行长还款") == ["yin", "hang", "xing", "chang", "huan", "kuan"]
    assert read("去重庆，还行") == ["qu", "chong", "qing", None, "hai", "xing"]
    assert read("绿女略") == ["lv", "nv", "lue"]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("leetspeak", "垃圾"),
        ("traditional", "垃圾"),
        ("circled", "骗子"),
        ("pinyin", "casino"),
        ("split", "套"),
        ("initials", "套现"),
        ("symbols", "套"),
        ("leetspeak", "mn"),
    ],
)
def test_some_words_cannot_be_disguised_that_way(kind: str, word: str) -> None:
    assert KINDS[kind].apply(word, Random(1)) is None


def test_a_kind_that_fits_no_word_says_so() -> None:
    with pytest.raises(ValueError, match="'leetspeak'"):
        sentences(["垃圾", "骗子"], "leetspeak", 10, seed=1)


def test_words_that_do_not_fit_are_passed_over() -> None:
    made = sentences(["垃圾", "casino"], "leetspeak", 10, seed=1)
    assert {one.word for one in made} == {"casino"}


def test_plain_words_stay_as_they_are() -> None:
    for made in sentences(words_for("plain"), "plain", 60, seed=8):
        assert made.text[made.start : made.end] == made.word
    assert set(clean(TEXTS, "plain", len(TEXTS), seed=8)) == set(TEXTS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "plain"])
def test_innocent_texts_are_disguised_too(kind: str) -> None:
    made = clean(TEXTS, kind, 3, seed=9)
    assert made
    assert not set(made) & set(TEXTS)


def test_each_innocent_text_is_used_once_at_most() -> None:
    assert len(clean(TEXTS, "case", 100, seed=10)) == 3


def test_carriers_are_distinct_and_have_one_slot_in_their_language() -> None:
    assert {language: len(texts) for language, texts in CARRIERS.items()} == {"zh": 40, "en": 30}
    for language, texts in CARRIERS.items():
        assert len(set(texts)) == len(texts)
        for text in texts:
            assert text.count(SLOT) == 1
            assert language_of(text) == language


def test_carriers_hold_no_disguise_of_their_own() -> None:
    for text in (text for texts in CARRIERS.values() for text in texts):
        assert unicodedata.is_normalized("NFC", text)
        assert not any(unicodedata.category(char) in {"Cf", "Mn", "So"} for char in text)
        assert not any(char.isdigit() for char in text)
