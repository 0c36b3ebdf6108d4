"""Figures agree with what they are defined as."""

from __future__ import annotations

import numpy as np
import pytest

from kefu.learning.figures import auroc, expected_calibration_error, macro_f1, sigmoid


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    chance = np.random.default_rng(1)
    higher, lower = chance.integers(2, 9, 40) / 1.0, chance.integers(0, 7, 60) / 1.0
    pairs = [(a > b) + (a == b) / 2 for a in higher for b in lower]
    assert auroc(higher, lower) == pytest.approx(np.mean(pairs))


def test_macro_f1_is_the_mean_of_both_answers():
    called = np.array([True, True, False, False])
    true = np.array([True, False, False, False])
    # Bad: precision 1/2, recall 1. Innocent: precision 1, recall 2/3.
    assert macro_f1(called, true) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert macro_f1(np.zeros(3, bool), np.zeros(3, bool)) == pytest.approx(1 / 2)


def test_confidence_that_is_right_as_often_as_it_says_has_no_error():
    confidence = np.array([0.75] * 4)
    right = np.array([True, True, True, False])
    assert expected_calibration_error(confidence, right) == pytest.approx(0)
    assert expected_calibration_error(confidence, ~right) == pytest.approx(0.5)


def test_sigmoid_does_not_overflow():
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0, 0.5, 1]
