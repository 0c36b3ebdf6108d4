"""The mathematics of fitting: what it solves is checked, not how."""

from __future__ import annotations

import numpy as np
import pytest

from kefu.learning.figures import sigmoid
from kefu.moderation.fitting import Landmarks, Rows, Weights, fit, fit_scale, terms_of
from kefu.moderation.semantic import nearness
from kefu.moderation.wording import BUCKETS
from kefu.moderation.wording import rows as wording_rows
from tests.fakes import HashingEncoder

TEXTS = ["你真蠢", "真蠢", "stupid", "几点关门", "有货吗", "when do you open"]
BAD = np.array([1.0, 1, 1, -1, -1, -1])[:, np.newaxis]
VECTORS = HashingEncoder().encode(TEXTS)


def rows(landmarks: Landmarks) -> Rows:
    return Rows(landmarks.places(VECTORS), terms_of(TEXTS))


def test_nearness_is_one_at_the_same_place_and_falls_with_distance():
    near = nearness(VECTORS, VECTORS)
    assert np.diag(near) == pytest.approx(1)
    assert near[0, 1] > near[0, 2] > 0


def test_products_of_places_are_the_nearness():
    landmarks = Landmarks.at(VECTORS)
    places = landmarks.places(VECTORS) / 1.5  # MEANING_SHARE
    assert places @ places.T == pytest.approx(nearness(VECTORS, VECTORS), abs=1e-3)


def test_weights_of_places_and_of_meaning_are_the_same_weights():
    landmarks = Landmarks.at(VECTORS)
    of_places = np.random.default_rng(0).normal(size=(len(TEXTS), 2))
    of_meaning = landmarks.of_meaning(of_places)
    assert landmarks.of_places(of_meaning) == pytest.approx(of_places, abs=1e-6)
    margins = nearness(VECTORS, VECTORS) @ of_meaning
    assert margins == pytest.approx(landmarks.places(VECTORS) @ of_places, abs=1e-3)


def test_terms_are_the_rows_of_each_text():
    found = terms_of([*TEXTS, ""])
    assert found.shape == (len(TEXTS) + 1, BUCKETS)
    alone = wording_rows(TEXTS[2:3])
    assert found[[2]].toarray()[0, alone.buckets] == pytest.approx(alone.values)
    assert found[[len(TEXTS)]].nnz == 0


def test_no_small_step_makes_the_weights_better():
    """At the minimum the loss rises whichever way the weights go."""
    given = rows(Landmarks.at(VECTORS))
    found = fit(given, BAD, np.ones_like(BAD))

    def loss(weights: Weights) -> float:
        agreement = BAD * weights.margins(given)
        size = (weights.of_places**2).sum() + (weights.of_terms**2).sum()
        return float(4.0 * np.logaddexp(0, -agreement).sum() + size / 2)  # STRENGTH

    least = loss(found)
    chance = np.random.default_rng(1)
    for _ in range(50):
        step = chance.normal(size=found.of_places.shape) * 1e-2
        moved = Weights(found.of_places + step, found.of_terms, found.bias + step[0])
        assert loss(moved) >= least - 1e-6


def test_what_counts_nothing_is_not_learnt():
    given = rows(Landmarks.at(VECTORS))
    counts = np.ones_like(BAD)
    counts[0] = 0
    turned = BAD.copy()
    turned[0] = -1
    one, other = fit(given, BAD, counts), fit(given, turned, counts)
    assert one.margins(given) == pytest.approx(other.margins(given), abs=1e-3)


def test_weights_are_pulled_to_where_they_start_and_the_bias_stays():
    given = rows(Landmarks.at(VECTORS))
    start = fit(given, BAD, np.ones_like(BAD))
    none = fit(given, BAD, np.zeros_like(BAD), start)
    assert none.margins(given) == pytest.approx(start.margins(given))
    more = fit(given, np.ones_like(BAD), np.ones_like(BAD), start)
    assert more.bias == pytest.approx(start.bias)
    assert (more.margins(given) > start.margins(given)).all()


def test_a_scale_makes_margins_probabilities():
    chance = np.random.default_rng(2)
    margins = chance.normal(size=5000) * 3
    is_bad = chance.random(5000) < sigmoid(0.7 * margins)
    slope, offset = fit_scale(margins, is_bad, np.ones(len(margins)))
    assert slope == pytest.approx(0.7, abs=0.06)
    assert offset == pytest.approx(0.0, abs=0.1)


def test_rare_bad_texts_count_as_much_as_the_others():
    """Probabilities are those of a mix where every second text is bad."""
    chance = np.random.default_rng(2)
    is_bad = np.repeat([True, False], [200, 9800])
    margins = chance.normal(np.where(is_bad, 1.0, -1.0))
    slope, offset = fit_scale(margins, is_bad, np.ones(len(margins)))
    assert sigmoid(np.array([offset]))[0] == pytest.approx(0.5, abs=0.05)
    assert slope == pytest.approx(2.0, abs=0.2)  # of two normal distributions 2 apart


def test_what_counts_more_decides_the_scale():
    margins = np.array([-1.0, 1.0, -1.0, 1.0])
    is_bad = np.array([False, True, True, False])
    slope, _ = fit_scale(margins, is_bad, np.array([9.0, 9.0, 1.0, 1.0]))
    assert sigmoid(np.array([slope]))[0] == pytest.approx(0.9, abs=0.01)


def test_margins_without_an_error_do_not_make_it_endless():
    slope, _ = fit_scale(np.array([-1.0, 1.0]), np.array([False, True]), np.ones(2))
    assert 1 < slope < 100
