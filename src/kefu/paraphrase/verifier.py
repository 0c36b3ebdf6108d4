"""Does a look-alike question really ask the same? A second opinion on the best match.

Sentence vectors are blind to what turns a question around: "how do I delete my account" and "how
do I recover an account I deleted" are as alike as two rephrasings (docs/knowledge.md has the
figures). Each rule here compares what both sides say and names what differs. The words are data,
in `rules.py`: add there rather than here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from kefu.language import CJK
from kefu.paraphrase.rules import (
    AXES,
    CHINESE_FILLERS,
    DIFFERENT_KINDS,
    ENGLISH_FILLERS,
    JAPANESE,
    NEGATION,
    NOT_NEGATION,
    OTHERS,
    PART,
    QUESTION_KINDS,
    RELATIONS,
    SYNONYMS,
)
from kefu.paraphrase.wording import is_exchanged
from kefu.terms import fold, stem, without_apostrophes

_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_CHINESE_NUMBER = re.compile(r"[一二两三四五六七八九十]+(?=[天个日号件次月年元块级折期小周星])")
_CHINESE_VALUES = dict(zip("一二两三四五六七八九", (1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_WORD = re.compile(r"[^\W\d_][^\W_]*")
_CJK_CHARACTER = re.compile(f"[{CJK}]")

# In shorter words one letter makes another word: "ring" is not "king".
_SHORTEST_MISSPELT = 5
_LONGEST_SIDE = 24
# How far before a part stands what it is a part of.
_LONGEST_WHOLE = 12
_INSIDE_WORD = re.compile(rf"[^\W_{CJK}]{{2}}")


_Axis = tuple[re.Pattern[str], ...]


class _Sides(NamedTuple):
    """Of a text with a relation in it; "A to B"."""

    before: str
    between: str
    behind: str


class _Text:
    """A text, folded, with what the rules find in it: the same few entries are near to most questions."""

    def __init__(self, text: str) -> None:
        self.folded = fold(text)

    @cached_property
    def numbers(self) -> set[str]:
        return numbers_of(self.folded)

    @cached_property
    def denies(self) -> bool:
        return denies(self.folded)

    @cached_property
    def is_about_others(self) -> bool:
        return OTHERS.search(self.folded) is not None

    @cached_property
    def sides(self) -> dict[re.Pattern[str], list[_Sides]]:
        """What stands before and behind each relation that it has."""
        found = {relation: _sides(relation, self.folded) for relation in RELATIONS}
        return {relation: sides for relation, sides in found.items() if sides}

    @cached_property
    def parts(self) -> set[str]:
        return _parts(self.folded)

    @cached_property
    def japanese(self) -> set[str]:
        return set(JAPANESE.findall(self.folded))

    @cached_property
    def poles(self) -> dict[_Axis, dict[int, str]]:
        """Of each axis that it names poles of."""
        found = {axis: _poles(axis, self.folded) for axis in AXES}
        return {axis: poles for axis, poles in found.items() if poles}

    @cached_property
    def kinds(self) -> set[str]:
        return kinds_of_question(self.folded)

    @cached_property
    def words(self) -> tuple[list[str], list[str]]:
        """Stems of its Latin words and its Han characters, without fillers."""
        latin = [word for word in _latin_words(self.folded) if word not in ENGLISH_FILLERS]
        return list(map(stem, latin)), _CJK_CHARACTER.findall(CHINESE_FILLERS.sub(" ", self.folded))

    @cached_property
    def known(self) -> tuple[str, dict[int, set[str]]]:
        """It with what else could stand for its words, and the stems of its Latin words by length."""
        text = _with_synonyms(self.folded)
        by_length: dict[int, set[str]] = defaultdict(set)
        for word in map(stem, _latin_words(text)):
            by_length[len(word)].add(word)
        return text, dict(by_length)


_text = lru_cache(maxsize=4096)(_Text)


@dataclass(frozen=True)
class _Pair:
    """What is compared: the query, the question it matched, and what is known around it."""

    query: _Text
    question: _Text
    everything: _Text


def find_disagreement(query: str, question: str, known: str = "") -> str | None:
    """Why `query` asks something else than `question`; None where nothing says so.

    `known` is what stands around the question, such as its answer: a number in it is no surprise.
    """
    pair = _Pair(_text(query), _text(question), _text(f"{question} {known}"))
    return next((reason for rule in _RULES if (reason := rule(pair))), None)


def find_difference(query: str, question: str) -> str | None:
    """As `find_disagreement`, and stricter: for an answer that is given without a second look."""
    if disagreement := find_disagreement(query, question):
        return disagreement
    return "two words exchanged" if is_exchanged(query, question) else None


def share_of_new_words(query: str, known: str) -> float:
    """0 where the known questions have every word of the query, 1 where they have none.

    Fillers do not count, synonyms and misspellings are known, and two Han characters are a word.
    """
    (words, characters), (text, by_length) = _text(query).words, _text(known).known
    new = sum(not _is_among(word, by_length) for word in words)
    new_characters = sum(character not in text for character in characters)
    return (new + new_characters / 2) / max(1.0, len(words) + len(characters) / 2)


def _numbers_differ(pair: _Pair) -> str | None:
    """A number that the entry never mentions: 30 days where it speaks of 7."""
    strange = pair.query.numbers and pair.query.numbers - pair.everything.numbers
    return f"number {min(strange)}" if strange else None


def _one_side_denies(pair: _Pair) -> str | None:
    return "negation" if pair.query.denies != pair.question.denies else None


def _one_side_is_about_others(pair: _Pair) -> str | None:
    """About others in the query only; the entry may speak of them to say what holds for oneself."""
    strange = pair.query.is_about_others and not pair.everything.is_about_others
    return "somebody else" if strange else None


def _is_turned_around(pair: _Pair) -> str | None:
    """From A to B is not from B to A: what stands before the word between them stands behind it."""
    for relation, sides in pair.question.sides.items():
        for here in _sides(relation, pair.query.folded):
            for there in sides:
                if turned := _turned(here, there):
                    return f"{here.between} the other way round: {turned}"
    return None


def _sides(relation: re.Pattern[str], text: str) -> list[_Sides]:
    return [
        _Sides(text[: found.start()], found.group().strip(), text[found.end() :])
        for found in relation.finditer(text)
    ]


def _turned(one: _Sides, two: _Sides) -> str | None:
    """What changed sides: the end of each text before the relation begins the other's behind it."""
    first = _common(one.before, two.behind)
    second = _common(two.before, one.behind)
    return f"{first}, {second}" if first and second and first != second else None


def _common(before: str, behind: str) -> str:
    """The longest end of `before` that `behind` begins with, in whole words where there are any."""
    before, behind = before.rstrip(), behind.lstrip()
    for length in range(min(len(before), len(behind), _LONGEST_SIDE), 0, -1):
        side = before[-length:]
        if behind.startswith(side) and _is_whole(side, before, behind):
            return side
    return ""


def _is_whole(side: str, before: str, behind: str) -> bool:
    """Han characters part anywhere; other letters only where the word ends."""
    cut_before = before[: -len(side)][-1:] + side[:1]
    cut_behind = side[-1:] + behind[len(side) :][:1]
    return not any(_INSIDE_WORD.search(cut) for cut in (cut_before, cut_behind))


def _parts_differ(pair: _Pair) -> str | None:
    """What one character of a saying means is not what the saying means."""
    strange = pair.query.parts ^ pair.question.parts
    return f"a part, {min(strange)}" if strange else None


def _parts(text: str) -> set[str]:
    """What is asked about that stands in the words just before it."""
    return {
        found.group(1)
        for found in PART.finditer(text)
        if found.group(1) in text[max(0, found.start() - _LONGEST_WHOLE) : found.start()]
    }


def _japanese_differs(pair: _Pair) -> str | None:
    here, there = pair.query.japanese, pair.question.japanese
    return f"{min(here)} / {min(there)}" if here and there and here != there else None


def _poles_differ(pair: _Pair) -> str | None:
    return _different_poles(pair.query.folded, pair.question.poles)


def _kinds_differ(pair: _Pair) -> str | None:
    """One asks when, the other how much."""
    here, there = pair.query.kinds, pair.question.kinds
    pairs = {frozenset((a, b)) for a in here for b in there}
    if here & there or not pairs & DIFFERENT_KINDS:
        return None
    return f"{'/'.join(sorted(here))} / {'/'.join(sorted(there))}"


_RULES: tuple[Callable[[_Pair], str | None], ...] = (
    _numbers_differ,
    _one_side_denies,
    _one_side_is_about_others,
    _is_turned_around,
    _parts_differ,
    _japanese_differs,
    _poles_differ,
    _kinds_differ,
)


def numbers_of(text: str) -> set[str]:
    """The numbers of a folded text, Chinese ones before a unit too."""
    chinese = {str(_value(found)) for found in _CHINESE_NUMBER.findall(text)}
    return {number.lstrip("0") or "0" for number in _DIGITS.findall(text)} | chinese


def _value(numeral: str) -> int:
    """Value of a Chinese number up to 99; one without 十 counts by its last digit."""
    tens, ten, ones = numeral.rpartition("十")
    units = _CHINESE_VALUES.get(ones[-1:], 0)
    return _CHINESE_VALUES.get(tens[-1:], 1) * 10 + units if ten else units


def denies(text: str) -> bool:
    """Whether a folded text says no."""
    return bool(NEGATION.search(text) and NEGATION.search(NOT_NEGATION.sub(" ", text)))


def find_different_poles(one: str, two: str) -> str | None:
    """Opposites and rivals: both folded texts name one of several things, and not the same."""
    return _different_poles(one, {axis: _poles(axis, two) for axis in AXES})


def _different_poles(one: str, two: Mapping[_Axis, dict[int, str]]) -> str | None:
    for axis, there in two.items():
        if there and (here := _poles(axis, one)) and not here.keys() & there.keys():
            return f"{min(here.values())} / {min(there.values())}"
    return None


def _poles(axis: _Axis, text: str) -> dict[int, str]:
    """The poles of an axis that a text names: number of the pole -> its word in the text."""
    found = {}
    for number, pole in enumerate(axis):
        if match := pole.search(text):
            found[number] = match.group()
    return found


def kinds_of_question(text: str) -> set[str]:
    """What a folded text wants to hear: a time, a price, a way."""
    return {kind for kind, pattern in QUESTION_KINDS.items() if pattern.search(text)}


def _latin_words(text: str) -> list[str]:
    return _WORD.findall(without_apostrophes(_CJK_CHARACTER.sub(" ", text)))


def _with_synonyms(text: str) -> str:
    others = [word for group in SYNONYMS if any(w in text for w in group) for word in group]
    return f"{text} {' '.join(others)}"


def _is_among(word: str, by_length: Mapping[int, set[str]]) -> bool:
    size = len(word)
    if word in by_length.get(size, ()):
        return True
    return size >= _SHORTEST_MISSPELT and any(
        _is_misspelling(word, other)
        for other_size in range(max(size - 1, _SHORTEST_MISSPELT), size + 2)
        for other in by_length.get(other_size, ())
    )


def _is_misspelling(word: str, other: str) -> bool:
    """One letter wrong, missing or too many, or two swapped, in words of nearly the same length that
    are long enough."""
    if word[:2] != other[:2] and word[-2:] != other[-2:]:
        return False  # what is wrong is at one end
    first = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), -1)
    if first < 0:
        return True  # one is the beginning of the other
    rest, other_rest = word[first:], other[first:]
    swapped = other_rest[1:2] + other_rest[:1] + other_rest[2:]
    return rest[1:] in (other_rest[1:], other_rest) or other_rest[1:] == rest or rest == swapped
