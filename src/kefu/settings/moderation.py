"""`[moderation]`: what happens to messages and replies of each category."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kefu.settings.section import Section

Action = Literal["pass", "mask", "hold", "block", "care"]


class CategorySettings(Section):
    high: Action = Field("block", description="For a listed word that can hardly be innocent.")
    medium: Action = Field("hold", description="For a listed word that is doubtful.")
    low: Action = Field("mask", description="For a listed word that is rude but everyday.")
    customer_hold: float | None = Field(
        None, ge=0, le=1, description="Probability from which a message waits for a person."
    )
    customer_block: float | None = Field(
        None, ge=0, le=1, description="Probability from which a message is blocked."
    )
    reply_hold: float | None = Field(
        None, ge=0, le=1, description="The same for what the model wrote."
    )
    reply_block: float | None = Field(
        None, ge=0, le=1, description="The same for what the model wrote."
    )


_CARE = CategorySettings(high="care", medium="care", low="care")


class ModerationSettings(Section):
    """Thresholds that are not given are those of the semantic head in use."""

    enabled: bool = Field(True, description="Look at what customers and the model write.")
    starter_lexicon: bool = Field(True, description="Use the words that come with kefu.")
    mask_transcripts: bool = Field(
        False, description="Keep numbers and addresses of persons masked in the transcript."
    )
    abuse: CategorySettings = CategorySettings()
    adult: CategorySettings = CategorySettings()
    gambling: CategorySettings = CategorySettings()
    fraud: CategorySettings = CategorySettings()
    contraband: CategorySettings = CategorySettings()
    advertising: CategorySettings = CategorySettings()
    self_harm: CategorySettings = _CARE
    personal_data: CategorySettings = CategorySettings(high="mask", medium="mask")
