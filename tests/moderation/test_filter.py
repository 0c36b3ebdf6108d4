"""Tests of kefu.moderation.filter: what is certain, its borders, allowed phrases, bounded work."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from kefu.moderation.categories import Category, Severity
from kefu.moderation.filter import WordFilter
from kefu.moderation.hit import Hit, Word

WORDS = [
    "傻逼",
    "加微信",
    "体位",
    "口交",
    "大麻",
    "黄片",
    "洗钱",
    "色情网站",
    "时时彩",
    "加v详聊",
    "他妈的",
    "妈的",
    "av女优",
    "日结兼职",
    "fuck",
    "shit",
    "ass",
    "asshole",
    "cunt",
    "slut",
    "tits",
    "wanker",
    "pass",
]
PHRASES = ["fuck you", "kill yourself", "not a word: x"]


def filter_of(*words: str, allowed: tuple[str, ...] = ()) -> WordFilter:
    return WordFilter((Word(word, Category.ABUSE, Severity.HIGH) for word in words), allowed)


FILTER = filter_of(*WORDS, *PHRASES, allowed=("大麻籽油", "Slut Walk", "三黄片", "混在加微信里"))


def certain(text: str, words: WordFilter = FILTER) -> list[tuple[str, str]]:
    """What is found for sure: the word, and how it is written."""
    hits = [hit for hit in words.find(text) if hit.is_certain]
    return [(hit.word.text, text[hit.start : hit.end]) for hit in hits]


@pytest.mark.parametrize(
    ("text", "word", "written"),
    [
        ("你这个傻逼。", "傻逼", "傻逼"),
        ("请加微信聊", "加微信", "加微信"),
        ("請加㣲信，賭色情網站", "色情网站", "色情網站"),
        ("加／微／信", "加微信", "加／微／信"),
        ("快加 微 信吧", "加微信", "加 微 信"),
        ("快加👍🏻微❤️信吧", "加微信", "加👍🏻微❤️信"),
        ("傻\u200b\u200d逼", "傻逼", "傻\u200b\u200d逼"),
        ("傻̶逼̶了", "傻逼", "傻̶逼"),
        ("傻傻傻逼逼", "傻逼", "傻傻傻逼逼"),
        ("加微微微信", "加微信", "加微微微信"),
        ("加Ｖ详聊", "加v详聊", "加Ｖ详聊"),
        ("看av女优的", "av女优", "av女优"),
        ("What the ＦＵＣＫ!", "fuck", "ＦＵＣＫ"),
        ("ⓕⓤⓒⓚ off", "fuck", "ⓕⓤⓒⓚ"),
        ("f u c k", "fuck", "f u c k"),
        ("f.u.c.k this", "fuck", "f.u.c.k"),
        ("fu*ck", "fuck", "fu*ck"),
        ("fu ck", "fuck", "fu ck"),
        ("fuuuuck", "fuck", "fuuuuck"),
        ("ffuucckk", "fuck", "ffuucckk"),
        ("fück", "fuck", "fück"),
        ("sluts, all", "slut", "sluts"),
        ("FUCK   YOU", "fuck you", "FUCK   YOU"),
        ("fuckyou", "fuck you", "fuckyou"),
        ("请看ass", "ass", "ass"),
        ("妈的，烦", "妈的", "妈的"),
    ],
)
def test_words_are_found_with_their_exact_place(text: str, word: str, written: str):
    assert (word, written) in certain(text)


@pytest.mark.parametrize(
    "text",
    [
        "请问你们的具体位置在哪里",
        "路口交通管制",
        "给您添了大麻烦",
        "床很大，麻烦换一张",
        "具*体*位*置",
        "给妈妈的礼物",
        "写的是他妈妈的名字",
        "去色情，网站不去",
        "Scunthorpe",
        "S C U N T H O R P E",
        "class pass assess shitake",
        "push it, wish it, this hit",
        "it's hit",
        "compass",
        "a$$et123ass4",
        "go and kill. Yourself included",
        "petite, tit and its",
        "",
        "，。！？ \n",
    ],
)
def test_innocent_text_has_no_word(text: str):
    found = [pair for pair in certain(text) if pair[0] != "pass"]
    assert found == []


@pytest.mark.parametrize(
    "text", ["有大麻籽油吗", "有大麻籽油嗎", "the slut walk", "三黄片和三七片", "混在加微信里"]
)
def test_allowed_phrases_beat_the_words_in_them(text: str):
    assert FILTER.find(text) == []


@pytest.mark.parametrize("text", ["大麻籽", "slut talks", "三 黄片", "大麻，籽油"])
def test_only_the_whole_phrase_is_allowed(text: str):
    assert FILTER.find(text)


def test_a_word_beside_an_allowed_phrase_is_found():
    assert [hit.start for hit in FILTER.find("大麻籽油和大麻")] == [5]


def test_words_within_each_other_are_all_found():
    assert {word for word, _ in certain("操他妈的", filter_of("操他妈的", "他妈的", "操"))} >= {
        "操他妈的",
        "他妈的",
    }


def test_hits_are_sorted_and_each_comes_once():
    hits = FILTER.find("fuck 傻逼 fuck f.u.c.k 加微信")
    assert hits == sorted(set(hits), key=lambda hit: (hit.start, -hit.end))
    assert len(hits) == 5


def test_the_disguise_has_a_name():
    def name(text: str) -> str:
        [hit] = FILTER.find(text)
        return hit.disguise

    assert name("傻逼") == name("FUCK") == ""
    assert name("ＦＵＣＫ") == "full width"
    assert name("洗錢") == "traditional"
    assert name("ⓕuck") == "enclosed letters"
    assert name("洗\u200b钱") == "invisible characters or marks"
    assert name("洗/钱") == "separated"
    assert name("fuuuuck") == "repeats"


def test_without_words_nothing_is_found():
    empty = filter_of()
    assert empty.find("fuck 傻逼") == []
    assert empty.open_from("fuck") == 4
    assert filter_of("★★", " ").find("★★ fuck") == []


def test_half_a_character_is_no_obstacle():
    assert certain("\ud800傻逼\udfff") == [("傻逼", "傻逼")]
    assert certain("\x00傻\x00逼") == [("傻逼", "傻\x00逼")]


# --- a text that is still being written ----------------------------------------------------------

GROWING = [
    "你好，请加 微 信，谢谢你们了，再见再见",
    "请问大麻籽油有吗，还是大麻，太麻烦了吧",
    "I said fuuuuck you. Then sluts, sluttish and s h i t, assessed",
    "他说傻\u200b\u200b逼逼逼，还说三黄片，黄片糖和黄片",
    "我 jia wei xin 了，jiaweixin@mail.com，日结jian职，rjjz，人尔好",
    "f@ck 5h1t fцck 家薇信 徽信 加徽信 力口微信啊，谢谢",
]


@pytest.mark.parametrize("text", GROWING)
def test_what_is_before_the_open_place_is_decided(text: str):
    def before(hits: list[Hit], place: int) -> list[Hit]:
        return [hit for hit in hits if hit.start < place]

    whole = FILTER.find(text)
    assert whole
    for end in range(len(text) + 1):
        written = text[:end]
        place = FILTER.open_from(written)
        assert before(FILTER.find(written), place) == before(whole, place), written


def test_a_text_that_can_become_nothing_is_not_held_back():
    assert FILTER.open_from("您好。") == 3
    assert FILTER.open_from("您好，请加") == 4
    assert FILTER.open_from("您好，请加/微 ") == 4


# --- bounded work --------------------------------------------------------------------------------


def work_of(call: Callable[[], object]) -> int:
    """How many functions are called meanwhile, those of C as well."""
    count = 0

    def on_event(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(on_event)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "piece",
    ["a", "傻逼", "fuck ", "a@b ", "jia wei xin ", "力口", "$@", "大麻籽油", "f\u200b", "人尔女马"],
)
@pytest.mark.parametrize("method", ["find", "open_from"])
def test_twice_the_text_is_twice_the_work(piece: str, method: str):
    ask: Callable[[str], object] = getattr(FILTER, method)
    ask(piece * 10)
    small, large = (work_of(lambda n=n: ask(piece * n)) for n in (1_000, 2_000))
    assert large < 2.5 * small + 100


def test_a_run_of_ignorable_characters_is_stepped_over():
    hidden = "傻" + "\u200b" * 300_000 + "逼"
    assert certain("\u200b" * 300_000) == []
    assert certain(hidden) == [("傻逼", hidden)]


def test_one_letter_ten_thousand_times_is_one_run():
    assert certain("a" * 10_000) == []
    assert certain("f" + "u" * 10_000 + "ck") == [("fuck", "f" + "u" * 10_000 + "ck")]
