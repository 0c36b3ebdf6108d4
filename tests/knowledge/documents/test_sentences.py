"""Running text and its sentences."""

from __future__ import annotations

import pytest

from kefu.knowledge.documents.sentences import (
    clean,
    cut_long,
    join,
    merge_short,
    split_sentences,
)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "七天内可退。运费自付！“可以吗？”行。",
            ["七天内可退。", "运费自付！", "“可以吗？”", "行。"],
        ),
        ("It costs 3.50 EUR. Pay by card.", ["It costs 3.50 EUR.", "Pay by card."]),
        ("Ask Mr. Lee, e.g. by mail. See no. 5.", ["Ask Mr. Lee, e.g. by mail.", "See no. 5."]),
        ("1. Open the page. 2. Click.", ["1. Open the page.", "2. Click."]),
        ("请访问 shop.example。Then pay.", ["请访问 shop.example。", "Then pay."]),
        ("one line\nanother", ["one line", "another"]),
        ("no mark at all", ["no mark at all"]),
        ("", []),
    ],
)
def test_sentences_end_at_their_marks(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_nothing_is_lost_between_sentences() -> None:
    text = "退货。 Really? Yes... 好的；再见！"
    assert "".join(split_sentences(text)).replace(" ", "") == text.replace(" ", "")


def test_lines_of_one_paragraph_are_joined_as_their_language_asks() -> None:
    assert join("收到商品", "七天内") == "收到商品七天内"
    assert join("within seven", "days") == "within seven days"
    assert join("ship-", "ping costs") == "shipping costs"
    assert join("购买 iPhone", "的顾客") == "购买 iPhone的顾客"


def test_clean_leaves_what_can_be_seen() -> None:
    assert clean(" a\u200b\u3000 b \r\n\n \x00c\ud800") == "a b\nc\ufffd"


def test_a_sentence_without_end_is_cut_at_commas() -> None:
    text = "很长的一句话，" * 40
    parts = cut_long(text, 100)
    assert "".join(parts) == text
    assert all(len(part) <= 100 and part.endswith("，") for part in parts)
    assert [len(part) for part in cut_long("x" * 250, 100)] == [100, 100, 50]


def test_short_sentences_are_merged_and_few_are_left() -> None:
    assert merge_short(["好。", "可以退货的。", "退款三天到账。"], 5, 9) == [
        "好。可以退货的。",
        "退款三天到账。",
    ]
    assert len(merge_short([f"第{n}句很长的话。" for n in range(40)], 3, 12)) == 12


def test_a_run_of_marks_is_looked_at_once() -> None:
    """A search that tries the run from each of its marks takes hours."""
    text = "." * 2_000_000 + "x"
    assert split_sentences(text) == [text]
