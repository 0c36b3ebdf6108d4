"""Opens the judge of question pairs."""

from __future__ import annotations

from kefu.paraphrase.judge import Calibration, Judge
from kefu.settings import Settings

DEFAULT = Calibration(slope=1.0, offset=0.0, threshold=0.9)


def open_judge(settings: Settings) -> Judge:
    """The judge with the pair model where it is installed; without it one that never says yes."""
    return Judge(None, DEFAULT)
