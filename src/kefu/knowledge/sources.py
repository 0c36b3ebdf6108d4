"""What is imported: a file or a page, read into the entries that it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from kefu.errors import InvalidFile
from kefu.knowledge.documents.child import read_in_child
from kefu.knowledge.documents.kinds import TABLES, Kind
from kefu.knowledge.documents.passages import entries_of
from kefu.knowledge.entry import MAX_SOURCE, Entry
from kefu.knowledge.importing import read_faq

_NO_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class SourceFile:
    """`name` is what its entries say they come from; "" where that is not to be said."""

    name: str
    kind: Kind
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Source:
    """`columns`: those that a table has, so that what it does not speak of stays as it is."""

    name: str
    is_table: bool
    entries: tuple[Entry, ...]
    columns: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def read_source(file: SourceFile) -> Source:
    """Read a table or a document. Takes seconds for large ones: not on an event loop.

    Raises `InvalidFile` with the reason, of a table with every bad row.
    """
    if len(file.name) > MAX_SOURCE:
        raise InvalidFile(
            f"The name {file.name[:40]!r}... has {len(file.name)} characters; {MAX_SOURCE} are "
            "allowed. Give it a shorter one."
        )
    if _NO_NAME.search(file.name):
        raise InvalidFile(f"The name {file.name!r} has characters that are no text. Rename it.")
    return _read_table(file) if file.kind in TABLES else _read_document(file)


def _read_table(file: SourceFile) -> Source:
    notes: list[str] = []
    kind: Literal["table", "workbook"] = "workbook" if file.kind == "workbook" else "table"
    table = read_faq(file.content, file.name or "standard input", notes.append, kind)
    entries = tuple(replace(entry, source=file.name) for entry in table.entries)
    return Source(file.name, True, entries, table.columns, tuple(notes))


def _read_document(file: SourceFile) -> Source:
    reading = read_in_child(file.content, file.name, file.kind)
    entries = entries_of(reading.chunks, file.name)
    if not entries:
        raise InvalidFile(f"{file.name} has no text that could be imported.")
    return Source(file.name, False, tuple(entries), notes=tuple(reading.notes))
