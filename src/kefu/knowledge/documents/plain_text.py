"""Text files: headings by numbering and empty lines."""

from __future__ import annotations

from kefu.knowledge.documents.blocks import Document
from kefu.knowledge.documents.headings import blocks_of, lines_of
from kefu.tables import read_text


def read_plain_text(content: bytes, name: str, title: str) -> Document:
    notes: list[str] = []
    text = read_text(content, name, notes.append)
    return Document(title, tuple(blocks_of(lines_of(text))), tuple(notes))
