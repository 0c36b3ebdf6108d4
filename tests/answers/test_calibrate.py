"""Fitting the judge to a shop's own pairs, and keeping what was fitted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kefu.answers.calibrate import LEAST_PAIRS, Calibrated, calibrate, require_enough
from kefu.answers.calibrations import KEPT, SHIPPED, Calibrations
from kefu.answers.evaluate import Evaluation, LabelledPair, ScoredPair
from kefu.errors import InvalidInput, ModelCorrupt, ModelError, NotFound
from kefu.paraphrase.judge import Calibration, Judge

SHIPPED_ONE = Calibration(slope=1.0, offset=0.0, threshold=0.9)
ANOTHER = Calibration(slope=2.0, offset=-1.0, threshold=0.7)


def pairs(
    same: float,
    other: float,
    *,
    seed: int = 7,
    number: int = 1500,
    current: Calibration = SHIPPED_ONE,
) -> list[ScoredPair]:
    """Pairs whose logits are normal around `same` and `other`, as a judge would score them."""
    rng, found = random.Random(seed), []
    for at in range(number):
        is_same = at % 2 == 0
        logit = rng.gauss(same if is_same else other, 1.0)
        pair = LabelledPair(f"question {seed} {at}", f"rewording {seed} {at}", is_same)
        found.append(ScoredPair(pair, 0.9, current.probability(logit)))
    return found


def evaluation(recall: float, false_hit_rate: float) -> Evaluation:
    return Evaluation(0.9, recall, false_hit_rate, n=100, hits=10, threshold=0.9)


def calibrated(before: Evaluation, after: Evaluation) -> Calibrated:
    return Calibrated(ANOTHER, before, after, pairs=300, most_false_hits=0.02)


def test_a_judge_that_is_too_shy_learns_to_answer_more():
    found = calibrate(pairs(same=1.5, other=-2.5), SHIPPED_ONE)
    assert found.is_better
    assert found.before.recall is not None
    assert found.after.recall is not None
    assert found.after.recall > found.before.recall + 0.1
    assert found.after.false_hit_rate is not None
    assert found.after.false_hit_rate <= 0.02 + 0.02  # the bound, and the chance of 250 pairs
    assert found.before.n == found.after.n
    assert 400 < found.before.n < 600


def test_a_judge_that_is_too_bold_learns_to_hold_back():
    found = calibrate(pairs(same=5.0, other=2.0), SHIPPED_ONE)
    assert found.is_better
    assert found.before.false_hit_rate is not None
    assert found.after.false_hit_rate is not None
    assert found.before.false_hit_rate > 0.3
    assert found.after.false_hit_rate < 0.05


@pytest.mark.parametrize("current", [SHIPPED_ONE, Calibration(0.4, 1.2, 0.5)])
def test_the_probabilities_become_true_ones(current: Calibration):
    """Of two normal distributions the log odds are known: 2d(x - c) for means c - d and c + d."""
    found = calibrate(pairs(2.0, -1.0, number=6000, current=current), current).calibration
    assert found.slope == pytest.approx(3.0, abs=0.3)
    assert found.offset == pytest.approx(-1.5, abs=0.3)


def test_the_order_of_the_file_does_not_matter():
    scored = pairs(1.5, -2.5)
    shuffled = random.Random(1).sample(scored, len(scored))
    one, other = calibrate(scored, SHIPPED_ONE), calibrate(shuffled, SHIPPED_ONE)
    assert one.before == other.before
    assert one.calibration.threshold == pytest.approx(other.calibration.threshold)


def test_labels_that_are_the_wrong_way_round_do_not_turn_the_judge_around():
    found = calibrate(pairs(same=-2.0, other=2.0), SHIPPED_ONE)
    assert found.calibration.slope > 0
    assert found.after.false_hit_rate is not None
    assert found.after.false_hit_rate <= 0.04


def test_exact_look_alikes_count_against_the_bound():
    """Nothing can be done about those; a judge that adds others to them is not allowed."""
    scored = pairs(1.5, -2.5)
    labelled_wrong = [
        replace(s, is_exact=True) if not s.pair.is_same and n % 10 == 1 else s
        for n, s in enumerate(scored)
    ]
    found = calibrate(labelled_wrong, SHIPPED_ONE)
    assert found.calibration.threshold == 1.0
    assert not found.is_better


def test_pairs_that_all_ask_the_same_leave_an_even_chance():
    same = [s for s in pairs(1.5, -2.5) if s.pair.is_same]
    assert calibrate(same, SHIPPED_ONE).calibration.threshold == 0.5


@pytest.mark.parametrize(
    ("before", "after", "is_better"),
    [
        ((0.4, 0.01), (0.5, 0.02), True),
        ((0.4, 0.01), (0.4, 0.01), True),
        ((0.4, 0.01), (0.3, 0.00), False),
        ((0.4, 0.01), (0.9, 0.03), False),
        ((0.4, 0.05), (0.3, 0.02), True),
        ((0.4, 0.05), (0.3, 0.04), True),
        ((0.4, 0.05), (0.9, 0.05), False),
    ],
)
def test_safe_first_then_recall(before: Sequence[float], after: Sequence[float], is_better: bool):
    assert calibrated(evaluation(*before), evaluation(*after)).is_better is is_better


def test_too_few_pairs_are_refused():
    enough = [LabelledPair(str(n), "b", n % 2 == 0) for n in range(2 * LEAST_PAIRS)]
    require_enough(enough)
    with pytest.raises(InvalidInput, match="needs 100 of each"):
        require_enough(enough[1:])


# What is kept


class Scorer:
    id = "pairs-1"

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.zeros(len(pairs), np.float32)


@pytest.fixture
def judge() -> Judge:
    return Judge(Scorer(), SHIPPED_ONE)


@pytest.fixture
def kept(tmp_path: Path) -> Calibrations:
    return Calibrations(tmp_path / "answers", SHIPPED_ONE)


FOUND = calibrated(evaluation(0.4, 0.01), evaluation(0.5, 0.02))


def test_nothing_is_chosen_at_first(kept: Calibrations, judge: Judge):
    kept.apply_to(judge)
    assert (kept.chosen(), kept.all(), judge.calibration) == (SHIPPED, [], SHIPPED_ONE)


def test_what_is_added_is_in_use_and_can_be_let_go(kept: Calibrations, judge: Judge):
    first = kept.add(FOUND, "pairs-1")
    second = kept.add(replace(FOUND, calibration=replace(ANOTHER, threshold=0.8)), "pairs-1")
    assert [v.id for v in kept.all()] == [second, first]
    assert kept.all()[1].calibration == ANOTHER
    assert kept.all()[1].figures["after"]["recall"] == 0.5
    kept.apply_to(judge)
    assert judge.threshold == 0.8
    kept.use(first)
    kept.apply_to(judge)
    assert judge.calibration == ANOTHER
    kept.use(SHIPPED)
    kept.apply_to(judge)
    assert judge.calibration == SHIPPED_ONE


def test_a_calibration_for_another_model_is_not_used(kept: Calibrations, judge: Judge):
    kept.add(FOUND, "pairs-2")
    kept.apply_to(judge)
    assert judge.calibration == SHIPPED_ONE


@pytest.mark.parametrize("name", ["nowhere", "", "../current", "a/b"])
def test_a_version_that_is_not_there_is_said(kept: Calibrations, name: str):
    kept.add(FOUND, "pairs-1")
    with pytest.raises(NotFound, match="no calibration"):
        kept.use(name)


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "{}", '{"calibration": 1, "model": "m", "created_at": "t", "figures": {}}'],
)
def test_a_damaged_one_is_not_used_and_said(
    kept: Calibrations, judge: Judge, tmp_path: Path, damage: str
):
    version = kept.add(FOUND, "pairs-1")
    kept.apply_to(judge)
    (tmp_path / "answers" / "versions" / f"{version}.json").write_text(damage)
    kept.apply_to(judge)
    assert judge.calibration == SHIPPED_ONE
    with pytest.raises(ModelCorrupt, match="--use shipped"):
        kept.all()
    kept.use(SHIPPED)  # the way out that the message names


def test_a_damaged_choice_is_not_used(kept: Calibrations, judge: Judge, tmp_path: Path):
    kept.add(FOUND, "pairs-1")
    (tmp_path / "answers" / "current.json").write_text("{")
    kept.apply_to(judge)
    assert judge.calibration == SHIPPED_ONE


def test_only_the_newest_are_kept(kept: Calibrations, tmp_path: Path):
    added = [kept.add(FOUND, "pairs-1") for _ in range(KEPT + 2)]
    assert [version.id for version in kept.all()] == added[:1:-1]
    assert kept.chosen() == added[-1]
    assert list((tmp_path / "answers").rglob(".*")) == []  # no drafts are left


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "answers").write_text("a file")
    with pytest.raises(ModelError, match="Cannot write"):
        Calibrations(tmp_path / "answers", SHIPPED_ONE).add(FOUND, "pairs-1")
