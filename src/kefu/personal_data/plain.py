"""Texts with their digits and separators in one writing, and the way back to what was written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Blocks with digits of other scripts, raised, enclosed, full-width and mathematical ones.
_DIGIT_BLOCKS = (
    (0xB2, 0xBA),
    (0x660, 0x6FA),
    (0x966, 0x970),
    (0x2070, 0x208A),
    (0x2460, 0x249C),
    (0x24EA, 0x2500),
    (0x2776, 0x2794),
    (0x1D7CE, 0x1D800),
    (0x1F100, 0x1F10B),
)
_FULL_WIDTH = range(0xFF01, 0xFF5F)
_FULL_WIDTH_SHIFT = 0xFEE0
_SPACES = "\t\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2500\u30fc"

# Nobody sees these; put between two digits they hide a number.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]"
)

_CHINESE_DIGITS = dict(zip("零〇一二三四五六七八九幺", "001234567891", strict=True))
# Shorter runs are words and names: 一二三路.
_CHINESE_NUMBER = re.compile(f"[{''.join(_CHINESE_DIGITS)}]{{7,}}")


def _digits() -> Iterator[tuple[int, int | str]]:
    for first, end in _DIGIT_BLOCKS:
        for code in range(first, end):
            digit = unicodedata.digit(chr(code), None)
            if digit is not None:
                yield code, str(digit)


_TABLE: dict[int, int | str] = {
    **dict(_digits()),
    **{code: code - _FULL_WIDTH_SHIFT for code in _FULL_WIDTH},
    **dict.fromkeys(map(ord, _SPACES), " "),
    **dict.fromkeys(map(ord, _DASHES), "-"),
}


@dataclass(frozen=True)
class Plain:
    """`text` to be searched. `places`: where each character stood, None where nothing moved."""

    text: str
    places: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where `self.text[start:end]` stands in the text as it was written."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def plain(text: str) -> Plain:
    """Every character becomes one character; invisible ones go."""
    if text.isascii():
        return Plain(text)
    places = None
    if _INVISIBLE.search(text):
        places = [place for place, c in enumerate(text) if not _INVISIBLE.match(c)]
        text = _INVISIBLE.sub("", text)
    return Plain(_CHINESE_NUMBER.sub(_in_digits, text.translate(_TABLE)), places)


def _in_digits(found: re.Match[str]) -> str:
    return "".join(map(_CHINESE_DIGITS.__getitem__, found.group()))
