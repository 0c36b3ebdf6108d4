"""Fits the judge's probabilities and its threshold to a shop's own pairs, and says if it paid."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kefu.answers.evaluate import Evaluation, LabelledPair, ScoredPair, evaluate
from kefu.errors import InvalidInput
from kefu.paraphrase.fitting import fit_scale
from kefu.paraphrase.judge import Calibration

# What the desk promises where it ships: at most two look-alikes in a hundred answered wrongly.
FALSE_HITS = 0.02
# Of each label. With fewer the false hits of the held-out third cannot be told from none.
LEAST_PAIRS = 100

_HELD_OUT_OF = 3


@dataclass(frozen=True)
class Calibrated:
    """`before` and `after` are the figures on the held-out pairs, each at its own threshold."""

    calibration: Calibration
    before: Evaluation
    after: Evaluation
    pairs: int
    most_false_hits: float

    @property
    def is_better(self) -> bool:
        """Safe first: fewer false hits where there were too many, and then not less recall."""
        before, after = _of(self.before.false_hit_rate), _of(self.after.false_hit_rate)
        if after > self.most_false_hits:
            return after < before
        return before > self.most_false_hits or _of(self.after.recall) >= _of(self.before.recall)


def require_enough(pairs: Sequence[LabelledPair]) -> None:
    """Raises `InvalidInput` where there are too few pairs to fit and to hold some out."""
    same = sum(pair.is_same for pair in pairs)
    if min(same, len(pairs) - same) < LEAST_PAIRS:
        raise InvalidInput(
            f"There are {same} pairs that ask the same and {len(pairs) - same} that do not; "
            f"calibrating needs {LEAST_PAIRS} of each. Label more."
        )


def calibrate(
    scored: Sequence[ScoredPair], current: Calibration, most_false_hits: float = FALSE_HITS
) -> Calibrated:
    """A calibration from two thirds of the pairs, judged on the rest. `scored` is by `current`."""
    fitting = [s for s in scored if not _is_held_out(s.pair)]
    held_out = [s for s in scored if _is_held_out(s.pair)]
    slope, offset = _fit([s for s in fitting if s.probability > 0], current)
    fitted = Calibration(slope, offset, 1.0)
    threshold = _choose_threshold(_recalibrated(fitting, current, fitted), most_false_hits)
    calibration = replace(fitted, threshold=threshold)
    return Calibrated(
        calibration=calibration,
        before=evaluate(held_out, current.threshold),
        after=evaluate(_recalibrated(held_out, current, calibration), threshold),
        pairs=len(scored),
        most_false_hits=most_false_hits,
    )


def _is_held_out(pair: LabelledPair) -> bool:
    """The same pairs every time, whatever their order in the file."""
    digest = hashlib.sha256("\n".join(sorted((pair.first, pair.second))).encode()).digest()
    return digest[0] % _HELD_OUT_OF == 0


def _fit(scored: Sequence[ScoredPair], current: Calibration) -> tuple[float, float]:
    logits = np.array([_logit(s.probability, current) for s in scored], float)
    return fit_scale(logits, np.array([s.pair.is_same for s in scored], bool), current)


def _choose_threshold(scored: Sequence[ScoredPair], most_false_hits: float) -> float:
    """The lowest probability that keeps within the bound, in the middle of the gap below it."""
    others = sum(not s.pair.is_same for s in scored)
    allowed = math.floor(most_false_hits * others)
    allowed -= sum(s.is_exact and not s.pair.is_same for s in scored)
    wrong = sorted(
        (s.probability for s in scored if not s.pair.is_same and not s.is_exact), reverse=True
    )
    if allowed < 0 or not wrong:
        return 1.0 if allowed < 0 else 0.5
    first_too_many = wrong[allowed] if allowed < len(wrong) else 0.0
    above = [s.probability for s in scored if s.probability > first_too_many]
    return (first_too_many + min(above)) / 2 if above else 1.0


def _recalibrated(
    scored: Sequence[ScoredPair], current: Calibration, new: Calibration
) -> list[ScoredPair]:
    return [
        replace(s, probability=new.probability(_logit(s.probability, current)))
        if s.probability > 0
        else s
        for s in scored
    ]


def _logit(probability: float, calibration: Calibration) -> float:
    """What the model said before the calibration."""
    held = min(max(probability, 1e-12), 1 - 1e-12)
    return (math.log(held / (1 - held)) - calibration.offset) / calibration.slope


def _of(share: float | None) -> float:
    return 0.0 if share is None else share
