"""Fits probabilities and the threshold of the judge to pairs that people labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kefu.paraphrase.judge import Calibration, Scorer
from kefu.paraphrase.verifier import find_difference

LEAST_PRECISION = 0.98
"""Of the pairs at or above the threshold, the share that must ask the same."""

_STEPS = 50
_LEAST_STEP = 1e-9
# A weak pull towards the calibration in use, so that few pairs cannot turn it around.
_PULL = 1.0
# With fewer hits a share of 98% is luck.
_LEAST_HITS = 20

Floats = NDArray[np.float64]


def fit(
    pairs: Sequence[tuple[str, str, bool]],
    scorer: Scorer,
    current: Calibration,
    least_precision: float = LEAST_PRECISION,
) -> Calibration:
    """From pairs with a mark where both ask the same. Blocking. Raises `ModelError`.

    The threshold is the lowest that keeps the precision on the pairs themselves; where none does, the
    one above every wrong pair.
    """
    logits = scorer.logits([(first, second) for first, second, _ in pairs]).astype(float)
    same = np.array([is_same for *_, is_same in pairs], bool)
    slope, offset = fit_scale(logits, same, current)
    fitted = Calibration(slope, offset, 1.0)
    judged = np.array([find_difference(*pair[:2]) is None for pair in pairs], bool)
    probabilities = np.array([fitted.probability(logit) for logit in logits[judged]])
    threshold = precise_threshold(probabilities, same[judged], least_precision)
    return replace(fitted, threshold=threshold)


def fit_scale(logits: Floats, same: NDArray[np.bool_], current: Calibration) -> tuple[float, float]:
    """Slope and offset of a logistic regression on the logit (Platt 1999)."""
    rows = np.stack([logits, np.ones(len(logits))], axis=1)
    signs = np.where(same, 1.0, -1.0)
    start = np.array([current.slope, current.offset])
    slope, offset = _minimise(rows * signs[:, np.newaxis], start)
    # Falling probabilities for surer pairs would turn the model around: the pairs are mislabelled.
    return (slope, offset) if slope > 0 else (current.slope, current.offset)


def precise_threshold(probabilities: Floats, same: NDArray[np.bool_], least: float) -> float:
    """The lowest threshold with that precision, in the middle of the gap below it; at most 1."""
    order = np.argsort(-probabilities, kind="stable")
    sorted_, right = probabilities[order], same[order]
    hits = np.arange(1, len(right) + 1)
    # Equal probabilities hit together or not at all.
    is_end = np.append(sorted_[1:] < sorted_[:-1], True)[: len(sorted_)]
    is_precise = np.cumsum(right) >= least * hits
    ends = np.flatnonzero(is_end & is_precise & (hits >= _LEAST_HITS))
    if not len(ends):
        wrong = probabilities[~same].max(initial=0.0)
        ends = np.flatnonzero(sorted_ > wrong)
    if not len(ends):
        return 1.0
    last = int(ends[-1])
    below = sorted_[last + 1] if last + 1 < len(sorted_) else 0.0
    return float((sorted_[last] + below) / 2)


def _minimise(rows: Floats, start: Floats) -> tuple[float, float]:
    """The weights of the least logistic loss near `start`, by Newton's method.

    Halved steps keep it from running away where the loss is flat.
    """

    def loss(weights: Floats) -> float:
        pull = _PULL / 2 * float(np.sum((weights - start) ** 2))
        return float(np.logaddexp(0, -rows @ weights).sum()) + pull

    weights = start
    for _ in range(_STEPS):
        wrong = 1 / (1 + np.exp(np.clip(rows @ weights, -50, 50)))
        gradient = _PULL * (weights - start) - rows.T @ wrong
        curvature = (rows.T * (wrong * (1 - wrong))) @ rows + _PULL * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while np.abs(step).max() > _LEAST_STEP and loss(weights - step) > loss(weights):
            step = step / 2
        weights = weights - step
        if np.abs(step).max() <= _LEAST_STEP:
            break
    return float(weights[0]), float(weights[1])
