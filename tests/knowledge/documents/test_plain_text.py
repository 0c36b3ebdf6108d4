"""Headings that only numbering, wording and empty lines tell."""

from __future__ import annotations

import pytest

from kefu.errors import InvalidFile
from kefu.knowledge.documents.blocks import Block
from kefu.knowledge.documents.chunking import chunks_of
from kefu.knowledge.documents.headings import is_question, without_number
from kefu.knowledge.documents.plain_text import read_plain_text

HANDBOOK = """小满百货 售后手册

第一章 退货

一、退货条件
收到商品七天内可以退货。商品须保持完好，
标签齐全。

二、不能退货的商品：
1. 贴身衣物
2. 食品

怎么申请退货？
打开订单页，点退货。

第二章 运费
1. 普通件
8 元。

2. 大件
20 元。
"""


def blocks(text: str) -> list[Block]:
    return list(read_plain_text(text.encode(), "a.txt", "a").blocks)


def found(text: str) -> list[tuple[str, str, str]]:
    document = read_plain_text(text.encode(), "a.txt", "a")
    return [(chunk.kind, chunk.question, chunk.text) for chunk in chunks_of(document, "a.txt")]


def test_a_handbook_is_cut_by_its_numbering() -> None:
    assert found(HANDBOOK) == [
        ("passage", "退货 > 退货条件", "收到商品七天内可以退货。商品须保持完好，标签齐全。"),
        ("passage", "退货 > 不能退货的商品", "1. 贴身衣物\n2. 食品"),
        ("faq", "怎么申请退货？", "打开订单页，点退货。"),
        ("passage", "运费 > 普通件", "8 元。"),
        ("passage", "运费 > 大件", "20 元。"),
    ]


def test_numbered_lines_under_each_other_are_a_list() -> None:
    kinds = [block.kind for block in blocks("步骤如下：\n1. 打开\n2. 点击\n3. 等待\n")]
    assert kinds == ["paragraph", "item", "item", "item"]


def test_wrapped_lines_are_one_paragraph_and_short_ones_are_not() -> None:
    wrapped = (
        "We send every order within one day of its payment, except\non Sundays and holidays.\n"
    )
    assert [block.text for block in blocks(wrapped)] == [wrapped.replace("\n", " ").strip()]
    assert len(blocks("北京店 长安街一号\n上海店 南京路二号\n")) == 2


def test_a_text_without_headings_is_named_by_its_file() -> None:
    assert found("Only one line.\n") == [("passage", "a", "Only one line.")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_of_chinese_editors(encoding: str) -> None:
    document = read_plain_text("第一章 退货\n七天内可退。\n".encode(encoding), "a.txt", "a")
    assert document.blocks[-1].text == "七天内可退。"
    assert bool(document.notes) == (encoding == "gb18030")


def test_an_empty_file() -> None:
    with pytest.raises(InvalidFile, match=r"a\.txt is empty"):
        read_plain_text(b"\n \n", "a.txt", "a")


@pytest.mark.parametrize(
    ("heading", "asks"),
    [
        ("怎么退货", True),
        ("三、怎么退货？", True),
        ("支持货到付款吗", True),
        ("How do I pay", True),
        ("Where is my order?", True),
        ("退货政策", False),
        ("How we work", False),
        ("什么" * 120, False),
    ],
)
def test_which_headings_are_questions(heading: str, asks: bool) -> None:
    assert is_question(heading) == asks


@pytest.mark.parametrize(
    ("heading", "bare"),
    [
        ("第三章 退货", "退货"),
        ("一、运费：", "运费"),
        ("（二）换货", "换货"),
        ("2.1 Shipping", "Shipping"),
        ("Chapter 4: Returns", "Returns"),
        ("3. 7 天无理由", "7 天无理由"),
        ("第五章", "第五章"),
        ("2026 年活动", "2026 年活动"),
    ],
)
def test_numbers_are_no_part_of_a_heading(heading: str, bare: str) -> None:
    assert without_number(heading) == bare
