"""Listed words ready to be compared, and where in a text one of them is spelled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kefu.moderation.folding import Folded, is_alphabetic
from kefu.moderation.hit import Word
from kefu.moderation.looks import look_alike

LEETSPEAK = "leetspeak"
LOOK_ALIKES = "look-alikes"
HOMOGLYPHS = "homoglyphs"

# Words with so many letters are known with any letter doubled: bookkie, 海海洛因.
_LONG = 4
_LONG_CHINESE = 3


@dataclass(frozen=True)
class Pattern:
    """A folded word. `breaks`: before which of its letters it has a space or sign of its own."""

    folded: Folded
    breaks: frozenset[int]
    is_alphabetic: bool

    @property
    def letters(self) -> str:
        return self.folded.letters


@lru_cache(maxsize=8192)
def pattern_of(text: str) -> Pattern:
    """Worked out when the word is met: of 200,000 listed words hardly any ever is."""
    folded = Folded(text)
    breaks = frozenset(place for place, gap in enumerate(folded.gaps) if gap and place)
    return Pattern(folded, breaks, all(map(is_alphabetic, folded.letters)))


@dataclass(frozen=True)
class Stretch:
    """Letters of a text that spell a pattern. `is_repeated`: with letters more than once."""

    first: int
    end: int
    is_repeated: bool = False


@dataclass(frozen=True)
class Found:
    """A word that letters of a folded text spell. `guesses`: what it takes to read it there."""

    word: Word
    stretch: Stretch
    guesses: frozenset[str] = frozenset()
    is_certain: bool = True


def alignments(folded: Folded, pattern: Pattern, first_run: int, end_run: int) -> Iterator[Stretch]:
    """The letters in these runs of equal letters that may spell the pattern, the likeliest first.

    A letter may stand longer than in the word where that is on purpose: three times, all letters
    longer, or anywhere in a word that is long enough to be known all the same. At its ends a word
    may simply have an equal neighbour.
    """
    runs, own = folded.runs, pattern.folded.runs
    excess = [
        (runs[first_run + n + 1] - runs[first_run + n]) - (own[n + 1] - own[n])
        for n in range(end_run - first_run)
    ]
    if min(excess) < 0:
        return
    plain = [] if any(excess[1:-1]) else [_at_ends(folded, pattern, first_run, excess)]
    drawn_out = list(_drawn_out(folded, pattern, first_run, excess))
    # Neighbours with an equal letter are common in alphabets ("will i"), in Chinese they are not.
    yield from (*plain, *drawn_out) if pattern.is_alphabetic else (*drawn_out, *plain)


def _at_ends(folded: Folded, pattern: Pattern, first_run: int, excess: Sequence[int]) -> Stretch:
    first = folded.runs[first_run] + (excess[0] if len(excess) > 1 else 0)
    return Stretch(first, first + len(pattern.letters))


def _drawn_out(
    folded: Folded, pattern: Pattern, first_run: int, excess: Sequence[int]
) -> Iterator[Stretch]:
    """Whole runs, at the ends at first only up to where something stands between."""
    if not any(excess) or not _is_drawn_out(folded, pattern, first_run, excess):
        return
    runs, own, end_run = folded.runs, pattern.folded.runs, first_run + len(excess)
    first, end = runs[first_run], runs[end_run]
    near = Stretch(
        _after_gap(folded, first, runs[first_run + 1] - own[1] + own[0]),
        _before_gap(folded, runs[end_run - 1] + own[-1] - own[-2], end),
        is_repeated=True,
    )
    yield near
    if (near.first, near.end) != (first, end):
        yield Stretch(first, end, is_repeated=True)


def _is_drawn_out(folded: Folded, pattern: Pattern, first_run: int, excess: Sequence[int]) -> bool:
    if min(excess) > 0:
        return True
    inside = range(len(excess)) if pattern.is_alphabetic else range(1, len(excess) - 1)
    longer = [n for n in inside if excess[n]]
    if len(pattern.letters) >= (_LONG if pattern.is_alphabetic else _LONG_CHINESE):
        return bool(longer)
    return any(folded.runs[first_run + n + 1] - folded.runs[first_run + n] >= 3 for n in longer)


def _after_gap(folded: Folded, first: int, last: int) -> int:
    """The latest place from `first` to `last` that something stands before."""
    return next((place for place in range(last, first, -1) if folded.gaps[place]), first)


def _before_gap(folded: Folded, first: int, end: int) -> int:
    """The earliest end from `first` to `end` that something stands after."""
    return next((place for place in range(first, end) if folded.gaps[place]), end)


def differences(folded: Folded, pattern: Pattern, stretch: Stretch) -> frozenset[str] | None:
    """Which guesses it takes to read the pattern there: none where the letters are the same; None
    where not even guesses help."""
    text, word = folded.letters[stretch.first : stretch.end], pattern.letters
    if text == word:
        return frozenset()
    if stretch.is_repeated:
        strange = set(text) - set(word)
        pairs = {(a, next((b for b in word if look_alike(a, b)), "")) for a in strange}
    else:
        pairs = {(a, b) for a, b in zip(text, word, strict=True) if a != b}
    if not all(look_alike(a, b) for a, b in pairs):
        return None
    return frozenset(_guess(a, b) for a, b in pairs)


def _guess(letter: str, meant: str) -> str:
    if not letter.isalpha() or meant.isdigit():
        return LEETSPEAK
    if letter.isascii() or not is_alphabetic(letter):
        return LOOK_ALIKES
    return HOMOGLYPHS
