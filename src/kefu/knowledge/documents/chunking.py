"""A document cut where its structure cuts it: chunks that stay within one section.

Aims, in characters: small enough that a generator can read three, large enough to say one thing
whole. No sentence, item or row is parted, unless it is longer than any passage may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kefu.errors import InvalidFile
from kefu.knowledge.documents.blocks import SMALLEST_LEVEL, Block, BlockKind, Document
from kefu.knowledge.documents.headings import is_question, without_number
from kefu.knowledge.documents.limits import MAX_CHARACTERS, MAX_CHUNKS
from kefu.knowledge.documents.pairs import LONGEST_ANSWER, find_pairs
from kefu.knowledge.documents.sentences import (
    clean,
    cut_long,
    gap_between,
    merge_short,
    split_sentences,
)

SHORTEST = 150
LONGEST = 500
LONGEST_SENTENCE = 1_000
LONGEST_LEAD = 120
LONGEST_ITEM = 200
LONGEST_PATH = 400

# Each sentence costs a vector.
MAX_SENTENCES = 12
SHORTEST_SENTENCE = 12
LONGEST_VECTOR_TEXT = 500

PATH_MARK = " > "


@dataclass(frozen=True)
class Chunk:
    """`question` is what a heading asks, or the path of headings over a passage."""

    kind: Literal["faq", "passage"]
    question: str
    text: str
    sentences: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True)
class _Section:
    path: tuple[str, ...]
    blocks: Sequence[Block]
    is_parent: bool

    @property
    def heading(self) -> str:
        return self.path[-1] if self.path else ""

    @property
    def page(self) -> int | None:
        return self.blocks[0].page


@dataclass(frozen=True)
class _Unit:
    """What is never parted. `lead` introduces it ("we do not take back:")."""

    text: str
    kind: BlockKind
    lead: str = ""
    goes_on: bool = False
    page: int | None = None

    @property
    def sentences(self) -> list[str]:
        """Items and rows say one thing, with what introduces them."""
        if self.kind == "paragraph" or len(self.text) > LONGEST_ITEM:
            return split_sentences(self.text)
        gap = gap_between(self.lead, self.text) if self.lead else ""
        return [f"{self.lead}{gap}{self.text}".replace("\n", " ")]


def chunks_of(document: Document, name: str) -> list[Chunk]:
    """The chunks of a document in its order. Raises `InvalidFile` where it has too much text."""
    characters = sum(len(block.text) for block in document.blocks)
    if characters > MAX_CHARACTERS:
        raise InvalidFile(
            f"{name} has {characters:,} characters of text; {MAX_CHARACTERS:,} are allowed. "
            "Part it into several documents."
        )
    found = [chunk for section in _sections(document) for chunk in _section_chunks(section)]
    chunks = list(dict.fromkeys(found))  # a disclaimer under every page is said once
    if len(chunks) > MAX_CHUNKS:
        raise InvalidFile(
            f"{name} makes {len(chunks):,} passages; {MAX_CHUNKS:,} are allowed. "
            "Part it into several documents."
        )
    return chunks


def _sections(document: Document) -> Iterator[_Section]:
    path: list[tuple[int, str]] = []
    blocks: list[Block] = []
    for block in document.blocks:
        if block.kind != "heading":
            blocks.append(block)
            continue
        level = block.level
        if blocks:
            is_parent = bool(path) and path[-1][0] < level < SMALLEST_LEVEL
            yield _section(path, blocks, document.title, is_parent)
            blocks = []
        path = [(above, text) for above, text in path if above < level]
        if text := without_number(clean(block.text).replace("\n", " ")):
            path.append((level, text))
    if blocks:
        yield _section(path, blocks, document.title, is_parent=False)


def _section(
    path: Sequence[tuple[int, str]], blocks: Sequence[Block], title: str, is_parent: bool
) -> _Section:
    headings = tuple(dict.fromkeys(text for _, text in path)) or ((title,) if title else ())
    return _Section(headings, tuple(blocks), is_parent)


def _section_chunks(section: _Section) -> Iterator[Chunk]:
    pairs, rest = find_pairs(section.blocks)
    for pair in pairs:
        yield Chunk("faq", pair.question, pair.answer, page=pair.page)
    answer = "" if pairs else _answer_of(section)
    if answer:
        yield Chunk("faq", section.heading, answer, page=section.page)
    else:
        yield from _passages(rest, path_of(section.path))


def _answer_of(section: _Section) -> str:
    """The text of a section whose heading is a question, "" where it is no such or too long."""
    size = sum(len(block.text) for block in section.blocks)
    if section.is_parent or size > LONGEST_ANSWER or not is_question(section.heading):
        return ""
    return _text_of(list(_units(section.blocks)))


def path_of(headings: Sequence[str]) -> str:
    """退货政策 > 运费. The outermost headings go first where it is too long."""
    kept = list(headings)
    while len(kept) > 1 and len(PATH_MARK.join(kept)) > LONGEST_PATH:
        kept.pop(0)
    return PATH_MARK.join(kept)[:LONGEST_PATH]


def _passages(blocks: Sequence[Block], path: str) -> Iterator[Chunk]:
    for units in _packed(list(_units(blocks))):
        yield Chunk("passage", path, _text_of(units), _sentences_of(units), units[0].page)


# --- units ---------------------------------------------------------------------------------------


def _units(blocks: Sequence[Block]) -> Iterator[_Unit]:
    lead, led = "", ""
    for at, block in enumerate(blocks):
        text = clean(block.text)
        if not text:
            continue
        if block.kind == "paragraph" and _leads(blocks, at, text):
            lead, led = text, blocks[at + 1].kind
            continue
        if block.kind != led:  # a table after the list, a paragraph after the table
            lead = led = ""
        yield from _parted(_Unit(text, block.kind, lead, page=block.page))


def _leads(blocks: Sequence[Block], at: int, text: str) -> bool:
    """Whether a paragraph introduces the list or table after it."""
    is_before_list = at + 1 < len(blocks) and blocks[at + 1].kind in ("item", "row")
    return is_before_list and len(text) <= LONGEST_LEAD and text.endswith((":", "："))


def _parted(unit: _Unit) -> Iterator[_Unit]:
    if len(unit.text) <= LONGEST:
        yield unit
        return
    parts = [
        part
        for sentence in split_sentences(unit.text)
        for part in cut_long(sentence, LONGEST_SENTENCE)
    ]
    for number, part in enumerate(parts):
        yield replace(unit, text=part, goes_on=number > 0)


def _packed(units: Sequence[_Unit]) -> list[list[_Unit]]:
    """Neighbours together until the next one would be too much; a short last group joins the one before."""
    groups: list[list[_Unit]] = []
    for unit in units:
        if groups and _size([*groups[-1], unit]) <= LONGEST:
            groups[-1].append(unit)
        else:
            groups.append([unit])
    if len(groups) > 1 and _size(groups[-1]) < SHORTEST:
        joined = [*groups[-2], *groups[-1]]
        if _size(joined) <= LONGEST + SHORTEST:
            groups[-2:] = [joined]
    return groups


def _size(units: Sequence[_Unit]) -> int:
    return len(_text_of(units))


def _text_of(units: Sequence[_Unit]) -> str:
    """Units as they were written: lines, sentences of a paragraph side by side, a lead once."""
    text = lead = ""
    for unit in units:
        if unit.lead and unit.lead != lead:
            text += ("\n" if text else "") + unit.lead
        lead = unit.lead
        gap = gap_between(text, unit.text) if unit.goes_on else "\n"
        text += (gap if text else "") + unit.text
    return text


def _sentences_of(units: Sequence[_Unit]) -> tuple[str, ...]:
    return vector_texts([sentence for unit in units for sentence in unit.sentences])


def vector_texts(sentences: Sequence[str]) -> tuple[str, ...]:
    """What a passage is found by: its sentences, short ones together."""
    merged = merge_short(sentences, SHORTEST_SENTENCE, MAX_SENTENCES)
    return tuple(dict.fromkeys(sentence[:LONGEST_VECTOR_TEXT] for sentence in merged))
