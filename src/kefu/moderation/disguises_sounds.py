"""Chinese words written by their sound: homophones, pinyin, the initials of pinyin."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from string import ascii_letters, digits, punctuation

from kefu.language import CJK
from kefu.moderation.automaton import Automaton, Prefixes, undecided_from
from kefu.moderation.categories import Severity
from kefu.moderation.disguises_looks import frequency_of, is_disguised, is_everyday, strange_places
from kefu.moderation.folding import JOINT, SPACE
from kefu.moderation.gaps import Doubt, judge_gaps
from kefu.moderation.hit import Word
from kefu.moderation.patterns import Found, Stretch, pattern_of
from kefu.moderation.reading import SURROUNDINGS, Reading
from kefu.moderation.sounds import (
    initials_of,
    pinyin_of,
    sounds_of,
    syllable_borders,
)
from kefu.moderation.tables import ABBREVIATIONS, ENGLISH_WORDS, SYLLABLES

HOMOPHONES = frozenset({"homophones"})
PINYIN = frozenset({"pinyin"})
INITIALS = frozenset({"initials"})

# Three letters are too often something else to ask a person about, but for the gravest words.
_LEAST_INITIALS = 4
_LEAST_INITIALS_OF_GRAVE = 3

# Letters of a word in pinyin, in a Chinese text and in one of Latin letters only.
_LEAST_PINYIN = 4
_LEAST_PINYIN_ALONE = 8

# A character that stands so often in the dictionary's corpus (来 has 150,000) means itself.
_FREQUENT = 20_000

_NO_PINYIN = "*"
_COMMON = ENGLISH_WORDS | ABBREVIATIONS
_CHINESE = re.compile(f"[{CJK}]")
_LATIN = re.compile(r"[a-z]+")
_WIDE = re.compile("[\uff21-\uff3a\uff41-\uff5a]")
_LATIN_OR_DIGITS = re.compile(r"[a-z0-9]+")
_GRAPHIC = ascii_letters + digits + punctuation
_ASCII_TOKEN = re.compile(r"[\w.@/+-]+", re.ASCII)
_SIGN_OF_ADDRESS = re.compile(r"[@/_]|\w[.-]\w", re.ASCII)


class Homophones:
    """Words of Chinese characters, found by how they are read."""

    def __init__(self, words: Sequence[Word], letters: Sequence[str]) -> None:
        """`letters`: the words as they are folded."""
        sounds = [sounds_of(written) for written in letters]
        self._words = words
        self._letters = letters
        self._automaton = Automaton(sounds)
        self._prefixes = Prefixes(sounds)

    def find(self, reading: Reading) -> Iterator[Found]:
        for first, end, number in self._automaton.scan(reading.sounds):
            written, letters = reading.letters[first:end], self._letters[number]
            if written == letters or _is_everyday(written, letters):
                continue
            stretch = Stretch(first, end)
            if not is_disguised(reading, stretch, strange_places(written, letters)):
                continue
            pattern = pattern_of(self._words[number].text)
            if judge_gaps(reading, pattern, stretch) is Doubt.NONE:
                yield Found(self._words[number], stretch, HOMOPHONES, is_certain=False)

    def open_from(self, reading: Reading) -> int:
        """The first letter from which something may become a word when the text goes on."""
        last = len(reading.sounds) - SURROUNDINGS
        return undecided_from(self._automaton, self._prefixes, reading.sounds, last)


def _is_everyday(written: str, word: str) -> bool:
    """Whether all that stands for characters of the word is too common to stand for anything."""
    strange = strange_places(written, word)
    return is_everyday(written, word) or all(frequency_of(written[n]) >= _FREQUENT for n in strange)


class Romanised:
    """Words of Chinese characters in Latin letters: weixin, 微xin, jwx."""

    def __init__(self, words: Sequence[Word], letters: Sequence[str]) -> None:
        """`letters`: the words as they are folded."""
        self._words = words
        self._letters = letters
        pinyin = ["".join(pinyin_of(written)) for written in letters]
        self._automaton = Automaton(pinyin)
        self._prefixes = Prefixes(pinyin)
        self._by_initials = _by_initials(words, letters)
        self._initials = Prefixes(self._by_initials)

    def find(self, reading: Reading) -> Iterator[Found]:
        """Nothing where the Latin letters of the text are those of English words only."""
        if self._may_be_any(reading.text):
            runs = list(_runs(reading))
            yield from self._find_initials(reading, runs)
            yield from self._find_pinyin(reading, runs)

    def _may_be_any(self, text: str) -> bool:
        """Quick, and right to say no."""
        if _WIDE.search(text):
            return True
        words = _LATIN.findall(text.lower())
        return any(
            word not in ENGLISH_WORDS and (syllable_borders(word) or word in self._by_initials)
            for word in words
        )

    def _find_initials(self, reading: Reading, runs: Sequence[Stretch]) -> Iterator[Found]:
        for run in runs:
            start, end = reading.span(run.first, run.end)
            written, letters = reading.text[start:end], reading.letters[run.first : run.end]
            if letters in _COMMON or not (written.islower() or written.isupper()):
                continue
            if not _is_in_chinese(reading, run):
                continue
            if (number := self._by_initials.get(letters)) is not None:
                yield Found(self._words[number], run, INITIALS, is_certain=False)

    def _find_pinyin(self, reading: Reading, runs: Sequence[Stretch]) -> Iterator[Found]:
        written = transcribe(reading, runs)
        for start, end, number in self._automaton.scan(written.letters):
            stretch = Stretch(written.places[start], written.places[end - 1] + 1)
            spelled = written.spells(self._letters[number], start, end)
            if spelled and _is_meant(reading, runs, stretch):
                yield Found(self._words[number], stretch, PINYIN, is_certain=False)

    def open_from(self, reading: Reading) -> int:
        """The first letter from which Latin letters may become a word when the text goes on. All
        that has no space after it is open: it may become an address."""
        runs = list(_runs(reading, with_addresses=True))
        count = len(reading.letters)
        if not runs:
            return count
        written = transcribe(reading, runs)
        first = self._prefixes.open_from(written.letters)
        growing = written.places[first] if first < len(written.letters) else count
        last = min(_letters_before(reading, _unfinished(reading.text)), count - SURROUNDINGS)
        matches = self._automaton.scan(written.letters)
        undecided = [written.places[a] for a, b, _ in matches if written.places[b - 1] >= last]
        undecided += [
            run.first for run in runs if run.end > last and self._may_be_initials(reading, run)
        ]
        return min(growing, min(undecided, default=growing))

    def _may_be_initials(self, reading: Reading, run: Stretch) -> bool:
        letters = reading.letters[run.first : run.end]
        if run.end == len(reading.letters):
            return self._initials.begins_one(letters)
        return letters in self._by_initials


def _by_initials(words: Sequence[Word], letters: Sequence[str]) -> dict[str, int]:
    """The number of the gravest word with these initials: one is enough to be asked about."""
    found: dict[str, int] = {}
    for number, (word, written) in enumerate(zip(words, letters, strict=True)):
        is_grave = word.severity is Severity.HIGH
        if len(written) >= (_LEAST_INITIALS_OF_GRAVE if is_grave else _LEAST_INITIALS):
            initials = initials_of(written)
            if is_grave or initials not in found:
                found[initials] = number
    return found


def _is_in_chinese(reading: Reading, run: Stretch) -> bool:
    return _CHINESE.search(reading.around(run.first, run.end)) is not None


def _unfinished(text: str) -> int:
    """Where the last part without a space begins, where it goes to the end of the text."""
    return len(text.rstrip(_GRAPHIC))


def _letters_before(reading: Reading, place: int) -> int:
    return bisect_left(reading.origins, place)


def _runs(reading: Reading, *, with_addresses: bool = False) -> Iterator[Stretch]:
    """The Latin letters that stand together and are neither part of an address nor of a number."""
    in_address = frozenset[int]() if with_addresses else _places_in_addresses(reading.text)
    for found in _LATIN_OR_DIGITS.finditer(reading.letters):
        borders = [place for place in range(found.start() + 1, found.end()) if reading.gaps[place]]
        for first, end in pairwise([found.start(), *borders, found.end()]):
            if reading.letters[first:end].isalpha() and reading.origins[first] not in in_address:
                yield Stretch(first, end)


def _places_in_addresses(text: str) -> frozenset[int]:
    """Characters of e-mail addresses, links, names of files."""
    return frozenset(
        place
        for token in _ASCII_TOKEN.finditer(text)
        if _SIGN_OF_ADDRESS.search(token.group())
        for place in range(*token.span())
    )


@dataclass(frozen=True)
class Transcript:
    """A text in pinyin. `places`: the letter of the folded text that each letter comes from;
    `borders`: where a syllable may begin or end; `begins`: where a Chinese character does."""

    letters: str
    places: Sequence[int]
    borders: frozenset[int]
    begins: frozenset[int]
    characters: str

    def spells(self, letters: str, start: int, end: int) -> bool:
        """Whether the syllables are those of the word, and the characters, where there are any."""
        syllables = pinyin_of(letters)
        places = list(accumulate(map(len, syllables), initial=start))
        if not self.borders.issuperset(places):
            return False
        own = {place for place in range(start, end) if place in self.begins}
        meant = dict(zip(places, letters, strict=False))
        return all(meant.get(place) == self.characters[self.places[place]] for place in own)


def transcribe(reading: Reading, runs: Sequence[Stretch]) -> Transcript:
    """Chinese characters by their reading, Latin letters as they are; both with their borders."""
    letters = reading.letters
    parts: list[str] = []
    places: list[int] = []
    borders: set[int] = {0}
    begins: set[int] = set()
    of_run = {run.first: run for run in runs}
    place = 0
    while place < len(letters):
        run = of_run.get(place)
        start = len(places)
        if run is None:
            part = SYLLABLES.get(letters[place], _NO_PINYIN)
            begins |= {start} if part != _NO_PINYIN else set()
            places += [place] * len(part)
            place += 1
        else:
            part = letters[run.first : run.end]
            borders |= {start + border for border in syllable_borders(part)}
            places += range(run.first, run.end)
            place = run.end
        parts.append(part)
        borders |= {start, len(places)}
    return Transcript("".join(parts), places, frozenset(borders), frozenset(begins), letters)


def _is_meant(reading: Reading, runs: Sequence[Stretch], stretch: Stretch) -> bool:
    """Whether Latin letters that can be read as the word are there for it."""
    if any(gap & ~(SPACE | JOINT) for gap in reading.gaps[stretch.first + 1 : stretch.end]):
        return False
    inside = runs[
        bisect_right(runs, stretch.first, key=_end) : bisect_left(runs, stretch.end, key=_first)
    ]
    words = [reading.letters[run.first : run.end] for run in inside]
    # Without Latin letters it is the word itself or a homophone, which others look for.
    if all(word in ENGLISH_WORDS for word in words):
        return False
    if sum(map(len, words)) != stretch.end - stretch.first:
        return True
    is_whole = inside[0].first == stretch.first and inside[-1].end == stretch.end
    least = _LEAST_PINYIN if _is_in_chinese(reading, stretch) else _LEAST_PINYIN_ALONE
    return stretch.end - stretch.first >= least and is_whole


def _first(run: Stretch) -> int:
    return run.first


def _end(run: Stretch) -> int:
    return run.end
