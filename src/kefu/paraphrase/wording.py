"""What a question says, apart from how it is said: politeness cut, words that may stand for each other
folded, question words and particles told from the rest.

Two questions with the same words left, in whatever order, nearly always ask the same, unless somebody
changed places with somebody. Chinese counts by characters, other writing by words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from kefu.language import CJK
from kefu.paraphrase.word_classes import (
    AND,
    ASKED,
    EMPTY,
    INTERCHANGEABLE,
    OPPOSITES,
    PARTICLES,
    POLITE,
    PRONOUNS,
    VOICE,
)
from kefu.terms import fold, stem, without_apostrophes

_KEPT = 4096

# Of a text, for what grows with the cube of its length. Longer ones are never alike.
_MOST_CHARACTERS = 200

# A single word left says too little: "buy?" is a part of many questions.
_LEAST_WORDS = 2


def _classes() -> str:
    """One pattern; the name of a group is the kind of a word, and its class where it has one."""
    named = [("polite", POLITE)]
    for kind, classes in (("asked", ASKED), ("same", INTERCHANGEABLE), ("who", PRONOUNS)):
        named += [(f"{kind}_{name}", pattern) for name, pattern in classes.items()]
    named += [("voice", VOICE), ("empty", EMPTY), ("particle", PARTICLES)]
    named += [("number", r"\d+(?:\.\d+)?"), ("word", rf"[^\W\d_{CJK}]+"), ("han", rf"[{CJK}]")]
    return "|".join(f"(?P<{name}>{pattern})" for name, pattern in named)


_WORD: Final = re.compile(_classes())
_OPPOSITES: Final = tuple(tuple(map(re.compile, axis)) for axis in OPPOSITES)


@dataclass(frozen=True)
class Wording:
    """`words` and `pronouns` in their order; of the rest it does not matter what stands where.

    `asked`: keys of `word_classes.ASKED`. `opposites`: which ends of which of `OPPOSITES` the text names.
    """

    words: tuple[str, ...]
    asked: frozenset[str]
    pronouns: tuple[str, ...]
    voices: tuple[str, ...]
    particles: Counter[str]
    opposites: tuple[frozenset[int], ...]


@dataclass(frozen=True)
class Comparison:
    """How the wording of two questions differs.

    `alike`: 1 where nothing differs but what never matters, 0.5 where one particle does as well or one
    side alone names somebody, else 0. `shared`: share of all words that both have. `more`, `fewer`: how
    many words only one side has, the greater number first. `particles`: how many only one side has.
    `asked`: 0 where the same is asked for, 1 where something else is. `turned`: somebody changed
    places. `opposite`: as yesterday and tomorrow.
    """

    alike: float
    shared: float
    more: int
    fewer: int
    particles: int
    asked: float
    turned: bool
    opposite: bool


def compare(first: str, second: str) -> Comparison:
    """Which of both comes first does not matter."""
    here, there = (wording_of(text[:_MOST_CHARACTERS]) for text in (first, second))
    words, others = Counter(here.words), Counter(there.words)
    left, right = (words - others).total(), (others - words).total()
    found = Comparison(
        alike=0.0,
        shared=(words & others).total() / max(1, (words | others).total()),
        more=max(left, right),
        fewer=min(left, right),
        particles=_different(here.particles, there.particles),
        asked=_asked_differs(here.asked, there.asked),
        turned=_is_turned(here, there),
        opposite=_is_opposite(here, there),
    )
    is_whole = max(len(first), len(second)) <= _MOST_CHARACTERS
    return replace(found, alike=_alike(found, here, there)) if is_whole else found


def _alike(found: Comparison, here: Wording, there: Wording) -> float:
    differs = found.more or found.asked or found.turned or found.opposite
    if differs or found.particles > 1 or len(here.words) < _LEAST_WORDS:
        return 0.0
    return 0.5 if found.particles or _is_anothers(here, there) else 1.0


@lru_cache(_KEPT)
def wording_of(text: str) -> Wording:
    folded = fold(text)
    words: list[str] = []
    by_kind: dict[str, list[str]] = {kind: [] for kind in ("asked", "who", "voice", "particle")}
    for found in _WORD.finditer(without_apostrophes(folded)):
        kind, _, name = (found.lastgroup or "").partition("_")
        if kind in by_kind:
            by_kind[kind].append(name or found.group())
        elif kind not in ("polite", "empty"):
            words.append(f"<{name}>" if name else _root(kind, found.group()))
    return Wording(
        words=tuple(words),
        asked=frozenset(by_kind["asked"]),
        pronouns=tuple(by_kind["who"]),
        voices=tuple(sorted(by_kind["voice"])),
        particles=Counter(by_kind["particle"]),
        opposites=tuple(_ends(axis, folded) for axis in _OPPOSITES),
    )


def _root(kind: str, word: str) -> str:
    return stem(word) if kind == "word" else word


def _ends(axis: Sequence[re.Pattern[str]], text: str) -> frozenset[int]:
    return frozenset(number for number, end in enumerate(axis) if end.search(text))


def _is_opposite(here: Wording, there: Wording) -> bool:
    ends = zip(here.opposites, there.opposites, strict=True)
    return any(bool(one and two) and not one & two for one, two in ends)


def _different(one: Counter[str], two: Counter[str]) -> int:
    return (one - two).total() + (two - one).total()


def _asked_differs(here: frozenset[str], there: frozenset[str]) -> float:
    """0 to 1. "Can I" beside another question word asks nothing of its own: how can I, where can I."""
    if here == there:
        return 0.0
    one, two = here - {"whether"}, there - {"whether"}
    if one == two:
        return 0.3
    if not one or not two:
        return 0.8 if here and there else 0.5
    return 0.7 if one & two else 1.0


def _is_turned(here: Wording, there: Wording) -> bool:
    """One gives, the other is given; or two changed places, and not around an "and"."""
    return (
        here.voices != there.voices
        or _pronouns_differ(here.pronouns, there.pronouns)
        or _is_exchanged(here.words, there.words)
    )


def _pronouns_differ(one: Sequence[str], two: Sequence[str]) -> bool:
    """Me where it was you; a pronoun that only one side has says nothing."""
    if sorted(one) == sorted(two):
        return one != two
    return bool(one and two) and not set(one) & set(two)


def _is_anothers(here: Wording, there: Wording) -> bool:
    """A pronoun on one side may be who does it; "I" is not where the words stand as they stood."""
    alone = set(here.pronouns) ^ set(there.pronouns)
    return bool(alone) and ("you" in alone or here.words != there.words)


def is_exchanged(first: str, second: str) -> bool:
    """Two changed places around something: the men love the women, the women love the men.

    Only where all else stands as it stood: "cancel an order" may well be "an order, cancel it".
    """
    here, there = (wording_of(text[:_MOST_CHARACTERS]) for text in (first, second))
    return _is_exchanged(here.words, there.words)


def _is_exchanged(one: Sequence[str], two: Sequence[str]) -> bool:
    if len(one) != len(two) or one == two or Counter(one) != Counter(two):
        return False
    begin, end = 0, len(one)
    while one[begin] == two[begin]:
        begin += 1
    while one[end - 1] == two[end - 1]:
        end -= 1
    return _ends_swapped(one[begin:end], two[begin:end])


def _ends_swapped(one: Sequence[str], two: Sequence[str]) -> bool:
    size = len(one)
    for first in range(1, size - 1):
        if two[size - first :] != one[:first]:
            continue
        for last in range(1, size - first):
            between = one[first : size - last]
            if two[:last] == one[size - last :] and two[last : size - first] == between:
                return AND not in between
    return False
