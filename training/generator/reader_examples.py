"""What the reader is taught: which sentences of the passages answer a question."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from examples import Context, contexts

from kefu.clauses import sentences_of
from kefu.reading.rows import Passage
from kefu.terms import fold

# How much more of an answer's text another sentence must have to count as part of it.
_ADDS = 0.3
# How many passages stand beside the right one, and how often they are among the most alike.
_BESIDE = (1, 1, 2, 2)
_NEAR = 0.8


@dataclass(frozen=True)
class Reading:
    """A question, the turn before it, and passages; `tells` says which of their sentences answer."""

    before: str
    question: str
    passages: tuple[Passage, ...]
    tells: tuple[tuple[bool, ...], ...]


def readings(seed: int) -> list[Reading]:
    """One pass over the data, in random order."""
    chance = random.Random(f"reader {seed}")
    found = [
        reading
        for context in contexts(seed, beside=_BESIDE, near=_NEAR)
        for reading in _of_context(context)
    ]
    chance.shuffle(found)
    return found


def _of_context(context: Context) -> Iterator[Reading]:
    before = context.rounds[-1][0] if context.rounds else ""
    passages = tuple(Passage(p.title, p.text) for p in context.passages)
    for asked in context.asked:
        if asked.kind != "ask_back":
            tells = tuple(
                _tells(asked.answer if number in context.right else None, passage)
                for number, passage in enumerate(passages)
            )
            yield Reading(before, asked.question, passages, tells)


def _tells(answer: str | None, passage: Passage) -> tuple[bool, ...]:
    sentences = tuple(sentences_of(passage.text))
    which = told(answer, passage.title, sentences) if answer else frozenset()
    return tuple(number in which for number in range(len(sentences)))


def told(answer: str, title: str, sentences: Sequence[str]) -> frozenset[int]:
    """Numbers of the sentences that an answer was made of: those that have its words."""
    wanted = _grams(answer)
    every = [_grams(sentence) for sentence in sentences]
    here = wanted & frozenset().union(*every)
    if not here:
        return frozenset()
    first = max(range(len(every)), key=lambda n: (len(every[n] & here), -len(every[n])))
    found, left = {first}, here - every[first]
    while left:
        best = max(range(len(every)), key=lambda n: len(every[n] & left))
        if len(every[best] & left) < _ADDS * len(here) or best in found:
            break
        found.add(best)
        left -= every[best]
    return frozenset(found)


def _grams(text: str) -> frozenset[str]:
    """Words, numbers, and pairs of Han characters."""
    folded = fold(text)
    runs = re.findall(r"[\u4e00-\u9fff]+", folded)
    words = re.findall(r"[a-z0-9]+(?:\.\d+)?", folded)
    return frozenset([run[n : n + 2] for run in runs for n in range(max(1, len(run) - 1))] + words)
