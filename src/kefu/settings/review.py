"""`[review]`: what a person looks at, and for how long it waits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kefu.settings.section import Section


class ReviewSettings(Section):
    minutes: float = Field(30, gt=0, description="How long a held message waits for a person.")
    on_timeout: Literal["handoff", "canned"] = Field(
        "handoff", description="Afterwards: leave the talk to a person, or the canned reply."
    )
    max_waiting: int = Field(
        10_000, ge=1, description="Held messages in the queue; more are answered with a handoff."
    )
