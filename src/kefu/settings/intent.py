"""`[intents]`: from which probability an intent counts."""

from __future__ import annotations

from pydantic import Field

from kefu.settings.section import Section


class IntentSettings(Section):
    # Chosen on the sample shop's labelled questions: docs/intents.md.
    action_score: float = Field(
        0.8, ge=0, le=1, description="Probability of an intent from which its action is taken."
    )
    unsure_score: float = Field(
        0.5, ge=0, le=1, description="Below it `kefu intent suggest` counts a message as unknown."
    )
