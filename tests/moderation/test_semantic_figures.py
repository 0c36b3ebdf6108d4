"""What a head adds to a word filter, and the figures of a head."""

from __future__ import annotations

import numpy as np
import pytest

from kefu.moderation.categories import Category
from kefu.moderation.examples import Example
from kefu.moderation.policy import Thresholds
from kefu.moderation.semantic_figures import figures, gain


def drawn(bad: int, innocent: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores that are right mostly, and hits of 30% of the bad and 10% of the innocent texts."""
    chance = np.random.default_rng(5)
    is_bad = np.repeat([True, False], [bad, innocent])
    scores = chance.normal(np.where(is_bad, 1.5, 0.0))
    hits = chance.random(bad + innocent) < np.where(is_bad, 0.3, 0.1)
    return scores, hits, is_bad


def test_both_are_compared_where_they_disturb_as_many():
    scores, hits, is_bad = drawn(600, 600)
    found = gain(scores, hits, is_bad, resamples=200)
    assert found.false_rate == hits[~is_bad].mean()
    # The highest score of the innocents it is allowed, counted by hand.
    limit = np.sort(scores[~is_bad])[-hits[~is_bad].sum() - 1]
    assert found.head == (scores[is_bad] > limit).mean()
    assert found.head_false_rate == found.false_rate
    assert found.points == pytest.approx(100 * (found.head - found.words))
    assert found.relative == pytest.approx(found.head / found.words - 1)
    assert found.points_interval[0] < found.points < found.points_interval[1]
    assert found.relative_interval[0] < found.relative < found.relative_interval[1]


def test_an_interval_is_narrower_with_more_texts():
    few, many = (gain(*drawn(n, n), resamples=200).points_interval for n in (60, 2000))
    assert many[1] - many[0] < (few[1] - few[0]) / 2


def test_a_head_that_gives_all_the_same_score_finds_nothing():
    _, hits, is_bad = drawn(100, 100)
    found = gain(np.ones(200), hits, is_bad, resamples=20)
    assert (found.head, found.head_false_rate) == (0.0, 0.0)
    assert found.points < 0


def test_a_filter_that_finds_nothing_has_no_ratio():
    scores, hits, is_bad = drawn(100, 100)
    found = gain(scores, np.zeros_like(hits), is_bad, resamples=20)
    assert found.words == 0
    assert found.relative == float("inf")


def test_each_kind_of_text_is_counted_for_itself():
    abuse = Category.ABUSE
    examples = [
        Example("a", True, abuse),
        Example("b", True, abuse),
        Example("c", False, abuse),
        Example("d", False),
        Example("e", False),
        Example("f", True, Category.FRAUD),
    ]
    scores = np.array([[0.9], [0.4], [0.6], [0.1], [0.5], [0.9]])
    found = figures(scores, examples, (abuse,), {abuse: Thresholds(0.5, 1.0)})
    (of,) = found.categories
    assert (of.bad, of.near_misses, found.everyday) == (2, 1, 2)
    assert (of.found, of.mistaken, of.everyday, found.everyday_held) == (0.5, 1.0, 0.5, 0.5)
    assert (of.auroc_near_misses, of.auroc_everyday) == (0.5, 0.75)


def test_shares_of_nothing_are_none():
    abuse = Category.ABUSE
    found = figures(
        np.array([[0.9]]), [Example("a", True, abuse)], (abuse,), {abuse: Thresholds(0.5, 1)}
    )
    assert found.everyday_held is None
    assert found.categories[0].auroc_everyday is None
    assert found.categories[0].expected_calibration_error is None
