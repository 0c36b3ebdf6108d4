"""From raw scores to probabilities, and to the decision that a message is out of scope.

What serving needs; `calibrating.py` says how the numbers are found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Floats = NDArray[np.float64]

_BINS = 15


@dataclass(frozen=True)
class Calibration:
    """`weights` and `bias` are of the logistic regression; `threshold` is a probability."""

    temperature: float
    weights: tuple[float, float, float, float]
    bias: float
    threshold: float

    def probabilities(self, scores: Scores) -> Floats:
        """(n, labels), rows sum to 1: which label, given that it is one of them."""
        return softmax(scores / self.temperature)

    def out_of_scope(self, scores: Scores) -> Floats:
        """(n,) probability that a message is out of scope."""
        return sigmoid(traits(scores) @ np.array(self.weights) + self.bias)


def never_out_of_scope() -> Calibration:
    """For a classifier of which nothing was measured: its softmax, and no rejections."""
    return Calibration(temperature=1.0, weights=(0.0, 0.0, 0.0, 0.0), bias=-20.0, threshold=1.0)


def expected_calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Mean distance of confidence and accuracy over 15 equal bins (Guo et al. 2017), 0 to 1."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    total = 0.0
    for number in range(_BINS):
        if (inside := bins == number).any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return float(total)


def auroc(foreign: Floats, known: Floats) -> float:
    """How likely a foreign message is more suspicious than a known one (ties count half)."""
    both = np.concatenate([foreign, known])
    _, places, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    below = ranks[: len(foreign)].sum() - len(foreign) * (len(foreign) + 1) / 2
    return float(below / (len(foreign) * len(known)))


def traits(scores: Scores) -> Floats:
    """What tells known from foreign, (n, 4): best score, its lead, length of the vector, sum."""
    best = np.partition(scores, -2, axis=1)[:, -2:].astype(np.float64)
    length = np.linalg.norm(scores, axis=1)
    return np.column_stack([best[:, 1], best[:, 1] - best[:, 0], length, scores.sum(1)])


def softmax(scores: Scores | Floats) -> Floats:
    """(n, labels), rows sum to 1."""
    powers = np.exp((scores - scores.max(1, keepdims=True)).astype(np.float64))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float64)


def sigmoid(values: Floats) -> Floats:
    """0 to 1, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float64)
