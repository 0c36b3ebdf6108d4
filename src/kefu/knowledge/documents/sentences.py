"""Lines joined into running text, and running text parted into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kefu.language import CJK

_CLOSERS = "”’」』】）》)\\]\"'"
# The look behind keeps a run of ten thousand points from being tried from each of them.
_END = re.compile(rf"[。！？；…]+[{_CLOSERS}]*|(?<![.!?])[.!?]++[{_CLOSERS}]*+(?=\s|$|[{CJK}])|\n+")
_ABBREVIATED = (
    "mr mrs ms dr prof st no vs etc eg ie e.g i.e approx inc ltd co corp fig min max tel ext"
)
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
_LAST_WORD = re.compile(r"([\w.]+?)\.+$")
_SENTENCE_MARKS = tuple("。！？；….!?;")
_SPACE = re.compile(r"[^\S\n]+")
_NO_TEXT = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffe]"
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Han and the full-width punctuation that stands between: no space belongs there.
_WIDE = re.compile(rf"[{CJK}\u3001-\u303f\uff00-\uffef]")


def clean(text: str) -> str:
    """Single spaces, no empty lines, nothing that cannot be seen."""
    visible = _SURROGATE.sub("\ufffd", _NO_TEXT.sub("", text.replace("\r\n", "\n")))
    lines = (_SPACE.sub(" ", line).strip() for line in visible.split("\n"))
    return "\n".join(line for line in lines if line)


def join(first: str, second: str) -> str:
    """Two lines of one paragraph: Chinese without a space, a word cut at its hyphen made whole."""
    if not first or not second:
        return first or second
    if first.endswith("-") and first[-2:-1].isalpha() and second[:1].islower():
        return first[:-1] + second
    return first + gap_between(first, second) + second


def gap_between(first: str, second: str) -> str:
    return "" if _WIDE.match(first[-1:]) or _WIDE.match(second[:1]) else " "


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, each with its mark. A line break ends one as well."""
    return [sentence for part in _parts(text) if (sentence := part.strip())]


def _parts(text: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(text):
        if _is_end(text, start, end.end()):
            yield text[start : end.end()]
            start = end.end()
    yield text[start:]


def _is_end(text: str, start: int, end: int) -> bool:
    """Whether the mark before `end` ends a sentence: no abbreviation, initial or list number."""
    if text[end - 1] != ".":
        return True
    if text[end : end + 4].lstrip()[:1].islower():
        return False
    word = _LAST_WORD.search(text, max(start, end - 12), end)
    if word is None:
        return True
    before = word.group(1).casefold()
    is_list_number = before.isdigit() and text[start:end].strip() == word.group()
    return before not in _ABBREVIATIONS and len(before) > 1 and not is_list_number


def cut_long(text: str, longest: int) -> list[str]:
    """A sentence that no passage could hold, cut at commas and where there are none, anywhere."""
    pieces = []
    while len(text) > longest:
        at = max(text.rfind(mark, 0, longest) for mark in "，,、：: ") + 1
        at = at if at > longest // 2 else longest
        pieces.append(text[:at].strip())
        text = text[at:]
    return [piece for piece in (*pieces, text.strip()) if piece]


def merge_short(sentences: Sequence[str], shortest: int, most: int) -> list[str]:
    """Short sentences joined to the one after them, then neighbours until there are at most `most`."""
    merged: list[str] = []
    for sentence in sentences:
        if merged and len(merged[-1]) < shortest:
            merged[-1] = _side_by_side(merged[-1], sentence)
        else:
            merged.append(sentence)
    while len(merged) > most:
        at = min(range(len(merged) - 1), key=lambda i: len(merged[i]) + len(merged[i + 1]))
        merged[at : at + 2] = [_side_by_side(merged[at], merged[at + 1])]
    return merged


def _side_by_side(first: str, second: str) -> str:
    """Items have no mark at their end that would part them."""
    gap = gap_between(first, second) if first.endswith(_SENTENCE_MARKS) else " "
    return first + gap + second
