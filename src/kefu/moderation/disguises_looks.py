"""Words in letters that look alike (0 for o, Cyrillic а, 末 for 未) and in the halves of their
characters (女子 for 好)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import rjieba

from kefu.moderation.automaton import Automaton
from kefu.moderation.borders import is_explained, is_in_words
from kefu.moderation.folding import is_alphabetic
from kefu.moderation.looks import look_alike
from kefu.moderation.patterns import HOMOGLYPHS, Pattern, Stretch
from kefu.moderation.reading import Reading
from kefu.moderation.tables import HALVES

_LEAST_LEETSPEAK = 4
_LEAST_HOMOGLYPHS = 3
_SHORT = 2

# How often a character stands in the dictionary's corpus, of 60 million: rarer ones are seldom
# next to each other by chance. 裸 464, 麻 1,773, 网 7,209, 的 319,000.
_RARE = 2_000
_VERY_RARE = 1_000


def may_be(written: str, word: str) -> bool:
    """Whether letters of the same classes are worth a close look: quick, and right to say no."""
    if written == word or len(written) != len(word) or is_alphabetic(word[0]):
        return len(written) >= len(word)
    return not is_everyday(written, word) and all(map(_is_same, written, word))


def _is_same(one: str, other: str) -> bool:
    return one == other or look_alike(one, other)


def is_everyday(written: str, word: str) -> bool:
    """Whether what stands for a short word is so common that it means itself."""
    if len(word) != _SHORT:
        return False
    if written[0] == word[0]:
        return frequency_of(written[1]) >= _VERY_RARE
    if written[1] == word[1]:
        return frequency_of(written[0]) >= _VERY_RARE
    return frequency_of(written[0]) >= _RARE or frequency_of(written[1]) >= _RARE


def strange_places(written: str, word: str) -> list[int]:
    """The places where other characters stand than the word's."""
    return [n for n, (one, other) in enumerate(zip(written, word, strict=False)) if one != other]


def is_plausible(
    reading: Reading, pattern: Pattern, stretch: Stretch, guesses: frozenset[str]
) -> bool:
    """Whether letters that only look like the word's are more likely to be meant as it."""
    text = reading.letters[stretch.first : stretch.end]
    if pattern.is_alphabetic:
        return _is_plausible_spelling(reading, stretch, text, guesses)
    strange = strange_places(text, pattern.letters)
    return not is_everyday(text, pattern.letters) and is_disguised(reading, stretch, strange)


def is_disguised(reading: Reading, stretch: Stretch, strange: Sequence[int]) -> bool:
    """Whether the characters that are not the word's do not belong to words as they are."""
    if stretch.end - stretch.first > _SHORT:
        return not is_explained(reading, stretch, strange)
    return not is_in_words(reading, stretch)


@lru_cache(maxsize=8192)
def frequency_of(character: str) -> int:
    frequency: int = rjieba.suggest_freq(character)
    return frequency


def _is_plausible_spelling(
    reading: Reading, stretch: Stretch, text: str, guesses: frozenset[str]
) -> bool:
    if HOMOGLYPHS in guesses:
        return len(text) >= _LEAST_HOMOGLYPHS and _is_mixed(reading, stretch, text)
    return len(text) >= _LEAST_LEETSPEAK and any(map(str.isalpha, text))


def _is_mixed(reading: Reading, stretch: Stretch, text: str) -> bool:
    """Whether these are two alphabets in one word, or no other word near is in their alphabet."""
    if any(letter.isascii() and letter.isalpha() for letter in text):
        return True
    near = reading.around(stretch.first, stretch.end)
    return sum(is_alphabetic(c) and not c.isascii() for c in near) == len(text)


@dataclass(frozen=True)
class Joined:
    """A text with halves of characters joined. `origins`: where in the text it was made from each
    character begins, and where the last ends."""

    text: str
    origins: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        return self.origins[start], self.origins[end]

    def is_joined(self, start: int, end: int) -> bool:
        """Whether any of these characters was put together."""
        return self.origins[end] - self.origins[start] > end - start


class SplitCharacters:
    """Puts characters together again that stand in the text as their halves."""

    def __init__(self, letters: Iterable[str]) -> None:
        # Not in one call, which would stop all other threads while it looks at 200,000 words.
        needed = {letter for text in letters for letter in text}
        self._halves = [halves for halves, whole in HALVES.items() if whole in needed]
        self._lefts = frozenset(halves[0] for halves in self._halves)
        self._automaton = Automaton(self._halves)

    def join(self, text: str) -> Joined | None:
        """None where there is nothing to join."""
        places = self._automaton.scan(text)
        if not places:
            return None
        parts: list[str] = []
        origins: list[int] = []
        done = 0
        for start, end, number in places:
            if start >= done:
                parts += (text[done:start], HALVES[self._halves[number]])
                origins += range(done, start + 1)
                done = end
        origins += range(done, len(text) + 1)
        return Joined("".join((*parts, text[done:])), origins)

    def may_begin(self, character: str) -> bool:
        """Whether it may be a left half."""
        return character in self._lefts
