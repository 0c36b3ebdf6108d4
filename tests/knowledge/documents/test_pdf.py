"""PDF files, written letter by letter in `making.py`."""

from __future__ import annotations

import pytest

from kefu.errors import InvalidFile
from kefu.knowledge.documents.blocks import Document
from kefu.knowledge.documents.chunking import chunks_of
from kefu.knowledge.documents.pdf import read_pdf
from tests.knowledge.documents.making import Line, pdf, pdf_of_many_pages


def read(*pages: list[Line]) -> Document:
    return read_pdf(pdf(pages), "a.pdf", "手册")


def test_headings_are_told_by_the_size_of_their_letters() -> None:
    document = read(
        [
            (20, "退货政策"),
            (11, "收到商品七天内可以退货，商品须保持完好，标签、吊牌、包装和赠品都必须齐全，"),
            (11, "并且没有使用过的痕迹。"),
            (15, "运费"),
            (11, "普通件 8 元。"),
        ],
        [(20, "Shipping"), (11, "We are ship-"), (11, "ping it.")],
    )
    found = [(c.question, c.text, c.page) for c in chunks_of(document, "a.pdf")]
    assert found == [
        (
            "退货政策",
            "收到商品七天内可以退货，商品须保持完好，标签、吊牌、包装和赠品都必须齐全，并且没有使用过的痕迹。",
            1,
        ),
        ("退货政策 > 运费", "普通件 8 元。", 1),
        ("Shipping", "We are shipping it.", 2),
    ]


def test_letters_of_one_size_leave_the_numbering() -> None:
    document = read(
        [(11, "一、退货"), (11, "七天内可退。"), (11, "二、换货"), (11, "十五天内可换。")]
    )
    found = [(chunk.question, chunk.text) for chunk in chunks_of(document, "a.pdf")]
    assert found == [("退货", "七天内可退。"), ("换货", "十五天内可换。")]


def test_headers_footers_and_page_numbers_are_dropped() -> None:
    texts = ["七天内可以退货。", "十五天内可以换货。", "运费由买家承担。", "会员可以免运费。"]
    pages = [
        [
            (9.0, "小满百货 售后手册"),
            (11.0, text),
            (11.0, "详情请问客服。"),
            (9.0, f"第 {n} 页 共 4 页"),
        ]
        for n, text in enumerate(texts, 1)
    ]
    text = "\n".join(chunk.text for chunk in chunks_of(read(*pages), "a.pdf"))
    assert all(expected in text for expected in texts)
    assert "售后手册" not in text
    assert "共 4 页" not in text


def test_pages_without_text_are_named() -> None:
    document = read([(11, "七天内可退。")], [])
    assert document.notes == ("a.pdf: no text on 1 of 2 pages (2). Pictures are not read.",)
    with pytest.raises(InvalidFile, match="OCR"):
        read([], [])


def test_ten_thousand_pages_are_refused() -> None:
    with pytest.raises(InvalidFile, match="10,000 pages; 2,000 are allowed"):
        read_pdf(pdf_of_many_pages(10_000), "a.pdf", "a")


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"no pdf", pdf([[(11, "x")]])[:300]])
def test_damaged_files(content: bytes) -> None:
    with pytest.raises(InvalidFile, match=r"a\.pdf (is no PDF|has no text)"):
        read_pdf(content, "a.pdf", "a")
