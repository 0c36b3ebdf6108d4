"""How good predictions are: the figures of `kefu intent evaluate` and of a model card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kefu.intent.calibration import auroc, expected_calibration_error
from kefu.intent.classifier import Prediction
from kefu.intent.dataset import OUT_OF_SCOPE

_CONFUSIONS_KEPT = 30


@dataclass(frozen=True)
class LabelFigures:
    label: str
    examples: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Confusion:
    label: str
    predicted: str
    count: int


@dataclass(frozen=True)
class Figures:
    """Shares, 0 to 1; a share of nothing is None.

    `in_scope_accuracy`: of the messages with an intent, those that got their label; being called
    out of scope is an error. `in_scope_accuracy_unrejected` is the same had nothing been called
    so. `oos_recall`: of the out-of-scope messages, those called so; `false_oos`: of the others.
    """

    accuracy: float
    macro_f1: float
    in_scope_accuracy: float | None
    in_scope_accuracy_unrejected: float | None
    oos_auroc: float | None
    oos_recall: float | None
    false_oos: float | None
    expected_calibration_error: float
    n: int
    labels: tuple[LabelFigures, ...]
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True)
class TradeOff:
    """What another threshold would do: out-of-scope messages found, others sent away."""

    threshold: float
    oos_recall: float
    false_oos: float


def figures(labels: Sequence[str], guesses: Sequence[Prediction]) -> Figures:
    """Figures of `guesses` for messages that people gave `labels`."""
    right = np.array([g.label == label for g, label in zip(guesses, labels, strict=True)])
    known = np.array([label != OUT_OF_SCOPE for label in labels])
    called = np.array([g.label == OUT_OF_SCOPE for g in guesses])
    best = np.array([g.ranking[0][0] == label for g, label in zip(guesses, labels, strict=True)])
    suspicion = np.array([g.out_of_scope for g in guesses])
    by_label = _by_label(labels, guesses)
    wrong = Counter((y, g.label) for y, g in zip(labels, guesses, strict=True) if y != g.label)
    both = bool(known.any() and not known.all())
    return Figures(
        accuracy=float(right.mean()),
        macro_f1=float(np.mean([f.f1 for f in by_label])),
        in_scope_accuracy=_share(right[known]),
        in_scope_accuracy_unrejected=_share(best[known]),
        oos_auroc=auroc(suspicion[~known], suspicion[known]) if both else None,
        oos_recall=_share(called[~known]),
        false_oos=_share(called[known]),
        expected_calibration_error=expected_calibration_error(
            np.array([g.score for g in guesses]), right
        ),
        n=len(labels),
        labels=by_label,
        confusions=tuple(Confusion(*pair, n) for pair, n in wrong.most_common(_CONFUSIONS_KEPT)),
    )


def trade_offs(labels: Sequence[str], guesses: Sequence[Prediction]) -> tuple[TradeOff, ...]:
    """The thresholds that send 0.2% to 10% of the known messages away."""
    known = np.array([label != OUT_OF_SCOPE for label in labels])
    suspicion = np.array([g.out_of_scope for g in guesses])
    if known.all() or not known.any():
        return ()
    found = []
    for share in (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1):
        threshold = float(np.quantile(suspicion[known], 1 - share, method="higher"))
        called = suspicion > threshold
        found.append(TradeOff(threshold, float(called[~known].mean()), float(called[known].mean())))
    return tuple(found)


def _by_label(labels: Sequence[str], guesses: Sequence[Prediction]) -> tuple[LabelFigures, ...]:
    """Of every label that people gave."""
    given = Counter(labels)
    predicted = Counter(g.label for g in guesses)
    hits = Counter(y for y, g in zip(labels, guesses, strict=True) if y == g.label)
    found = []
    for label in sorted(given):
        precision = hits[label] / predicted[label] if predicted[label] else 0.0
        recall = hits[label] / given[label]
        f1 = 2 * precision * recall / (precision + recall) if hits[label] else 0.0
        found.append(LabelFigures(label, given[label], precision, recall, f1))
    return tuple(found)


def _share(hits: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float | None:
    return float(hits.mean()) if len(hits) else None
