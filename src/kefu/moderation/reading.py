"""A text with all that is asked about it, worked out when it is first asked for."""

from __future__ import annotations

from itertools import pairwise

import rjieba

from kefu.moderation.folding import Folded, without_repeats
from kefu.moderation.once import Once
from kefu.moderation.sounds import sounds_of

# What is said about a word depends on so many letters before and after it and on nothing further
# away: a text that is still being written can be judged up to there for good.
SURROUNDINGS = 8

_COMMA = "，"

# The first letter of a word and the one after its last.
Token = tuple[int, int]


class Reading(Folded):
    """A folded text with its sounds and its words."""

    @Once
    def skeleton(self) -> str:
        return without_repeats(self.classes)

    @Once
    def sounds(self) -> str:
        return sounds_of(self.text)

    def around(self, first: int, end: int) -> str:
        """Letters with those that are near."""
        return self.letters[max(0, first - SURROUNDINGS) : end + SURROUNDINGS]

    def words_of(self, first: int, end: int, *, joined: bool = False) -> list[Token]:
        """For each letter the word it is in, by the dictionary. What stands between letters ends a
        word, unless they are `joined`."""
        start, stop = max(0, first - SURROUNDINGS), min(end + SURROUNDINGS, len(self.letters))
        borders = [] if joined else [n for n in range(start + 1, stop) if self.gaps[n]]
        pieces = [self.letters[a:b] for a, b in pairwise([start, *borders, stop])]
        return _words(_COMMA.join(pieces), start)[first - start : end - start]


def _words(text: str, start: int) -> list[Token]:
    places: list[Token] = []
    for word in rjieba.cut(text, hmm=False):
        if word != _COMMA:
            first = start + len(places)
            places += [(first, first + len(word))] * len(word)
    return places
