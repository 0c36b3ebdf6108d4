"""Finds listed words in a text, plain or disguised."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping

from kefu.moderation.categories import Severity
from kefu.moderation.disguises_looks import Joined, SplitCharacters
from kefu.moderation.disguises_sounds import Homophones, Romanised
from kefu.moderation.folding import letters_of
from kefu.moderation.hit import Hit, Word
from kefu.moderation.names import name_of
from kefu.moderation.patterns import Found
from kefu.moderation.reading import Reading
from kefu.moderation.sounds import is_chinese
from kefu.moderation.spelling import (
    AllowedPhrases,
    SpelledWords,
    has_signs,
    has_signs_as_letters,
)

_SPLIT = "split characters"
_LATIN = re.compile("[A-Za-z\\uff21-\\uff3a\\uff41-\\uff5a]")


class WordFilter:
    """The words to look for. Immutable; any thread may ask.

    A text is folded, and one scan finds the places where a word could be, another one those where
    it sounds like a word. Almost always there are none; where there are, each is compared letter
    by letter with what really stands there. Words that are rude but everyday are not guessed.
    """

    def __init__(self, words: Iterable[Word], allowed: Iterable[str] = ()) -> None:
        """Takes seconds for 200,000 words; may run in a thread."""
        self.words: Mapping[str, Word] = {word.text: word for word in words}
        phrases = list(allowed)
        self._spelled = SpelledWords(self.words.values(), phrases)
        self._allowed = AllowedPhrases(phrases)
        grave = [word for word in self.words.values() if word.severity is not Severity.LOW]
        letters = [letters_of(word.text) for word in grave]
        self._halves = SplitCharacters(letters)
        readable = [n for n, text in enumerate(letters) if len(text) > 1 and is_chinese(text)]
        chinese = [grave[n] for n in readable], [letters[n] for n in readable]
        self._homophones = Homophones(*chinese)
        self._romanised = Romanised(*chinese)

    def find(self, text: str) -> list[Hit]:
        """The listed words in a text, by place."""
        reading = Reading(text)
        hits = [*self._find(reading), *self._find_with_signs(text), *self._find_joined(text)]
        return self._sorted(reading, hits) if hits else hits

    def _find(self, reading: Reading) -> Iterator[Hit]:
        for finder in self._finders(reading.text):
            for found in finder.find(reading):
                yield _hit(reading, found)

    def _finders(self, text: str) -> tuple[SpelledWords | Homophones | Romanised, ...]:
        if _LATIN.search(text):
            return self._spelled, self._homophones, self._romanised
        return self._spelled, self._homophones

    def _find_with_signs(self, text: str) -> Iterator[Hit]:
        if has_signs_as_letters(text):
            reading = Reading(text, with_signs=True)
            for found in self._spelled.find_with_signs(reading):
                yield _hit(reading, found)

    def _find_joined(self, text: str) -> Iterator[Hit]:
        if joined := self._halves.join(text):
            reading = Reading(joined.text)
            for found in self._spelled.find(reading):
                start, end = reading.span(found.stretch.first, found.stretch.end)
                if joined.is_joined(start, end):
                    yield Hit(*joined.span(start, end), found.word, _SPLIT, is_certain=False)

    def _sorted(self, reading: Reading, hits: Iterable[Hit]) -> list[Hit]:
        """By place, without what an allowed phrase covers and what is found in two ways."""
        covers = _covers(self._allowed.spans(reading))
        return list(_widest(hit for hit in hits if not covers(hit)))

    def open_from(self, text: str) -> int:
        """The place from which on the text may still become a word, or part of an innocent one,
        when more is written; the length of the text where it cannot.

        What begins before it is decided: `find` says the same whatever follows.
        """
        places = [
            self._open_from(text),
            *self._open_from_with_signs(text),
            *self._open_joined(text),
        ]
        return min(places)

    def _open_from(self, text: str) -> int:
        reading = Reading(text)
        first = min(finder.open_from(reading) for finder in self._finders(text))
        return _place(reading, first)

    def _open_from_with_signs(self, text: str) -> Iterator[int]:
        if has_signs(text):
            reading = Reading(text, with_signs=True)
            yield _place(reading, self._spelled.open_from(reading))

    def _open_joined(self, text: str) -> Iterator[int]:
        """A last character that may be a left half may become any other one."""
        if joined := self._halves.join(text):
            yield self._open_in(joined)
        if text and self._halves.may_begin(text[-1]):
            before = self._halves.join(text[:-1]) or Joined(text[:-1], range(len(text)))
            yield min(self._open_in(before), len(text) - 1)

    def _open_in(self, joined: Joined) -> int:
        reading = Reading(joined.text)
        return joined.origins[_place(reading, self._spelled.open_from(reading))]


def _covers(spans: Iterable[tuple[int, int]]) -> Callable[[Hit], bool]:
    """Whether a hit lies in one of the spans."""
    starts, ends = [0], [0]
    for start, end in sorted(spans):
        starts.append(start)
        ends.append(max(end, ends[-1]))
    return lambda hit: ends[bisect_right(starts, hit.start) - 1] >= hit.end


def _widest(hits: Iterable[Hit]) -> Iterator[Hit]:
    """By place, without those within another one of the same word that is as certain."""
    ends = dict[tuple[str, bool], int]()
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end, not hit.is_certain)):
        word = hit.word.text
        certain, guessed = ends.get((word, True), 0), ends.get((word, False), 0)
        if hit.end > (certain if hit.is_certain else max(certain, guessed)):
            ends[word, hit.is_certain] = hit.end
            yield hit


def _place(reading: Reading, letter: int) -> int:
    origins = reading.origins
    return origins[letter] if letter < len(origins) else len(reading.text)


def _hit(reading: Reading, found: Found) -> Hit:
    start, end = reading.span(found.stretch.first, found.stretch.end)
    name = name_of(reading.text[start:end], found)
    return Hit(start, end, found.word, name, found.is_certain)
