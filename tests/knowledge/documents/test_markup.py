"""Markdown and web pages, which are read alike."""

from __future__ import annotations

import pytest

from kefu.errors import InvalidFile
from kefu.knowledge.documents.blocks import Block
from kefu.knowledge.documents.chunking import chunks_of
from kefu.knowledge.documents.limits import MAX_NESTING
from kefu.knowledge.documents.markdown import read_markdown
from kefu.knowledge.documents.web_page import read_web_page


def markdown(text: str) -> list[tuple[str, str]]:
    return [(b.kind, b.text) for b in read_markdown(text.encode(), "a.md", "a").blocks if b.text]


def page(text: str) -> list[tuple[str, str]]:
    blocks = read_web_page(text.encode(), "a.html", "a").blocks
    return [(block.kind, block.text) for block in blocks if block.text]


def test_markdown_has_headings_lists_tables_and_html_between() -> None:
    text = (
        "---\nlayout: page\n---\n# 退货\n\n七天内**可退**，见[政策](http://x.example)。\n\n- 一\n- 二\n\n"
        "| 尺码 | 胸围 |\n|---|---|\n| M | 90 |\n\n<details><summary>多久？</summary>三天。</details>\n"
    )
    assert markdown(text) == [
        ("heading", "退货"),
        ("paragraph", "七天内可退，见政策。"),
        ("item", "一"),
        ("item", "二"),
        ("row", "尺码：M；胸围：90"),
        ("heading", "多久？"),
        ("paragraph", "三天。"),
    ]


def test_only_the_main_content_of_a_page_is_read() -> None:
    text = """<html><head><title>Help</title><style>p{}</style></head><body>
      <header>Logo</header><nav><a>Home</a></nav>
      <main><header><h1>Shipping</h1></header><p>We ship
      world-wide.</p><script>var a = "<p>no</p>"</script><form><p>Subscribe</p></form>
      <p hidden>secret</p><aside>Ads</aside></main><p>outside</p><footer>imprint</footer></body>"""
    assert page(text) == [("heading", "Shipping"), ("paragraph", "We ship world-wide.")]


def test_a_page_without_main_loses_its_banner_only() -> None:
    assert page("<body><header>Logo</header><h1>A</h1>text<div>more</div></body>") == [
        ("heading", "A"),
        ("paragraph", "text"),
        ("paragraph", "more"),
    ]


def test_tables_hold_data_or_lay_out_a_page() -> None:
    data = "<table><tr><th>Zone<th>Price<tr><td>EU<td>5<tr><th>US<td>9</table>"
    assert page(data) == [("row", "Zone: EU; Price: 5"), ("row", "Zone: US; Price: 9")]
    layout = "<table><tr><td><h2>A</h2>one</td><td>two</td></tr></table>"
    assert page(layout) == [("heading", "A"), ("paragraph", "one"), ("paragraph", "two")]


def test_terms_and_parts_that_open_are_questions() -> None:
    text = "<dl><dt>Open on Sunday?<dd>No.</dl><p>After.</p>"
    document = read_web_page(text.encode(), "a.html", "Shop")
    found = [(c.kind, c.question, c.text) for c in chunks_of(document, "a.html")]
    assert found == [("faq", "Open on Sunday?", "No."), ("passage", "Shop", "After.")]


def test_line_breaks_in_the_source_are_none_in_chinese_text() -> None:
    assert page("<p>收到商品\n   七天内<br>可退</p><pre>a\n b</pre>") == [
        ("paragraph", "收到商品七天内\n可退"),
        ("paragraph", "a\nb"),
    ]


@pytest.mark.parametrize(
    ("said", "encoding"), [("gb2312", "gb18030"), ("big5", "big5"), ("utf-8", "utf-8")]
)
def test_a_page_is_decoded_as_it_says(said: str, encoding: str) -> None:
    text = f'<meta charset="{said}"><title>退貨</title><p>七天</p>'
    document = read_web_page(text.encode(encoding), "a.html", "a")
    assert (document.title, document.blocks[0]) == ("退貨", Block("paragraph", "七天"))


@pytest.mark.parametrize(
    "bomb",
    ["<div>" * 200_000, "<b><i>" * 100_000, "<p><button>" * 50_000, "<table><tr><td>" * 90_000],
)
def test_pages_nested_without_end_are_refused_before_the_parser(bomb: str) -> None:
    with pytest.raises(InvalidFile, match="inside each other"):
        read_web_page(bomb.encode(), "a.html", "a")


def test_markup_inside_a_script_is_no_nesting() -> None:
    script = "<script>" + "x = '<div>';" * MAX_NESTING * 2 + "</script><p>text</p>"
    assert page(script) == [("paragraph", "text")]
    assert page("<ul>" + "<li>a" * 5_000 + "</ul>") == [("item", "a")] * 5_000


@pytest.mark.parametrize("bomb", ["> " * 50_000 + "x", "- " * 20_000 + "x", "[" * 20_000])
def test_markdown_nested_without_end_is_text(bomb: str) -> None:
    read_markdown(bomb.encode(), "a.md", "a")
