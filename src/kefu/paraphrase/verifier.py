"""Does a look-alike question really ask the same? A second opinion on the best match.

Sentence vectors are blind to what turns a question around: "how do I delete my account" and "how
do I recover an account I deleted" are as alike as two rephrasings (docs/knowledge.md has the
figures). Each rule here compares what both sides say and names what differs. The words are data,
in `rules.py`: add there rather than here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

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


@dataclass(frozen=True)
class _Pair:
    """What is compared, folded: the query, the question it matched, and what is known around it."""

    query: str
    question: str
    everything: str


def find_disagreement(query: str, question: str, known: str = "") -> str | None:
    """Why `query` asks something else than `question`; None where nothing says so.

    `known` is what stands around the question, such as its answer: a number in it is no surprise.
    """
    pair = _Pair(fold(query), _folded(question), _folded(f"{question} {known}"))
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
    asked, (known, known_words) = fold(query), _known(known)
    characters = _CJK_CHARACTER.findall(CHINESE_FILLERS.sub(" ", asked))
    words = [word for word in _latin_words(asked) if word not in ENGLISH_FILLERS]
    new = sum(not _is_among(stem(word), known_words) for word in words)
    new_characters = sum(character not in known for character in characters)
    return (new + new_characters / 2) / max(1.0, len(words) + len(characters) / 2)


def _numbers_differ(pair: _Pair) -> str | None:
    """A number that the entry never mentions: 30 days where it speaks of 7."""
    strange = numbers_of(pair.query) - numbers_of(pair.everything)
    return f"number {min(strange)}" if strange else None


def _one_side_denies(pair: _Pair) -> str | None:
    return "negation" if denies(pair.query) != denies(pair.question) else None


def _one_side_is_about_others(pair: _Pair) -> str | None:
    """About others in the query only; the entry may speak of them to say what holds for oneself."""
    strange = OTHERS.search(pair.query) and not OTHERS.search(pair.everything)
    return "somebody else" if strange else None


def _is_turned_around(pair: _Pair) -> str | None:
    """From A to B is not from B to A: what stands before the word between them stands behind it."""
    for relation in RELATIONS:
        for here in relation.finditer(pair.query):
            for there in relation.finditer(pair.question):
                one = pair.query[: here.start()], pair.query[here.end() :]
                two = pair.question[: there.start()], pair.question[there.end() :]
                if turned := _turned(one, two):
                    return f"{here.group().strip()} the other way round: {turned}"
    return None


def _turned(one: tuple[str, str], two: tuple[str, str]) -> str | None:
    """What changed sides: the end of each text before the relation begins the other's behind it."""
    first = _common(one[0], two[1])
    second = _common(two[0], one[1])
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
    strange = _parts(pair.query) ^ _parts(pair.question)
    return f"a part, {min(strange)}" if strange else None


def _parts(text: str) -> set[str]:
    """What is asked about that stands in the words just before it."""
    return {
        found.group(1)
        for found in PART.finditer(text)
        if found.group(1) in text[max(0, found.start() - _LONGEST_WHOLE) : found.start()]
    }


def _japanese_differs(pair: _Pair) -> str | None:
    here, there = set(JAPANESE.findall(pair.query)), set(JAPANESE.findall(pair.question))
    return f"{min(here)} / {min(there)}" if here and there and here != there else None


def _poles_differ(pair: _Pair) -> str | None:
    return find_different_poles(pair.query, pair.question)


def _kinds_differ(pair: _Pair) -> str | None:
    """One asks when, the other how much."""
    here, there = kinds_of_question(pair.query), kinds_of_question(pair.question)
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
    return NEGATION.search(NOT_NEGATION.sub(" ", text)) is not None


def find_different_poles(one: str, two: str) -> str | None:
    """Opposites and rivals: both folded texts name one of several things, and not the same."""
    for axis in AXES:
        here = _poles(axis, one)
        if here and (there := _poles(axis, two)) and not here.keys() & there.keys():
            return f"{min(here.values())} / {min(there.values())}"
    return None


def _poles(axis: tuple[re.Pattern[str], ...], text: str) -> dict[int, str]:
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


# The same few entries are near to most questions.
_folded = lru_cache(maxsize=4096)(fold)


@lru_cache(maxsize=4096)
def _known(text: str) -> tuple[str, frozenset[str]]:
    """A text folded, with what else could stand for its words, and the stems of its Latin words."""
    known = _with_synonyms(fold(text))
    return known, frozenset(map(stem, _latin_words(known)))


def _with_synonyms(text: str) -> str:
    others = [word for group in SYNONYMS if any(w in text for w in group) for word in group]
    return f"{text} {' '.join(others)}"


def _is_among(word: str, words: frozenset[str]) -> bool:
    return word in words or any(_is_misspelling(word, other) for other in words)


def _is_misspelling(word: str, other: str) -> bool:
    """One letter wrong, missing or too many, or two swapped, in words that are long enough."""
    if min(len(word), len(other)) < _SHORTEST_MISSPELT or abs(len(word) - len(other)) > 1:
        return False
    first = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), -1)
    if first < 0:
        return True  # one is the beginning of the other
    rest, other_rest = word[first:], other[first:]
    swapped = other_rest[1:2] + other_rest[:1] + other_rest[2:]
    return rest[1:] in (other_rest[1:], other_rest) or other_rest[1:] == rest or rest == swapped
