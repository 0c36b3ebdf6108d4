"""Chunks stay within their section and part nothing that belongs together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.errors import InvalidFile
from kefu.knowledge.documents import chunking
from kefu.knowledge.documents.blocks import SMALLEST_LEVEL, Block, Document
from kefu.knowledge.documents.chunking import (
    LONGEST,
    LONGEST_VECTOR_TEXT,
    MAX_SENTENCES,
    PATH_MARK,
    SHORTEST,
    Chunk,
    chunks_of,
    path_of,
)


def chunks(*blocks: Block) -> list[Chunk]:
    return chunks_of(Document("手册", blocks), "a.md")


def heading(text: str, level: int = 1) -> Block:
    return Block("heading", text, level)


def paragraph(text: str, page: int | None = None) -> Block:
    return Block("paragraph", text, page=page)


def test_a_chunk_has_the_path_of_its_headings_and_its_page() -> None:
    found = chunks(
        paragraph("前言。", 1),
        heading("退货政策"),
        paragraph("七天内可退。", 2),
        heading("运费", 2),
        paragraph("运费 8 元。", 3),
        heading("会员"),
        paragraph("会员免运费。", 4),
    )
    assert [(chunk.question, chunk.text, chunk.page) for chunk in found] == [
        ("手册", "前言。", 1),
        ("退货政策", "七天内可退。", 2),
        ("退货政策 > 运费", "运费 8 元。", 3),
        ("会员", "会员免运费。", 4),
    ]


def test_a_heading_that_asks_is_answered_by_its_section() -> None:
    (found,) = chunks(
        heading("退货"),
        heading("1. 怎么退货？", 2),
        paragraph("两步："),
        Block("item", "点退货"),
        Block("item", "寄回"),
    )
    assert found == Chunk("faq", "怎么退货？", "两步：\n点退货\n寄回")


def test_a_question_over_other_sections_is_only_a_heading() -> None:
    found = chunks(
        heading("怎么退货？"), paragraph("看下面。"), heading("国内", 2), paragraph("寄回。")
    )
    assert [chunk.kind for chunk in found] == ["passage", "passage"]
    assert found[1].question == "怎么退货？ > 国内"


def test_a_small_section_ends_where_it_says() -> None:
    found = chunks(
        heading("配送"),
        heading("多久到？", SMALLEST_LEVEL),
        paragraph("三天。"),
        heading("", SMALLEST_LEVEL),
        paragraph("全国包邮。"),
    )
    assert [(c.kind, c.question) for c in found] == [("faq", "多久到？"), ("passage", "配送")]


def test_long_sections_are_cut_between_sentences() -> None:
    text = "".join(f"这是第{n}句二十个字左右的完整的话，说明退货政策。" for n in range(60))
    found = chunks(heading("退货"), paragraph(text))
    assert len(found) > 2
    assert "".join(chunk.text for chunk in found) == text
    assert all(chunk.text.endswith("。") for chunk in found)
    assert all(SHORTEST <= len(chunk.text) <= LONGEST + SHORTEST for chunk in found)


def test_a_list_that_is_cut_repeats_what_introduces_it() -> None:
    items = [Block("item", f"第{number}类商品，" + "说明" * 30) for number in range(12)]
    found = chunks(heading("退货"), paragraph("以下商品不能退货："), *items)
    assert len(found) > 1
    assert all(chunk.text.startswith("以下商品不能退货：\n第") for chunk in found)
    assert sum(chunk.text.count("类商品") for chunk in found) == len(items)
    assert found[0].sentences[0].startswith("以下商品不能退货：第0类商品")


def test_a_lead_is_for_the_list_and_not_for_the_table_after_it() -> None:
    (found,) = chunks(
        heading("运费"),
        paragraph("非质量问题由顾客承担："),
        Block("item", "普通件 8 元，三天送到"),
        Block("row", "地区：新疆；运费：20 元起"),
    )
    assert found.sentences == (
        "非质量问题由顾客承担：普通件 8 元，三天送到",
        "地区：新疆；运费：20 元起",
    )


def test_what_is_said_twice_is_kept_once() -> None:
    again = (heading("注意"), paragraph("图片仅供参考。"))
    assert len(chunks(*again, *again)) == 1


def test_a_path_that_is_too_long_loses_its_outermost_headings() -> None:
    path = path_of(["外" * 300, "中" * 200, "内" * 150])
    assert path == "中" * 200 + PATH_MARK + "内" * 150
    assert len(path_of(["长" * 900])) == chunking.LONGEST_PATH


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunking, "MAX_CHUNKS", 3)
    sections = [b for n in range(4) for b in (heading(f"{n}"), paragraph(f"text {n}."))]
    with pytest.raises(InvalidFile, match="makes 4 passages; 3 are allowed"):
        chunks(*sections)
    monkeypatch.setattr(chunking, "MAX_CHARACTERS", 10)
    with pytest.raises(InvalidFile, match="characters of text"):
        chunks(paragraph("x" * 11))


BLOCKS = st.lists(
    st.builds(
        Block,
        st.sampled_from(["heading", "paragraph", "item", "row"]),
        st.text("退货运费，。？：:ab .?1、第一章\n", max_size=700),
        st.integers(1, SMALLEST_LEVEL),
    ),
    max_size=12,
)


@given(BLOCKS)
def test_whatever_is_read_makes_entries_that_can_be_taken(blocks: list[Block]) -> None:
    for chunk in chunks(*blocks):
        assert chunk.question.strip()
        assert chunk.text.strip()
        assert len(chunk.question) <= 500
        assert len(chunk.text) <= 2_000
        assert len(chunk.sentences) <= MAX_SENTENCES
        assert all(0 < len(text) <= LONGEST_VECTOR_TEXT for text in chunk.sentences)
