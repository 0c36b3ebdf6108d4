"""Semantic heads that are made by hand: what is near to one text is bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kefu.moderation import wording
from kefu.moderation.categories import Category
from kefu.moderation.head_file import HeadAbout, save_head
from kefu.moderation.policy import Thresholds
from kefu.moderation.semantic import SemanticHead
from kefu.moderation.semantic_figures import Figures
from tests.fakes import HashingEncoder

THRESHOLDS = {Category.FRAUD: Thresholds(0.5, 0.9)}


def small_head(bad: str, encoder_id: str = HashingEncoder.id) -> SemanticHead:
    """The text itself is fraud for sure, and what shares no letters with it is not."""
    one = np.ones(1)
    return SemanticHead(
        encoder_id=encoder_id,
        categories=(Category.FRAUD,),
        landmarks=HashingEncoder().encode([bad]).astype(np.float16).astype(np.float32),
        of_meaning=np.full((1, 1), 12, np.float32),
        of_wording=np.zeros((wording.BUCKETS, 1), np.float32),
        bias=-6 * one,
        slope=one,
        offset=0 * one,
        thresholds=THRESHOLDS,
    )


def write_head(path: Path, bad: str, encoder_id: str = HashingEncoder.id) -> None:
    about = HeadAbout(
        encoder_id=encoder_id,
        categories=(Category.FRAUD,),
        thresholds=THRESHOLDS,
        trained_on="0",
        examples=1,
        false_holds=0.005,
        seconds=0.1,
        figures=Figures((), 0, None),
        created_at="2026-01-31T09:30:00+00:00",
    )
    save_head(small_head(bad, encoder_id), about, path)
