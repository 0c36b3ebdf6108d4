"""Word documents: headings by their styles, lists, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import groupby
from zipfile import BadZipFile

import docx
from docx.document import Document as WordDocument
from docx.opc.exceptions import PackageNotFoundError
from docx.styles.style import BaseStyle, ParagraphStyle
from docx.table import Table, _Row
from docx.text.paragraph import Paragraph

from kefu.errors import InvalidFile
from kefu.knowledge.documents.archive import check_archive
from kefu.knowledge.documents.blocks import Block, BlockKind, Document
from kefu.knowledge.documents.headings import Line, blocks_of
from kefu.knowledge.documents.rows import labelled_row
from kefu.knowledge.documents.sentences import clean

_HEADING = re.compile(r"(?:heading|标题)\s*([1-9])", re.IGNORECASE)
_TITLES = frozenset({"title", "标题"})
# Word has nine levels; a chain of styles that is longer goes in a circle.
_MAX_BASES = 9
_MIN_HEADER_COLUMNS = 3
_LONGEST_LABEL = 30


def read_word(content: bytes, name: str, title: str) -> Document:
    """Raises `InvalidFile` for what is no Word document."""
    check_archive(content, name)
    try:
        word = docx.Document(BytesIO(content))
    except (PackageNotFoundError, BadZipFile, KeyError, ValueError) as error:
        raise InvalidFile(f"{name} is no Word document (.docx). Save it as one.") from error
    written = list(_written(word))
    if not any(block.kind == "heading" for block, _ in written):
        return Document(title, tuple(_by_numbering(written)))
    return Document(title, tuple(block for block, _ in written))


def _written(word: WordDocument) -> Iterator[tuple[Block, bool]]:
    """The blocks in their order, and whether each is printed bold."""
    styles = {style.style_id: style for style in word.styles if isinstance(style, ParagraphStyle)}
    levels = {id_: _style_level(style) for id_, style in styles.items()}
    lists = {id_ for id_, style in styles.items() if (style.name or "").startswith("List")}
    for part in word.iter_inner_content():
        if isinstance(part, Table):
            yield from ((block, False) for block in _rows(part))
        elif text := clean(part.text):
            style = part._p.style or ""
            level = _own_level(part) or levels.get(style, 0)
            kind: BlockKind = "item" if style in lists or _is_numbered(part) else "paragraph"
            block = Block("heading", text, level) if level else Block(kind, text)
            yield block, _is_bold(part)


def _style_level(style: ParagraphStyle) -> int:
    """The heading level that a style or one that it is based on has; 0 for none."""
    current: BaseStyle | None = style
    for _ in range(_MAX_BASES):
        if not isinstance(current, ParagraphStyle):
            return 0
        name = (current.name or "").strip()
        if found := _HEADING.match(name):
            return int(found.group(1))
        if name.casefold() in _TITLES:
            return 1
        current = current.base_style
    return 0


def _own_level(paragraph: Paragraph) -> int:
    """Set on the paragraph itself. Word counts from 0, and 9 is body text."""
    found = paragraph._p.xpath("./w:pPr/w:outlineLvl/@w:val")
    return int(found[0]) + 1 if found and str(found[0]) in "012345678" else 0


def _is_numbered(paragraph: Paragraph) -> bool:
    return bool(paragraph._p.xpath("./w:pPr/w:numPr"))


def _is_bold(paragraph: Paragraph) -> bool:
    runs = [run for run in paragraph.runs if run.text.strip()]
    return bool(runs) and all(run.bold for run in runs)


def _rows(table: Table) -> Iterator[Block]:
    rows = [(row, _cells(row)) for row in table.rows]
    header: Sequence[str] = ()
    if len(rows) > 1 and _is_header(*rows[0]):
        header = rows.pop(0)[1]
    for _, cells in rows:
        if text := labelled_row(header, cells):
            yield Block("row", text)


def _cells(row: _Row) -> list[str]:
    """A cell that goes over several columns is said once."""
    return [clean(next(same).text) for _, same in groupby(row.cells, key=lambda cell: cell._tc)]


def _is_header(row: _Row, cells: Sequence[str]) -> bool:
    """As marked or printed bold. Tables of two columns may be names with values all the way."""
    if row._tr.xpath("./w:trPr/w:tblHeader"):
        return True
    paragraphs = [p for cell in row.cells for p in cell.paragraphs if p.text.strip()]
    if paragraphs and all(_is_bold(paragraph) for paragraph in paragraphs):
        return True
    are_labels = all(cell and len(cell) <= _LONGEST_LABEL for cell in cells)
    return are_labels and len(cells) >= _MIN_HEADER_COLUMNS


def _by_numbering(written: Sequence[tuple[Block, bool]]) -> Iterator[Block]:
    """Documents whose headings are only bold or numbered, as most are that nobody styled."""
    for are_paragraphs, group in groupby(written, key=lambda item: item[0].kind == "paragraph"):
        if are_paragraphs:
            yield from blocks_of([Line(block.text, bold) for block, bold in group], wrapped=False)
        else:
            yield from (block for block, _ in group)
