from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kefu.paraphrase.fitting import fit, precise_threshold
from kefu.paraphrase.judge import Calibration

CURRENT = Calibration(1.0, 0.0, 0.9)


class Told:
    """Reads the logit from the second question."""

    id = "told"

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([float(second) for _, second in pairs], np.float32)


def pairs_of(slope: float, offset: float, number: int = 2000) -> list[tuple[str, str, bool]]:
    """Labels drawn by a known sigmoid; the number is the same on both sides, so no rule objects."""
    chance = np.random.default_rng(3)
    logits = chance.normal(0, 3, number)
    same = chance.random(number) < 1 / (1 + np.exp(-(slope * logits + offset)))
    return [(f"{x:.4f}", f"{x:.4f}", bool(y)) for x, y in zip(logits, same, strict=True)]


def test_slope_and_offset_come_back_and_the_threshold_keeps_the_precision() -> None:
    pairs = pairs_of(2.0, -3.0)
    found = fit(pairs, Told(), CURRENT)
    assert found.slope == pytest.approx(2.0, rel=0.15)
    assert found.offset == pytest.approx(-3.0, rel=0.15)
    hits = [same for _, x, same in pairs if found.probability(float(x)) >= found.threshold]
    assert len(hits) > 100
    assert np.mean(hits) >= 0.98
    lower = [s for _, x, s in pairs if found.probability(float(x)) >= found.threshold - 0.1]
    assert np.mean(lower) < 0.98


def test_labels_the_wrong_way_round_do_not_turn_the_model_around() -> None:
    pairs = [(a, b, not same) for a, b, same in pairs_of(2.0, 0.0, 300)]
    assert fit(pairs, Told(), CURRENT).slope > 0


def test_pairs_that_a_rule_rejects_do_not_count_for_the_threshold() -> None:
    wrong = [(f"能退 {x}", f"{x}", False) for x in ("9.5", "9.6")]
    denied = [(f"不能退 {first}", second, same) for first, second, same in wrong]
    right = [("8.0", "8.0", True)] * 40
    lenient = fit([*right, *denied], Told(), CURRENT)
    strict = fit([*right, *wrong], Told(), CURRENT)
    assert lenient.probability(8.0) >= lenient.threshold
    assert strict.probability(8.0) < strict.threshold


@pytest.mark.parametrize(
    ("probabilities", "same", "threshold"),
    [
        ([0.9] * 20 + [0.5], [True] * 20 + [False], 0.7),
        ([0.9] * 20 + [0.9], [True] * 20 + [False], 1.0),  # equal: together or not at all
        ([0.9] * 5 + [0.5], [True] * 5 + [False], 0.7),  # few: only above every wrong one
        ([0.9, 0.8], [False, True], 1.0),
        ([0.9] * 20, [True] * 20, 0.45),
        ([], [], 1.0),
    ],
)
def test_the_threshold_lies_in_the_gap(
    probabilities: list[float], same: list[bool], threshold: float
) -> None:
    found = precise_threshold(np.array(probabilities, float), np.array(same, bool), 0.98)
    assert found == pytest.approx(threshold)
