"""The judge of question pairs: rules that can only say no, and a model that gives a probability."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kefu.paraphrase.verifier import find_difference


class Scorer(Protocol):
    """What is asked of `AlignmentScorer`: one logit a pair."""

    @property
    def id(self) -> str: ...
    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Judgement:
    """`probability` that both ask the same; `disagreement` names what makes that impossible."""

    probability: float
    disagreement: str | None


@dataclass(frozen=True)
class Calibration:
    """Probability = sigmoid(slope x logit + offset); `threshold` is the least that may answer."""

    slope: float
    offset: float
    threshold: float

    def probability(self, logit: float) -> float:
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, self.slope * logit + self.offset))))


class Judge:
    """Says of each question whether it asks the same as the query.

    Without a `scorer` (its model is not installed) nothing is ever the same.
    """

    def __init__(self, scorer: Scorer | None, calibration: Calibration) -> None:
        self._scorer = scorer
        self.calibration = calibration

    @property
    def is_able(self) -> bool:
        return self._scorer is not None

    @property
    def model_id(self) -> str:
        """Names the model that a calibration belongs to; "" without one."""
        return self._scorer.id if self._scorer else ""

    @property
    def threshold(self) -> float:
        return self.calibration.threshold

    async def judge(self, query: str, questions: Sequence[str]) -> list[Judgement]:
        """One judgement for each question. The model reads in a thread."""
        if not self._scorer or not questions:
            return [Judgement(0.0, "the pair model is not installed") for _ in questions]
        logits = await asyncio.to_thread(self._scorer.logits, [(query, q) for q in questions])
        return [
            Judgement(self.calibration.probability(float(logit)), find_difference(query, question))
            for question, logit in zip(questions, logits, strict=True)
        ]
