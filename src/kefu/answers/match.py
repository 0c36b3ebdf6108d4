"""Which of the questions that were answered before asks the same as a new one?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")

# Nearest neighbours further away are not looked at: a judge has its errors too, and a pair this
# unlike is hardly ever the same question.
LEAST_COSINE = 0.6


class Judgement(Protocol):
    """`probability` that both ask the same; `disagreement` names what makes that impossible."""

    @property
    def probability(self) -> float: ...
    @property
    def disagreement(self) -> str | None: ...


class Judge(Protocol):
    """What is asked of `paraphrase.judge.Judge`. `threshold` is the least probability."""

    @property
    def threshold(self) -> float: ...
    async def judge(self, query: str, questions: Sequence[str]) -> Sequence[Judgement]: ...


def choose(candidates: Sequence[T], judgements: Sequence[Judgement], threshold: float) -> T | None:
    """The candidate that most probably is the same question; the earlier one of equals."""
    best, probability = None, 0.0
    for candidate, judgement in zip(candidates, judgements, strict=True):
        if asks_the_same(judgement, threshold) and judgement.probability > probability:
            best, probability = candidate, judgement.probability
    return best


def asks_the_same(judgement: Judgement, threshold: float) -> bool:
    """Whether the answer to one question may be given to the other."""
    return judgement.disagreement is None and judgement.probability >= threshold
