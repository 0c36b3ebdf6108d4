"""Opens the judge of question pairs."""

from __future__ import annotations

from typing import Final

import structlog

from kefu.errors import ModelError
from kefu.inference.models.resolve import resolve_pairs
from kefu.paraphrase.alignment import AlignmentScorer
from kefu.paraphrase.judge import Calibration, Judge
from kefu.paraphrase.token_states import TokenStates
from kefu.settings import Settings

log = structlog.get_logger("kefu.paraphrase")

# training/paraphrase/train.py prints slope and offset. At the threshold, of DIAC's look-alikes 2%
# at most are taken for the same (loadtests/pairs.py).
DEFAULT: Final = Calibration(slope=0.44, offset=-1.18, threshold=0.79)

# The desk asks about one customer's question at a time, beside everything else that it does.
_THREADS = 1


def open_judge(settings: Settings) -> Judge:
    """The judge with its model where that is installed; without it one that never says yes.

    Blocking for a third of a second. A model that is missing or damaged is logged, with the command
    that brings it: the desk can do without.
    """
    try:
        folder = resolve_pairs(settings).directory
        return Judge(AlignmentScorer(TokenStates(folder, _THREADS)), DEFAULT)
    except ModelError as error:
        log.warning("no_judge_of_questions", reason=str(error))
        return Judge(None, DEFAULT)
