"""Chunks of a document as entries of the knowledge."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kefu.knowledge.documents.chunking import Chunk
from kefu.knowledge.entry import Entry, with_language


def entries_of(chunks: Sequence[Chunk], source: str) -> list[Entry]:
    """An entry for each chunk, in the same order."""
    return [_entry(chunk, source) for chunk in chunks]


def _entry(chunk: Chunk, source: str) -> Entry:
    entry = Entry(
        id=_derived_id(chunk, source),
        question=chunk.question,
        answer=chunk.text,
        alternatives=tuple(text for text in chunk.sentences if text != chunk.question),
        kind=chunk.kind,
        source=source,
        page=chunk.page,
    )
    return with_language(entry)


def _derived_id(chunk: Chunk, source: str) -> str:
    """The same words of the same source under the same headings: the same id."""
    key = "\0".join((source, chunk.kind, chunk.question, chunk.text))
    return f"d-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:16]}"
