"""What numbering and wording tell of a line: a heading and its level, an item, a question."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kefu.knowledge.documents.blocks import SMALLEST_LEVEL, Block
from kefu.knowledge.documents.sentences import clean, join

LONGEST_HEADING = 60
LONGEST_QUESTION = 200

_HAN_NUMBER = "[零〇一二三四五六七八九十百\\d]{1,6}"

# Outer to inner, as handbooks number: the place in the list is the level. Lines without a number
# that stand alone come after sections.
_NUMBERINGS = (
    re.compile(rf"第\s*{_HAN_NUMBER}\s*[章篇编部]|(?:chapter|part)\s+\d+\b", re.IGNORECASE),
    re.compile(rf"第\s*{_HAN_NUMBER}\s*节|section\s+\d+\b", re.IGNORECASE),
    re.compile(r"[一二三四五六七八九十]{1,3}\s*[、.．]"),
    re.compile(r"[（(][一二三四五六七八九十]{1,3}[)）]"),
    re.compile(r"\d{1,3}\s*[、．.)）](?!\d)"),
    re.compile(r"\d{1,3}(?:\.\d{1,3}){1,4}[.、\s]"),
    re.compile(r"[（(]\d{1,3}[)）]"),
)
_ALONE_LEVEL = 3
_BULLET = re.compile(r"(?:[-*•·●○■□▪◆➢✓–]|[①-⑳])\s*(?=\S)")
_NUMBERED = re.compile(r"(?:\d{1,3}\s*[、．.)）]|[（(]\d{1,3}[)）])(?!\d)\s*(?=\S)")
_ORDINAL = re.compile(
    "(?:" + "|".join(f"(?:{p.pattern})" for p in _NUMBERINGS) + r")[\s:：.、-]*", re.IGNORECASE
)

_ENDS_A_SENTENCE = re.compile(r"[。！；;，,.!…：:]$")
_ENDS_A_PARAGRAPH = re.compile(r"[。！？!?:：]$")
_ENDS_A_LINE_ONLY = re.compile(r"[，,、]$")
_ASKING_ZH = re.compile(
    r"^(?:请问)?(?:如何|怎么|怎样|什么|为什么|为何|哪|是否|能否|能不能|可不可以|可以.*吗$|有没有|多久|多少)"
    r"|(?:吗|呢|怎么办|多久|多少钱|是什么|怎么样|哪里|在哪)$"
)
_ASKING_EN = re.compile(r"^(?:how (?:do|can|should) (?:i|we)\b|how to\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """A line of a text that has no marks of its own. `alone`: an empty line stands before it."""

    text: str
    alone: bool = False
    page: int | None = None


def is_question(text: str) -> bool:
    """Whether a heading asks what its section answers."""
    bare = without_number(text)
    if not bare or len(bare) > LONGEST_QUESTION:
        return False
    return bare.endswith(("?", "？")) or bool(_ASKING_ZH.search(bare) or _ASKING_EN.match(bare))


def without_number(heading: str) -> str:
    """一、运费： -> 运费, so that an inserted section does not rename all that follow."""
    number = _ORDINAL.match(heading)
    bare = (heading[number.end() :] if number else heading).rstrip("：: ")
    return bare or heading


def blocks_of(
    lines: Sequence[Line], *, wrapped: bool = True, alone_heads: bool = True, below: int = 0
) -> Iterator[Block]:
    """Headings, items and paragraphs of plain lines, told apart by numbering and empty lines.

    `wrapped`: a line may go on in the next one. `alone_heads`: a short line that stands alone is a
    heading without a number. `below`: so many levels are above all that are found here.
    """
    longest = max((len(line.text) for line in lines), default=0)
    open_: Block | None = None
    for at, line in enumerate(lines):
        block = _block(lines, at, alone_heads, below)
        if open_ and wrapped and _goes_on(open_, lines[at - 1], line, block, longest):
            open_ = replace(open_, text=join(open_.text, block.text))
            continue
        if open_:
            yield open_
        open_ = block
    if open_:
        yield open_


def _block(lines: Sequence[Line], at: int, alone_heads: bool, below: int) -> Block:
    line = lines[at]
    if level := _heading_level(lines, at, alone_heads):
        return Block("heading", line.text, min(below + level, SMALLEST_LEVEL - 1), line.page)
    if mark := _BULLET.match(line.text):
        return Block("item", line.text[mark.end() :], page=line.page)
    return Block("item" if _NUMBERED.match(line.text) else "paragraph", line.text, page=line.page)


def _goes_on(open_: Block, before: Line, line: Line, block: Block, longest: int) -> bool:
    """Whether a line is the rest of the one before, which was wrapped at the page's width."""
    if line.alone or block.kind != "paragraph" or open_.kind == "heading":
        return False
    if _ENDS_A_LINE_ONLY.search(before.text):
        return True
    # Files with short lines only are not wrapped, they are lists of sorts.
    is_full = len(before.text) >= max(30, 0.7 * min(longest, 120))
    return is_full and not _ENDS_A_PARAGRAPH.search(open_.text)


def _heading_level(lines: Sequence[Line], at: int, alone_heads: bool) -> int:
    """0 where the line is no heading."""
    line = lines[at]
    numbering = _numbering(line.text)
    if at + 1 == len(lines):
        return 0  # a heading of nothing
    if numbering is not None:
        heads = _may_head(line.text.rstrip("：:")) and not _in_list(lines, at, numbering)
        return _level(numbering) if heads else 0
    if not line.alone or not _may_head(line.text) or _BULLET.match(line.text):
        return 0
    if is_question(line.text):
        return SMALLEST_LEVEL - 1
    is_short = lines[at + 1].alone or len(line.text) <= LONGEST_HEADING // 2
    return _ALONE_LEVEL if alone_heads and is_short else 0


def _level(numbering: int) -> int:
    return numbering + 1 if numbering < _ALONE_LEVEL - 1 else numbering + 2


def _numbering(text: str) -> int | None:
    for number, pattern in enumerate(_NUMBERINGS):
        if pattern.match(text):
            return number
    return None


def _may_head(text: str) -> bool:
    short = len(text) <= (LONGEST_QUESTION if is_question(text) else LONGEST_HEADING)
    return short and not _ENDS_A_SENTENCE.search(text)


def _in_list(lines: Sequence[Line], at: int, numbering: int) -> bool:
    """Chapters stand under each other in a table of contents only; numbered lines are a list."""
    beside = [lines[i] for i in (at - 1, at + 1) if 0 <= i < len(lines)]
    return any(
        _numbering(line.text) == numbering and not _is_far(lines, at, line) for line in beside
    )


def _is_far(lines: Sequence[Line], at: int, other: Line) -> bool:
    """Parted by an empty line: then each is a heading of its own."""
    return lines[at].alone if other is lines[at - 1] else other.alone


def lines_of(text: str) -> list[Line]:
    """The lines of a text that have something, and whether an empty one came before."""
    rows = ["", *text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n").split("\n")]
    return [
        Line(cleaned, alone=not before.strip())
        for before, row in pairwise(rows)
        if (cleaned := clean(row))
    ]
