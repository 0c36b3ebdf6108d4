"""What the reader is taught: which sentences of a passage answer a question."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from examples import Asked, Context, Passage, contexts

from kefu.clauses import sentences_of
from kefu.terms import fold

# How much more of an answer's text another sentence must have to count as part of it.
_ADDS = 0.3
# The share of passages that do not answer which are read all the same.
_OTHERS_READ = 0.45


@dataclass(frozen=True)
class Reading:
    """A question, the turn before it, and one passage by sentences; `tells` says which answer it."""

    before: str
    question: str
    title: str
    sentences: tuple[str, ...]
    tells: tuple[bool, ...]


def readings(seed: int) -> list[Reading]:
    """One pass over the data, in random order."""
    chance = random.Random(f"reader {seed}")
    found = [reading for context in contexts(seed) for reading in _of_context(context, chance)]
    chance.shuffle(found)
    return found


def _of_context(context: Context, chance: random.Random) -> Iterator[Reading]:
    before = context.rounds[-1][0] if context.rounds else ""
    for asked in context.asked:
        if asked.kind == "ask_back":
            continue
        hardest = chance.randrange(len(context.passages)) if asked.kind == "elsewhere" else -1
        for number, passage in enumerate(context.passages):
            is_right = number in context.right
            if is_right or number == hardest or chance.random() < _OTHERS_READ:
                yield _reading(before, asked, passage, is_right=is_right)


def _reading(before: str, asked: Asked, passage: Passage, *, is_right: bool) -> Reading:
    sentences = tuple(sentences_of(passage.text))
    answer = asked.answer if is_right and asked.answer else ""
    tells = told(answer, passage.title, sentences) if answer else frozenset()
    marks = tuple(number in tells for number in range(len(sentences)))
    return Reading(before, asked.question, passage.title, sentences, marks)


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
