"""Tests of what is only guessed: it is found, marked as a guess, and rare in innocent text."""

from __future__ import annotations

import pytest

from kefu.moderation.categories import Category, Severity
from kefu.moderation.filter import WordFilter
from kefu.moderation.hit import Word
from kefu.moderation.sounds import syllable_borders

GRAVE = [
    "加微信",
    "色情网站",
    "海洛因",
    "冰毒",
    "裸聊",
    "军火",
    "信用卡套现",
    "自慰",
    "代开发票",
    "你妈死了",
    "赌博平台",
    "高薪兼职",
    "porn",
    "casino",
    "cocaine",
    "成人av",
]
FILTER = WordFilter(
    [
        *(Word(word, Category.CONTRABAND, Severity.HIGH) for word in GRAVE),
        Word("刷单返利", Category.FRAUD, Severity.MEDIUM),
        Word("时时彩", Category.GAMBLING, Severity.MEDIUM),
        Word("王八蛋", Category.ABUSE, Severity.LOW),
    ],
    allowed=["冰度假村"],
)


@pytest.mark.parametrize(
    ("text", "word", "written", "disguise"),
    [
        ("p0rn", "porn", "p0rn", "leetspeak"),
        ("buy c0c@1ne here", "cocaine", "c0c@1ne", "leetspeak"),
        ("a ca$!no", "casino", "ca$!no", "leetspeak"),
        ("this is pоrn", "porn", "pоrn", "homoglyphs"),
        ("саѕіnо", "casino", "саѕіnо", "homoglyphs"),
        ("请加徽信", "加微信", "加徽信", "look-alikes"),
        ("有海洛囚吗", "海洛因", "海洛囚", "look-alikes"),
        ("请力口微信", "加微信", "力口微信", "split characters"),
        ("人言用卡套现", "信用卡套现", "人言用卡套现", "split characters"),
        ("请佳薇芯", "加微信", "佳薇芯", "homophones"),
        ("来倮撩吧", "裸聊", "倮撩", "homophones"),
        ("请jiaweixin", "加微信", "jiaweixin", "pinyin"),
        ("请 jia wei xin 吧", "加微信", "jia wei xin", "pinyin"),
        ("请加wei信", "加微信", "加wei信", "pinyin"),
        ("SEQING网站", "色情网站", "SEQING网站", "pinyin"),
        ("你们nmsl吧", "你妈死了", "nmsl", "initials"),
        ("你要JWX吗", "加微信", "JWX", "initials"),
        ("有没有sdfl", "刷单返利", "sdfl", "initials"),
    ],
)
def test_a_disguise_is_guessed(text: str, word: str, written: str, disguise: str):
    hits = FILTER.find(text)
    assert [(h.word.text, text[h.start : h.end], h.disguise) for h in hits] == [
        (word, written, disguise)
    ]
    assert not hits[0].is_certain


@pytest.mark.parametrize(
    "text",
    [
        "电话是4006-0123，订单号 70123n",
        "my total was $5! (thanks)",
        "русский текст про порно и сосаіпе нет",
        "威信很高",
        "病毒很多",
        "兵度假",
        "请问 WIFI 密码和 USB 接口",
        "jiaweixin@mail.com 和 https://jia.wei.xin/jwx",
        "jwx1 型号，iJwx 系列",
        "This jwx is a name.",
        "请加 we 信",
        "我想要个女子宿舍",
        "sssc 有货吗",
        "你实施财务管理吗",
        "网八旦",
        "",
    ],
)
def test_innocent_text_is_not_suspected(text: str):
    assert FILTER.find(text) == []


def test_everyday_words_are_not_guessed_by_sound():
    assert FILTER.find("忘八单") == FILTER.find("wangbadan") == FILTER.find("wbd 吗") == []


def test_allowed_phrases_beat_guesses():
    assert FILTER.find("去冰度假村") == []


def test_letters_are_read_as_syllables():
    assert syllable_borders("xian") == {0, 2, 4}
    assert syllable_borders("jiaweixin") >= {0, 3, 6, 9}
    assert syllable_borders("world") == frozenset()
