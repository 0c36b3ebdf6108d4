"""Figures of a classifier's scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]

_BINS = 15


def sigmoid(values: Floats) -> Floats:
    """0 to 1, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float64)


def auroc(higher: Floats, lower: Floats) -> float:
    """How likely one of `higher` has a higher score than one of `lower` (ties count half)."""
    both = np.concatenate([higher, lower])
    _, places, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    above = ranks[: len(higher)].sum() - len(higher) * (len(higher) + 1) / 2
    return float(above / (len(higher) * len(lower)))


def expected_calibration_error(confidence: Floats, right: Marks) -> float:
    """Mean distance of confidence and accuracy over 15 equal bins (Guo et al. 2017), 0 to 1."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    total = 0.0
    for number in range(_BINS):
        if (inside := bins == number).any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return float(total)


def macro_f1(called: Marks, true: Marks) -> float:
    """The mean of the F1 of both answers."""
    return (_f1(called, true) + _f1(~called, ~true)) / 2


def _f1(called: Marks, true: Marks) -> float:
    named = called.sum() + true.sum()
    return float(2 * (called & true).sum() / named) if named else 0.0
