"""What stands between the letters of a word: put there to hide it, or ordinary writing?"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

import rjieba

from kefu.moderation.folding import (
    END,
    JOINT,
    MARK,
    SPACE,
    TIGHT_END,
    TIGHT_MARK,
    Folded,
    is_alphabetic,
)
from kefu.moderation.patterns import Pattern, Stretch
from kefu.moderation.tables import ENGLISH_WORDS

_PUNCTUATION = SPACE | MARK | END | TIGHT_MARK | TIGHT_END
_SHORT = 2


class Doubt(IntEnum):
    """Is it the word?"""

    NONE = 0
    SOME = 1
    INNOCENT = 2


def judge_gaps(folded: Folded, pattern: Pattern, stretch: Stretch) -> Doubt:
    """Whether what stands between the letters leaves the word standing."""
    gaps = folded.gaps[stretch.first + 1 : stretch.end]
    if not any(gaps):
        return Doubt.NONE
    if stretch.is_repeated:
        return Doubt.NONE
    if pattern.is_alphabetic:
        return _judge_alphabetic(folded, pattern, stretch, gaps)
    foreign = [(n, gap) for n, gap in enumerate(gaps, 1) if gap and n not in pattern.breaks]
    return _judge_chinese(pattern.letters, foreign)


def _judge_alphabetic(
    folded: Folded, pattern: Pattern, stretch: Stretch, gaps: Sequence[int]
) -> Doubt:
    if any(_ends_sentence(gaps[place - 1]) for place in pattern.breaks):
        return Doubt.INNOCENT
    if all(gaps):
        return Doubt.INNOCENT if _is_spelled_on(folded, stretch) else Doubt.NONE
    foreign = [gap for n, gap in enumerate(gaps, 1) if gap and n not in pattern.breaks]
    natural = all(gap & ~(_PUNCTUATION | JOINT) == 0 for gap in foreign)
    return (
        Doubt.INNOCENT if foreign and natural and _are_words(pattern.letters, gaps) else Doubt.NONE
    )


def _ends_sentence(gap: int) -> bool:
    return bool(gap & END or (gap & TIGHT_END and gap & SPACE))


def _are_words(letters: str, gaps: Sequence[int]) -> bool:
    """Whether the parts between the gaps are all English words: "as shole" is not, "it is" is."""
    places = [0, *(n for n, gap in enumerate(gaps, 1) if gap), len(letters)]
    parts = [letters[a:b] for a, b in pairwise(places)]
    return all(len(part) == 1 or part in ENGLISH_WORDS for part in parts)


def _is_spelled_on(folded: Folded, stretch: Stretch) -> bool:
    """Whether single letters with the same signs between go on beside it (S C U N T H O R P E)."""
    inside, before = folded.gaps[stretch.first + 1], folded.gaps[stretch.first]
    if before == inside and _stands_alone(folded, stretch.first - 1, "ai"):
        return True
    after = folded.gaps[stretch.end] if stretch.end < len(folded.letters) else 0
    return after == inside and _stands_alone(folded, stretch.end, "")


def _stands_alone(folded: Folded, place: int, words: str) -> bool:
    """Whether the letter there is a single one, and no word of one letter."""
    if not 0 <= place < len(folded.letters) or folded.letters[place] in words:
        return False
    follows = place + 1 < len(folded.letters) and not folded.gaps[place + 1]
    leads = place > 0 and not folded.gaps[place]
    return is_alphabetic(folded.letters[place]) and not follows and not leads


def _judge_chinese(letters: str, foreign: Sequence[tuple[int, int]]) -> Doubt:
    """Signs, spaces, or several marks are put there. A single mark may part two clauses."""
    if not foreign:
        return Doubt.NONE
    (place, gap), *more = foreign
    if more or gap == SPACE or gap & ~_PUNCTUATION:
        return Doubt.NONE
    if len(letters) <= _SHORT:
        return Doubt.SOME
    if place not in _word_borders(letters) and not _are_listed(letters[:place], letters[place:]):
        return Doubt.NONE
    parts_clauses = gap & (SPACE | MARK | END) or 1 not in (place, len(letters) - place)
    return Doubt.INNOCENT if parts_clauses else Doubt.SOME


def _are_listed(*parts: str) -> bool:
    return all(len(part) > 1 and rjieba.has_word(part) for part in parts)


@lru_cache(maxsize=1024)
def _word_borders(letters: str) -> frozenset[int]:
    """Where one of the words that a phrase is made of ends."""
    place, borders = 0, set()
    for token in rjieba.cut(letters):
        place += len(token)
        borders.add(place)
    return frozenset(borders)
