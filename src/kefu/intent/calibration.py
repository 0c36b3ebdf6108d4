"""From raw scores to probabilities, and to the decision that a message is out of scope.

Fitted on held-out scores, so that it sees what the classifier is like on texts it does not know:

- a temperature makes the softmax over the labels as sure as it is right (Guo et al. 2017, "On
  Calibration of Modern Neural Networks");
- a logistic regression on the best score, the lead over the second, the length of the score vector
  and its sum tells known wishes from out-of-scope ones. Where there are too few out-of-scope
  examples, the examples of each label stand in, scored as if that label did not exist;
- a threshold on it is set where it sends away at most the stated share of those that would have
  been recognised rightly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kefu.errors import InvalidInput

Scores = NDArray[np.float32]
Floats = NDArray[np.float64]

# Of the rightly recognised held-out messages this share may be sent away. Without out-of-scope
# examples it is a guess where the border is, and only what is plainly foreign is sent away.
FALSE_REJECTIONS = 0.003
FALSE_REJECTIONS_UNTAUGHT = 0.002
FEWEST_OUT_OF_SCOPE = 20

# What share of customers' messages is assumed to be out of scope, for the probability of it.
_ASSUMED_SHARE = 0.1
_PENALTY = 1e-3
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
        return _softmax(scores / self.temperature)

    def out_of_scope(self, scores: Scores) -> Floats:
        """(n,) probability that a message is out of scope."""
        return _sigmoid(_traits(scores) @ np.array(self.weights) + self.bias)


def calibrate(
    known: Scores,
    labels: NDArray[np.intp],
    foreign: Scores,
    *,
    taught: bool,
    false_rejections: float,
) -> Calibration:
    """Fit on held-out scores: `known` (n, c) whose labels are `labels`, `foreign` of none of them.

    `taught`: `foreign` are real out-of-scope examples, and not stand-ins.
    """
    temperature = _temperature(known, labels)
    weights, bias = _logistic(_traits(known), _traits(foreign), use_sum=taught)
    right = known[known.argmax(1) == labels]
    suspicion = _sigmoid(_traits(right if len(right) else known) @ weights + bias)
    # A hair above: the message that sets it must not fall to a rounding of another batch.
    threshold = float(np.quantile(suspicion, 1 - false_rejections, method="higher")) + 1e-9
    first, second, third, fourth = map(float, weights)
    return Calibration(temperature, (first, second, third, fourth), float(bias), threshold)


def never_out_of_scope() -> Calibration:
    """For a classifier of which nothing was measured: its softmax, and no rejections."""
    return Calibration(temperature=1.0, weights=(0.0, 0.0, 0.0, 0.0), bias=-20.0, threshold=1.0)


def chosen_rate(asked: float | None, *, taught: bool) -> float:
    """The share of rightly recognised messages that may be lost. Raises `InvalidInput`."""
    if asked is None:
        return FALSE_REJECTIONS if taught else FALSE_REJECTIONS_UNTAUGHT
    if not 0 <= asked < 1:
        raise InvalidInput(f"{asked} is no share of messages: give 0 to 0.5, as 0.01 for 1%.")
    return asked


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


def _traits(scores: Scores) -> Floats:
    """(n, 4): best score, its lead, length of the vector, sum."""
    best = np.partition(scores, -2, axis=1)[:, -2:].astype(np.float64)
    length = np.linalg.norm(scores, axis=1)
    return np.column_stack([best[:, 1], best[:, 1] - best[:, 0], length, scores.sum(1)])


def _temperature(scores: Scores, labels: NDArray[np.intp]) -> float:
    """The temperature with the best likelihood, by golden-section search on its logarithm."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - a second that only training needs

    rows = np.arange(len(scores))

    def loss(log_temperature: float) -> float:
        shares = _softmax(scores / np.exp(log_temperature))[rows, labels]
        return float(-np.log(np.maximum(shares, 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-5, 2), method="bounded").x))


def _logistic(known: Floats, foreign: Floats, *, use_sum: bool) -> tuple[Floats, float]:
    """Weights and bias on the raw traits; stand-ins say nothing about the sum."""
    from scipy.optimize import minimize  # noqa: PLC0415 - as above

    traits = np.vstack([known, foreign])
    middle, spread = traits.mean(0), traits.std(0)
    spread[spread < 1e-9] = np.inf
    if not use_sum:
        spread[3] = np.inf
    scaled = (traits - middle) / spread
    signs = np.concatenate([np.full(len(known), -1.0), np.ones(len(foreign))])
    shares = np.where(signs > 0, _ASSUMED_SHARE / len(foreign), (1 - _ASSUMED_SHARE) / len(known))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        agreement = signs * (scaled @ weights + bias)
        slope = -signs * _sigmoid(-agreement) * shares
        value = float((shares * np.logaddexp(0, -agreement)).sum() + _PENALTY * weights @ weights)
        gradient = np.concatenate([scaled.T @ slope + 2 * _PENALTY * weights, [slope.sum()]])
        return value, gradient

    found = minimize(loss, np.zeros(scaled.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ middle)


def _softmax(scores: Scores | Floats) -> Floats:
    powers = np.exp((scores - scores.max(1, keepdims=True)).astype(np.float64))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float64)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float64)
