"""`[answers]`: which generated answers are given again."""

from __future__ import annotations

from pydantic import Field

from kefu.settings.section import Section


class AnswerSettings(Section):
    max_entries: int = Field(
        10_000, ge=0, description="Generated answers kept to be given again; 0 keeps none."
    )
    max_age_hours: float = Field(
        168, gt=0, description="Kept answers older than this are dropped, unless they are pinned."
    )
    # As with quotations (`replies.quote_score`): below it most of them rest on the wrong entry.
    least_confidence: float = Field(
        0.5, ge=0, le=1, description="Confidence from which a generated answer is kept."
    )
    semantic: bool = Field(
        True, description="Give a kept answer also for other words that ask the same."
    )
