from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kefu.intent.calibrating import calibrate
from kefu.intent.calibration import Calibration, auroc, expected_calibration_error

DRAW = np.random.default_rng(0)


def scored(count: int, labels: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels drawn with the softmax of `sharpness` times them."""
    scores = DRAW.normal(size=(count, labels)).astype(np.float32)
    shares = np.exp(sharpness * scores.astype(np.float64))
    shares /= shares.sum(1, keepdims=True)
    drawn = (shares.cumsum(1) > DRAW.random((count, 1))).argmax(1)
    return scores, drawn


def known_and_foreign(count: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Known messages score about 1 for their label, foreign ones about 0.2 for any."""
    labels = np.arange(count) % 5
    known = DRAW.normal(0, 0.15, (count, 5))
    known[np.arange(count), labels] += 1
    foreign = DRAW.normal(0, 0.15, (count // 2, 5))
    foreign[np.arange(count // 2), np.arange(count // 2) % 5] += 0.2
    return known.astype(np.float32), labels, foreign.astype(np.float32)


@pytest.mark.parametrize("sharpness", [0.5, 2.0, 8.0, 40.0])
def test_a_known_temperature_is_found_again(sharpness: float) -> None:
    scores, labels = scored(4000, 6, sharpness)
    found = calibrate(scores, labels, scores[:50], taught=True, false_rejections=0.01)
    assert found.temperature == pytest.approx(1 / sharpness, rel=0.15)
    shares = found.probabilities(scores)
    assert np.allclose(shares.sum(1), 1)
    confidence, right = shares.max(1), shares.argmax(1) == labels
    assert expected_calibration_error(confidence, right) < 0.03


@pytest.mark.parametrize("rate", [0.0, 0.002, 0.01, 0.1, 0.5])
def test_the_threshold_sends_away_what_was_allowed(rate: float) -> None:
    known, labels, foreign = known_and_foreign()
    known[:20] = known[:20, ::-1]  # some are wrong: they do not count
    found = calibrate(known, labels, foreign, taught=True, false_rejections=rate)
    right = known.argmax(1) == labels
    sent = found.out_of_scope(known[right]) > found.threshold
    assert sent.mean() <= rate
    assert sent.mean() >= rate - 1.5 / right.sum()


def test_the_message_that_set_the_threshold_is_on_its_side_in_every_batch() -> None:
    for count in range(5, 40, 3):
        few = DRAW.normal(size=(2, 4)).astype(np.float32)
        known = few[np.arange(count) % 2]
        found = calibrate(known, known.argmax(1), -np.abs(few), taught=True, false_rejections=0.01)
        for batch in (known, known[:1], known[1:2], known[:3], np.asfortranarray(known)):
            assert not (found.out_of_scope(batch) > found.threshold).any()


@pytest.mark.parametrize("taught", [True, False])
def test_foreign_messages_are_suspicious(taught: bool) -> None:
    known, labels, foreign = known_and_foreign()
    found = calibrate(known, labels, foreign, taught=taught, false_rejections=0.01)
    assert auroc(found.out_of_scope(foreign), found.out_of_scope(known)) > 0.99
    assert (found.out_of_scope(foreign) > found.threshold).mean() > 0.8
    assert len(found.weights) == 4
    # Stand-ins lack a label, and with it its part of the sum: that says nothing.
    assert (found.weights[3] != 0) == taught


@pytest.mark.parametrize(
    ("known", "labels", "foreign"),
    [
        pytest.param(
            DRAW.normal(size=(30, 2)), np.arange(30) % 2, DRAW.normal(size=(5, 2)), id="two"
        ),
        pytest.param(np.full((30, 3), 0.1), np.arange(30) % 3, np.full((5, 3), 0.1), id="constant"),
        pytest.param(np.zeros((4, 3)), np.zeros(4, int), np.zeros((4, 3)), id="zero"),
        pytest.param(
            DRAW.normal(size=(30, 3)), np.arange(30) % 3, np.ones((1, 3)), id="one foreign"
        ),
        pytest.param(np.eye(3)[[0, 1, 2] * 5], np.arange(15) % 3 - 1, np.eye(3), id="all wrong"),
        pytest.param(np.eye(3)[[0, 1, 2] * 5], np.arange(15) % 3, -np.eye(3), id="all right"),
        pytest.param(np.eye(2)[:1], np.zeros(1, int), np.zeros((1, 2)), id="one of each"),
    ],
)
@pytest.mark.parametrize("taught", [True, False])
def test_odd_scores_give_numbers(
    known: np.ndarray, labels: np.ndarray, foreign: np.ndarray, taught: bool
) -> None:
    scores = known.astype(np.float32)
    found = calibrate(
        scores, labels % 3, foreign.astype(np.float32), taught=taught, false_rejections=0.01
    )
    numbers = [found.temperature, found.bias, found.threshold, *found.weights]
    assert np.isfinite(numbers).all()
    assert found.temperature > 0
    assert 0 <= found.threshold <= 1
    assert np.isfinite(found.probabilities(scores)).all()


def test_huge_scores_do_not_overflow() -> None:
    found = Calibration(1e-3, (-1e4, 0, 0, 0), 0.0, 0.5)
    scores = np.array([[1e6, -1e6], [-1e6, -2e6]], np.float32)
    assert found.probabilities(scores).tolist() == [[1, 0], [1, 0]]
    assert found.out_of_scope(scores).tolist() == [0, 1]


SHARES = st.floats(0, 1).map(lambda share: round(share, 1))


@settings(deadline=None)
@given(st.lists(SHARES, min_size=1, max_size=20), st.lists(SHARES, min_size=1, max_size=20))
def test_auroc_counts_pairs(foreign: list[float], known: list[float]) -> None:
    wins = sum((f > k) + (f == k) / 2 for f in foreign for k in known)
    expected = wins / (len(foreign) * len(known))
    assert auroc(np.array(foreign), np.array(known)) == pytest.approx(expected)


def test_auroc_of_plain_cases() -> None:
    assert auroc(np.array([0.9, 0.8]), np.array([0.1])) == 1
    assert auroc(np.array([0.1]), np.array([0.9, 0.8])) == 0
    assert auroc(np.array([0.5]), np.array([0.5, 0.5])) == 0.5


@pytest.mark.parametrize(
    ("confidence", "right", "error"),
    [
        ([1.0, 1.0], [True, True], 0.0),
        ([1.0, 1.0], [False, False], 1.0),
        ([0.75, 0.75, 0.75, 0.75], [True, True, True, False], 0.0),
        ([0.9, 0.9, 0.1, 0.1], [True, False, False, False], 0.5 * 0.4 + 0.5 * 0.1),
        ([0.0], [False], 0.0),
    ],
)
def test_expected_calibration_error(
    confidence: list[float], right: list[bool], error: float
) -> None:
    found = expected_calibration_error(np.array(confidence), np.array(right))
    assert found == pytest.approx(error)


@settings(deadline=None)
@given(
    arrays.arrays(np.float64, 12, elements=st.floats(0, 1)),
    arrays.arrays(np.bool_, 12),
)
def test_expected_calibration_error_is_a_share(confidence: np.ndarray, right: np.ndarray) -> None:
    assert 0 <= expected_calibration_error(confidence, right) <= 1
