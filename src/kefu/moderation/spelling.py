"""Words that a text spells out: as they are, with signs between, or in letters that look alike."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from kefu.moderation.automaton import Automaton, Prefixes, undecided_from
from kefu.moderation.borders import bounded
from kefu.moderation.disguises_looks import is_plausible, may_be
from kefu.moderation.folding import letters_of, skeleton_of
from kefu.moderation.gaps import Doubt, judge_gaps
from kefu.moderation.hit import Word
from kefu.moderation.patterns import (
    LEETSPEAK,
    Found,
    Pattern,
    Stretch,
    alignments,
    differences,
    pattern_of,
)
from kefu.moderation.reading import SURROUNDINGS, Reading

_SIGN = re.compile("[@$|+€£¢¥(!]")

# A sign beside a letter or another sign, where a letter could be meant.
_SIGN_AS_LETTER = re.compile(r"[a-z0-9][@$|+€£¢¥(!]|[@$|+€£¢¥(!][a-z0-9]", re.IGNORECASE)


class SpelledWords:
    """One scan of the folded text for all words, then a close look at each place that it finds."""

    def __init__(self, words: Iterable[Word], allowed: Iterable[str]) -> None:
        self._words = [word for word in words if letters_of(word.text)]
        self._letters = [letters_of(word.text) for word in self._words]
        skeletons = [skeleton_of(word.text) for word in self._words]
        self._automaton = Automaton(skeletons)
        self._prefixes = Prefixes([*skeletons, *filter(None, map(skeleton_of, allowed))])

    def find(self, reading: Reading) -> Iterator[Found]:
        """The words in a text, certain ones and guesses."""
        for first, end, number in self._automaton.scan(reading.skeleton):
            written = reading.letters[reading.runs[first] : reading.runs[end]]
            if not may_be(written, self._letters[number]):
                continue
            word = self._words[number]
            pattern = pattern_of(word.text)
            stretches = alignments(reading, pattern, first, end)
            found = (_judge(reading, word, pattern, stretch) for stretch in stretches)
            if likeliest := next(filter(None, found), None):
                yield likeliest

    def find_with_signs(self, reading: Reading) -> Iterator[Found]:
        """The words that are there only where $ is an s and @ an a."""
        return (found for found in self.find(reading) if LEETSPEAK in found.guesses)

    def open_from(self, reading: Reading) -> int:
        """The first letter from which something may become a word, or stop being one, when the
        text goes on; the number of letters where there is none."""
        last = bisect_right(reading.runs, len(reading.letters) - SURROUNDINGS) - 1
        first = undecided_from(self._automaton, self._prefixes, reading.skeleton, last)
        return reading.runs[first]


def has_signs(text: str) -> bool:
    """Whether there are signs that could be letters, once more is written."""
    return _SIGN.search(text) is not None


def has_signs_as_letters(text: str) -> bool:
    return _SIGN.search(text) is not None and _SIGN_AS_LETTER.search(text) is not None


def _judge(reading: Reading, word: Word, pattern: Pattern, stretch: Stretch) -> Found | None:
    """The word there, with what makes it doubtful; None where it is something else."""
    guesses = differences(reading, pattern, stretch)
    if guesses is None or (guesses and not is_plausible(reading, pattern, stretch, guesses)):
        return None
    doubt = judge_gaps(reading, pattern, stretch)
    if doubt is Doubt.INNOCENT:
        return None
    whole = bounded(reading, pattern, stretch)
    if whole is None:
        return None
    return Found(word, whole, guesses, not guesses and doubt is Doubt.NONE)


class AllowedPhrases:
    """Phrases that listed words may be part of."""

    def __init__(self, phrases: Sequence[str]) -> None:
        listed = [(phrase, skeleton) for phrase in phrases if (skeleton := skeleton_of(phrase))]
        self._phrases = [phrase for phrase, _ in listed]
        self._automaton = Automaton([skeleton for _, skeleton in listed])

    def spans(self, reading: Reading) -> list[tuple[int, int]]:
        """The parts of a text that are such a phrase, letter by letter."""
        return [
            reading.span(stretch.first, stretch.end)
            for first, end, number in self._automaton.scan(reading.skeleton)
            if (stretch := _exact(reading, self._phrases[number], first, end))
        ]


def _exact(reading: Reading, phrase: str, first: int, end: int) -> Stretch | None:
    pattern = pattern_of(phrase)
    for stretch in alignments(reading, pattern, first, end):
        gaps = reading.gaps[stretch.first + 1 : stretch.end]
        is_whole = all(n in pattern.breaks for n, gap in enumerate(gaps, 1) if gap)
        if is_whole and reading.letters[stretch.first : stretch.end] == pattern.letters:
            return stretch
    return None
