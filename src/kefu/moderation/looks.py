"""Which characters pass for which others at a glance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations

from kefu.moderation.tables import HALVES, HOMOGLYPHS, LEET_DIGITS, LEET_SIGNS, LOOK_ALIKES

# Right halves with few strokes, or that the eye does not go by: 刚 and 剥 are not alike.
_PLAIN_HALVES = frozenset("刀刂页欠隹攵斤寸阝力又卜丁月可鸟戈彡心口贝女见子人")


def _groups() -> Iterator[tuple[str, ...]]:
    """The listed ones, and characters that differ only in their left half."""
    yield from map(tuple, LOOK_ALIKES)
    by_half = defaultdict[str, dict[str, None]](dict)
    for halves, character in HALVES.items():
        half = halves[1]
        if half not in _PLAIN_HALVES:
            by_half[half][character] = None
    yield from map(tuple, by_half.values())


def _pairs(groups: Iterable[tuple[str, ...]]) -> frozenset[tuple[str, str]]:
    return frozenset(pair for group in groups for pair in combinations(sorted(group), 2))


def _classes(groups: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """One character for all that are alike, or alike to something that is: good enough to find
    where a word could be."""
    above: dict[str, str] = {}

    def top(character: str) -> str:
        while (higher := above.setdefault(character, character)) != character:
            character = higher
        return character

    for first, *others in groups:
        for other in others:
            above[top(other)] = top(first)
    return {character: top(character) for character in above}


_PAIRS = _pairs(_groups())

_LATIN = {other: LEET_DIGITS.get(latin, latin) for other, latin in HOMOGLYPHS.items()}

# A character -> the one that stands for its class.
CLASSES = _classes(_groups()) | _LATIN | LEET_DIGITS
_WITH_SIGNS = CLASSES | LEET_SIGNS


def look_alike(one: str, other: str) -> bool:
    """Whether the two pass for each other. Of letters and digits: those of one class."""
    if one >= "\u2e80":
        return (one, other) in _PAIRS or (other, one) in _PAIRS
    return _WITH_SIGNS.get(one, one) == _WITH_SIGNS.get(other, other)
