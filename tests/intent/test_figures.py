from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from kefu.intent.classifier import Prediction
from kefu.intent.figures import Confusion, LabelFigures, figures, trade_offs


def guess(label: str, score: float = 0.9, *, outside: float = 0.05, best: str = "") -> Prediction:
    first = best or label
    return Prediction(label, score, outside, ((first, score), ("z", 0.01)))


def oos(best: str, outside: float = 0.8) -> Prediction:
    return guess("oos", outside, outside=outside, best=best)


def test_figures_by_hand() -> None:
    labels = ["a", "a", "a", "b", "b", "oos", "oos"]
    guesses = [
        guess("a"),
        guess("a"),
        guess("b", outside=0.2),
        guess("b"),
        oos("b"),
        oos("a", 0.9),
        guess("a", 0.6, outside=0.3),
    ]
    found = figures(labels, guesses)
    assert found.n == 7
    assert found.accuracy == pytest.approx(4 / 7)
    assert found.in_scope_accuracy == pytest.approx(3 / 5)
    assert found.in_scope_accuracy_unrejected == pytest.approx(4 / 5)
    assert found.oos_recall == 1 / 2
    assert found.false_oos == 1 / 5
    # 0.9 is above all five known, 0.3 above four.
    assert found.oos_auroc == pytest.approx(9 / 10)
    assert found.labels == (
        LabelFigures("a", 3, pytest.approx(2 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3)),
        LabelFigures("b", 2, 1 / 2, 1 / 2, 1 / 2),
        LabelFigures("oos", 2, 1 / 2, 1 / 2, 1 / 2),
    )
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    assert set(found.confusions) == {
        Confusion("a", "b", 1),
        Confusion("b", "oos", 1),
        Confusion("oos", "a", 1),
    }


def test_a_label_never_found_has_an_f1_of_0() -> None:
    found = figures(["a", "b"], [guess("a"), guess("a")])
    assert [label.f1 for label in found.labels] == [pytest.approx(2 / 3), 0]
    assert found.labels[1].precision == found.labels[1].recall == 0


def test_without_out_of_scope_messages() -> None:
    found = figures(["a", "b"], [guess("a"), oos("b")])
    assert (found.oos_auroc, found.oos_recall) == (None, None)
    assert found.false_oos == 1 / 2
    assert found.in_scope_accuracy == 1 / 2
    assert found.in_scope_accuracy_unrejected == 1
    assert trade_offs(["a", "b"], [guess("a"), oos("b")]) == ()


def test_with_nothing_else() -> None:
    found = figures(["oos", "oos"], [oos("a"), guess("a")])
    assert found.in_scope_accuracy is None
    assert found.in_scope_accuracy_unrejected is None
    assert found.false_oos is None
    assert found.oos_auroc is None
    assert found.oos_recall == found.accuracy == 1 / 2
    assert trade_offs(["oos", "oos"], [oos("a"), guess("a")]) == ()


def test_the_commonest_confusions_come_first_and_not_all() -> None:
    labels = ["a"] * 3 + ["b"] * 5 + [f"l{n}" for n in range(40)]
    guesses = [guess("b")] * 3 + [guess("c")] * 5 + [guess("a")] * 40
    found = figures(labels, guesses).confusions
    assert found[:2] == (Confusion("b", "c", 5), Confusion("a", "b", 3))
    assert len(found) == 30


def test_sure_and_wrong_is_badly_calibrated() -> None:
    labels = ["a"] * 4
    assert figures(labels, [guess("a", 1.0)] * 4).expected_calibration_error == 0
    assert figures(labels, [guess("b", 1.0)] * 4).expected_calibration_error == 1


def test_trade_offs_go_one_way() -> None:
    draw = np.random.default_rng(0)
    labels = ["a"] * 1000 + ["oos"] * 200
    suspicion = np.concatenate([draw.beta(1, 9, 1000), draw.beta(6, 3, 200)])
    found = trade_offs(labels, [guess("a", outside=float(share)) for share in suspicion])
    assert len(found) == 7
    for before, after in pairwise(found):
        assert before.threshold >= after.threshold
        assert before.oos_recall <= after.oos_recall
        assert before.false_oos <= after.false_oos
    assert found[0].false_oos <= 0.002
    assert found[-1].false_oos == pytest.approx(0.1, abs=0.002)


def test_trade_offs_by_hand() -> None:
    labels = ["a"] * 10 + ["oos"] * 4
    outside = [n / 20 for n in range(10)] + [0.1, 0.42, 0.6, 0.7]
    found = trade_offs(labels, [guess("a", outside=share) for share in outside])
    assert found[0].threshold == 0.45
    assert (found[0].oos_recall, found[0].false_oos) == (0.5, 0)
    assert found[-1].threshold == 0.45  # a tenth of ten is the highest: "above" leaves it out


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="zip"):
        figures(["a"], [])
