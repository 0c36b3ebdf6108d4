"""How good a semantic head is: what it finds, whom it disturbs, and what it adds to a word filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kefu.learning.figures import Floats, Marks, auroc, expected_calibration_error
from kefu.moderation.categories import Category
from kefu.moderation.examples import Example
from kefu.moderation.policy import Thresholds

# Of the resamples, this share gives the interval.
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class CategoryFigures:
    """Shares, 0 to 1; a share of nothing is None.

    `found`: of the bad texts of the category, those that reach its threshold; `mistaken`: of its
    near misses; `everyday`: of the everyday messages. The AUROCs are bad texts against each.
    """

    category: Category
    bad: int
    near_misses: int
    auroc_near_misses: float | None
    auroc_everyday: float | None
    found: float | None
    mistaken: float | None
    everyday: float | None
    expected_calibration_error: float | None


@dataclass(frozen=True)
class Figures:
    """`everyday_held`: of the everyday messages, those held for any category."""

    categories: tuple[CategoryFigures, ...]
    everyday: int
    everyday_held: float | None


@dataclass(frozen=True)
class Gain:
    """What a head finds and a word filter finds where both are wrong about as few innocents.

    `false_rate` is the filter's, `head_false_rate` the highest one of the head not above it. Recall
    as shares; `points` is their difference in percentage points, `relative` their ratio less 1,
    each with a bootstrap interval of 95%.
    """

    bad: int
    innocent: int
    false_rate: float
    head_false_rate: float
    words: float
    head: float
    points: float
    points_interval: tuple[float, float]
    relative: float
    relative_interval: tuple[float, float]


def figures(
    probabilities: Floats,
    examples: Sequence[Example],
    categories: Sequence[Category],
    thresholds: Mapping[Category, Thresholds],
) -> Figures:
    """Figures of (n, categories) `probabilities` for labelled examples."""
    holds = np.array([thresholds[category].hold for category in categories])
    everyday = np.array([not e.is_bad and e.category is None for e in examples])
    parts = (
        _of_category(category, probabilities[:, number], examples, everyday, holds[number])
        for number, category in enumerate(categories)
    )
    held = np.asarray((probabilities >= holds).any(axis=1), np.bool_)
    return Figures(tuple(parts), int(everyday.sum()), _share(held[everyday]))


def gain(
    scores: Floats, hits: Marks, is_bad: Marks, *, resamples: int = 2000, seed: int = 0
) -> Gain:
    """The gain of a head's `scores` over a filter's `hits` on texts that are bad or not.

    The head's threshold is set anew for each resample, as its false rate is the filter's there.
    """
    false_rate, head_false_rate, words, head = _recalls(scores, hits, is_bad)
    chance = np.random.default_rng(seed)
    bad, innocent = np.flatnonzero(is_bad), np.flatnonzero(~is_bad)
    pairs = []
    for _ in range(resamples):
        # Bad and innocent apart: how many of each were labelled is not by chance.
        drawn = np.concatenate(
            [chance.choice(bad, len(bad)), chance.choice(innocent, len(innocent))]
        )
        pairs.append(_recalls(scores[drawn], hits[drawn], is_bad[drawn])[2:])
    of_words, of_head = np.array(pairs).T
    return Gain(
        bad=len(bad),
        innocent=len(innocent),
        false_rate=false_rate,
        head_false_rate=head_false_rate,
        words=words,
        head=head,
        points=100 * (head - words),
        points_interval=_interval(100 * (of_head - of_words)),
        relative=_ratio(head, words) - 1,
        relative_interval=_interval(
            np.array([_ratio(*two) - 1 for two in zip(of_head, of_words, strict=True)])
        ),
    )


def _recalls(scores: Floats, hits: Marks, is_bad: Marks) -> tuple[float, float, float, float]:
    """False rate of the filter and of the head, recall of the filter and of the head."""
    innocent = np.sort(scores[~is_bad])[::-1]
    allowed = int(hits[~is_bad].sum())
    # Above the innocent that would be one too many; the same score is not above.
    limit = innocent[allowed] if allowed < len(innocent) else -np.inf
    called = scores > limit
    return (
        float(hits[~is_bad].mean()),
        float(called[~is_bad].mean()),
        float(hits[is_bad].mean()),
        float(called[is_bad].mean()),
    )


def _of_category(
    category: Category, scores: Floats, examples: Sequence[Example], everyday: Marks, hold: float
) -> CategoryFigures:
    own = np.array([example.category is category for example in examples])
    is_bad = np.array([example.is_bad for example in examples])
    bad, near = scores[own & is_bad], scores[own & ~is_bad]
    usual = scores[everyday]
    return CategoryFigures(
        category,
        bad=len(bad),
        near_misses=len(near),
        auroc_near_misses=_auroc(bad, near),
        auroc_everyday=_auroc(bad, usual),
        found=_share(bad >= hold),
        mistaken=_share(near >= hold),
        everyday=_share(usual >= hold),
        expected_calibration_error=_calibration_error(bad, near),
    )


def _auroc(higher: Floats, lower: Floats) -> float | None:
    return auroc(higher, lower) if len(higher) and len(lower) else None


def _calibration_error(bad: Floats, near: Floats) -> float | None:
    if not len(bad) or not len(near):
        return None
    right = np.repeat([True, False], [len(bad), len(near)])
    return expected_calibration_error(np.concatenate([bad, near]), right)


def _share(marks: Marks) -> float | None:
    return float(marks.mean()) if len(marks) else None


def _ratio(one: float, other: float) -> float:
    return one / other if other else float("inf")


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    ends = [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]
    # Values that occurred: between two infinite ratios there is nothing.
    low, high = np.quantile(values, ends, method="inverted_cdf")
    return float(low), float(high)
