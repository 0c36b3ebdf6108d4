"""Markdown: CommonMark with tables, read as the web page that it describes."""

from __future__ import annotations

from markdown_it import MarkdownIt

from kefu.knowledge.documents.blocks import Document
from kefu.knowledge.documents.web_page import blocks_of_html
from kefu.tables import read_text


def read_markdown(content: bytes, name: str, title: str) -> Document:
    notes: list[str] = []
    text = _without_front_matter(read_text(content, name, notes.append))
    # markdown-it itself stops at 20 levels of nesting and keeps what is deeper as text.
    page = MarkdownIt("commonmark").enable("table").render(text)
    return Document(title, tuple(blocks_of_html(page, name)), tuple(notes))


def _without_front_matter(text: str) -> str:
    """Settings of a site generator between two lines of dashes are no text."""
    if not text.startswith(("---\n", "---\r\n")):
        return text
    _, end, rest = text.partition("\n")[2].replace("\r\n", "\n").partition("\n---\n")
    return rest if end else text
