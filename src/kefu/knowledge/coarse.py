"""A first, cheap look at many entries: which ones are worth scoring exactly?

An entry's vectors become two short ones, of its questions and of its answer. So few principal axes
of 512 tell one company's entries apart well enough to find some hundred candidates, and reading
vectors is what a search among 100,000 waits for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.growing import Growing

Floats = NDArray[np.float32]

QUESTION_AXES = 96
ANSWER_AXES = 32
_SAMPLE = 20_000


@dataclass(frozen=True, eq=False)
class FirstLook:
    """The entries of a stock at one time, on the axes."""

    coarse: Coarse
    questions: Floats
    answers: Floats

    def cosines(self, vector: Floats) -> tuple[Floats, Floats]:
        """About the mean cosine of each entry's questions, and about that of its answer."""
        questions = self.questions @ (vector @ self.coarse.question_axes)
        return questions, self.answers @ (vector @ self.coarse.answer_axes)


class Coarse:
    """Entries' vectors on the principal axes of those that were there when it was made."""

    def __init__(self, questions: Floats, answers: Floats) -> None:
        """Both (entries, d)."""
        self.fitted_on = len(questions)
        self.question_axes = _principal_axes(questions, QUESTION_AXES)
        self.answer_axes = _principal_axes(answers, ANSWER_AXES)
        self._questions = Growing(np.float32, self.question_axes.shape[1])
        self._answers = Growing(np.float32, self.answer_axes.shape[1])
        self.extend(questions, answers)

    def extend(self, questions: Floats, answers: Floats) -> None:
        self._questions.extend(questions @ self.question_axes)
        self._answers.extend(answers @ self.answer_axes)

    def view(self) -> FirstLook:
        return FirstLook(self, self._questions.view(), self._answers.view())


def _principal_axes(vectors: Floats, count: int) -> Floats:
    sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
    _, axes = np.linalg.eigh(sample.T @ sample)  # the largest come last
    return np.ascontiguousarray(axes[:, ::-1][:, :count], np.float32)
