"""What the trees look at in a pair of questions: 46 numbers, numpy only.

Training and serving both call `features_of`, so they cannot differ. Where a number exists for either
side, the lesser and the greater of the two are given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kefu.inference.models.e5.layout import LAYERS
from kefu.paraphrase.pieces import SPACE
from kefu.paraphrase.token_states import TextStates
from kefu.paraphrase.verifier import (
    denies,
    find_different_poles,
    kinds_of_question,
    numbers_of,
)
from kefu.paraphrase.wording import compare
from kefu.terms import fold

Floats = NDArray[np.float32]

# Pieces that ask for nothing: signs, particles and greetings.
_EMPTY: Final = frozenset(
    ["", *",.?!，。？！、的了吗呢啊呀吧哦嘛么", "请问", "你好", "您好", "谢谢"]
)

_NOT_WORD = re.compile(r"\W")

# Of a text, for what grows with the square of its length; as much as the network reads of it.
_MOST_CHARACTERS = 200

# A leftover word that has none to be compared with: neither alike nor unlike.
_NOTHING_TO_COMPARE = 0.5


WORDING: Final = "wording"
"""Name of the feature that says whether both have the same words; `trees.py` counts it by itself."""


def _names() -> Iterator[tuple[str, int]]:
    """Name of a feature; 1 where more of it must never speak against the same question, -1 where
    it must never speak for it, 0 where it may do both."""
    yield "cosine", 1
    for layer in LAYERS:
        for kind in ("mean", "weakest", "two_weakest"):
            yield from ((f"{kind}_{side}_{layer}", 1) for side in ("less", "more"))
    yield from (("characters", 1), ("sequence_of_longer", 1), ("sequence_of_shorter", 1))
    yield from ((name, -1) for name in ("length", "numbers", "negation", "kinds", "poles"))
    yield from (("turned_around", -1), ("moved", -1))
    yield from ((f"replaced_{layer}", 1) for layer in LAYERS)
    for layer in (LAYERS[0], LAYERS[-1]):
        yield from ((f"leftover_{side}_{layer}", 1) for side in ("less", "more"))
    yield from (("mutual", 1), ("crossed", -1))
    yield from ((WORDING, 1), ("words_shared", 1))
    yield from ((name, -1) for name in ("words_more", "words_fewer", "particles", "asked"))
    yield from (("turned", -1), ("opposite", -1))


NAMES: Final = tuple(name for name, _ in _names())
DIRECTIONS: Final = tuple(direction for _, direction in _names())


def features_of(first: str, second: str, here: TextStates, there: TextStates) -> Floats:
    """(features,) float32, in the order of `NAMES`. `here` and `there` are the states of both.

    Which question comes first does not matter.
    """
    if second < first:
        first, second, here, there = second, first, there, here
    found = [float(here.vector @ there.vector)]
    if here.pieces and there.pieces:
        match = _Match(_Content.of(here), _Content.of(there))
        found += [*_best_partners(match), *_of_characters(first, second), *_of_words(match)]
        found += _of_wording(first, second)
    else:  # nothing to compare: as unlike as can be
        found += [-1.0 if way > 0 else 1.0 for way in DIRECTIONS[1:]]
    return np.array(found, np.float32)


@dataclass(frozen=True)
class _Content:
    """The pieces of a text that ask for something, or all where none does."""

    words: tuple[str, ...]
    layers: Floats

    @classmethod
    def of(cls, states: TextStates) -> _Content:
        words = [piece.lstrip(SPACE).casefold() for piece in states.pieces]
        every = range(len(words))
        kept = [at for at in every if words[at] not in _EMPTY] or list(every)
        layers = states.layers[:, kept].astype(np.float32)
        return cls(tuple(words[at] for at in kept), layers)


@dataclass(frozen=True)
class _Match:
    """The content of both texts, and how alike each piece of one is to each of the other."""

    here: _Content
    there: _Content

    @cached_property
    def alike(self) -> Floats:
        """(layers, pieces here, pieces there): cosines."""
        return self.here.layers @ self.there.layers.transpose(0, 2, 1)

    @cached_property
    def leftover(self) -> tuple[list[int], list[int]]:
        """Places on either side of the words outside the longest common sequence of words."""
        shared = common_sequence(self.here.words, self.there.words)
        here, there = ({pair[side] for pair in shared} for side in (0, 1))
        return (
            [at for at in range(len(self.here.words)) if at not in here],
            [at for at in range(len(self.there.words)) if at not in there],
        )


def _best_partners(match: _Match) -> Iterator[float]:
    """How alike the best partner of a piece is: on average, and where it fits worst.

    A look-alike differs in a word or two; an average hardly sees them, the weakest ones are them.
    """
    for alike in match.alike:
        one, two = np.sort(alike.max(axis=1)), np.sort(alike.max(axis=0))
        for of in (np.mean, lambda best: best[0], lambda best: best[:2].mean()):
            yield from _ordered(of(one), of(two))


def _of_characters(first: str, second: str) -> Iterator[float]:
    """What both share in writing, and what the rules of the verifier know to differ."""
    one, two = fold(first), fold(second)
    here, there = (_NOT_WORD.sub("", text)[:_MOST_CHARACTERS] for text in (one, two))
    both = len(common_sequence(here, there))
    yield len(set(here) & set(there)) / max(1, len(set(here) | set(there)))
    yield both / max(1, len(here), len(there))
    yield both / max(1, min(len(here), len(there)))
    yield abs(math.log((len(here) + 1) / (len(there) + 1)))
    yield float(numbers_of(one) != numbers_of(two))
    yield float(denies(one) != denies(two))
    kinds, others = kinds_of_question(one), kinds_of_question(two)
    yield float(bool(kinds and others) and not kinds & others)
    yield float(find_different_poles(one, two) is not None)
    yield float(sorted(here) == sorted(there) and here != there)  # from A to B, from B to A


def _of_words(match: _Match) -> Iterator[float]:
    """What was put in the place of what, and whether words changed places."""
    here, there = match.leftover
    words, others = match.here.words, match.there.words
    moved = {words[at] for at in here} & {others[at] for at in there}
    yield len(moved) / min(len(words), len(others))
    for one, two in zip(match.here.layers, match.there.layers, strict=True):
        yield _cosine_of_means(one[here], two[there])
    for alike in (match.alike[0], match.alike[-1]):
        yield from _ordered(_weakest(alike.max(axis=1)[here]), _weakest(alike.max(axis=0)[there]))
    partners, back = match.alike[-1].argmax(axis=1), match.alike[-1].argmax(axis=0)
    yield float(np.mean(back[partners] == np.arange(len(partners))))
    yield _share_crossed(partners)


def _of_wording(first: str, second: str) -> Iterator[float]:
    """What is left of both without politeness and particles, and what is asked of it."""
    found = compare(first, second)
    yield from (found.alike, found.shared, found.more, found.fewer, found.particles)
    yield from (found.asked, found.turned, found.opposite)


def _cosine_of_means(one: Floats, two: Floats) -> float:
    """Of the words that only one side has: a synonym in the same place is close, a rival is not."""
    if not len(one) or not len(two):
        return 1.0 if len(one) == len(two) else _NOTHING_TO_COMPARE
    here, there = one.mean(axis=0), two.mean(axis=0)
    return float(here @ there / math.sqrt(float(here @ here) * float(there @ there) + 1e-9))


def _weakest(best: Floats) -> float:
    return float(best.min()) if len(best) else 1.0


def _share_crossed(partners: NDArray[np.intp]) -> float:
    """Of two pieces here, how often their partners stand the other way round."""
    before, after = np.triu_indices(len(partners), 1)
    return float(np.mean(partners[before] > partners[after])) if len(before) else 0.0


def _ordered(one: float, two: float) -> tuple[float, float]:
    return (one, two) if one <= two else (two, one)


def common_sequence(one: Sequence[str], two: Sequence[str]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence, last first."""
    lengths = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i, item in enumerate(one):
        row, above = lengths[i + 1], lengths[i]
        for j, other in enumerate(two):
            row[j + 1] = above[j] + 1 if item == other else max(above[j + 1], row[j])
    found: list[tuple[int, int]] = []
    i, j = len(one), len(two)
    while i and j:
        if one[i - 1] == two[j - 1]:
            i, j = i - 1, j - 1
            found.append((i, j))
        elif lengths[i - 1][j] >= lengths[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return found
