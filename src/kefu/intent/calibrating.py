"""How a classifier is calibrated. Only training comes here: SciPy takes a second to load.

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

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from kefu.errors import InvalidInput
from kefu.intent.calibration import Calibration, Floats, Scores, sigmoid, softmax, traits

# Of the rightly recognised held-out messages this share may be sent away. Without out-of-scope
# examples it is a guess where the border is, and only what is plainly foreign is sent away.
FALSE_REJECTIONS = 0.003
FALSE_REJECTIONS_UNTAUGHT = 0.002
FEWEST_OUT_OF_SCOPE = 20

# What share of customers' messages is assumed to be out of scope, for the probability of it.
_ASSUMED_SHARE = 0.1
_PENALTY = 1e-3


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
    weights, bias = _logistic(traits(known), traits(foreign), use_sum=taught)
    right = known[known.argmax(1) == labels]
    suspicion = sigmoid(traits(right if len(right) else known) @ weights + bias)
    # A hair above: the message that sets it must not fall to a rounding of another batch.
    threshold = float(np.quantile(suspicion, 1 - false_rejections, method="higher")) + 1e-9
    first, second, third, fourth = map(float, weights)
    return Calibration(temperature, (first, second, third, fourth), float(bias), threshold)


def chosen_rate(asked: float | None, *, taught: bool) -> float:
    """The share of rightly recognised messages that may be lost. Raises `InvalidInput`."""
    if asked is None:
        return FALSE_REJECTIONS if taught else FALSE_REJECTIONS_UNTAUGHT
    if not 0 <= asked < 1:
        raise InvalidInput(f"{asked} is no share of messages: give 0 to 0.5, as 0.01 for 1%.")
    return asked


def _temperature(scores: Scores, labels: NDArray[np.intp]) -> float:
    """The temperature with the best likelihood, by golden-section search on its logarithm."""
    rows = np.arange(len(scores))

    def loss(log_temperature: float) -> float:
        shares = softmax(scores / np.exp(log_temperature))[rows, labels]
        return float(-np.log(np.maximum(shares, 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-5, 2), method="bounded").x))


def _logistic(known: Floats, foreign: Floats, *, use_sum: bool) -> tuple[Floats, float]:
    """Weights and bias on the raw traits; stand-ins say nothing about the sum."""
    both = np.vstack([known, foreign])
    middle, spread = both.mean(0), both.std(0)
    spread[spread < 1e-9] = np.inf
    if not use_sum:
        spread[3] = np.inf
    scaled = (both - middle) / spread
    signs = np.concatenate([np.full(len(known), -1.0), np.ones(len(foreign))])
    shares = np.where(signs > 0, _ASSUMED_SHARE / len(foreign), (1 - _ASSUMED_SHARE) / len(known))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        agreement = signs * (scaled @ weights + bias)
        slope = -signs * sigmoid(-agreement) * shares
        value = float((shares * np.logaddexp(0, -agreement)).sum() + _PENALTY * weights @ weights)
        gradient = np.concatenate([scaled.T @ slope + 2 * _PENALTY * weights, [slope.sum()]])
        return value, gradient

    found = minimize(loss, np.zeros(scaled.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ middle)
